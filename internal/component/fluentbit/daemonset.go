package fluentbit

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	portHTTP = "http"
	// program of the image.
	program = "/fluent-bit/bin/fluent-bit"
	// unconfined is SELinux' type of a container that may use files of its node.
	unconfined = "spc_t"
)

// stateFolder of the node holds offsets and what could not be sent yet, so that both outlive the pod.
func stateFolder(in component.Input) string { return "/var/lib/kubebot/" + objectName(in) }

// daemonSet runs on every node. A tenth of the pods is replaced at a time, so that a node that is down holds up none but
// its own in all but small clusters.
func daemonSet(in component.Input, img string) *appsv1.DaemonSet {
	s := in.KubeBot.Spec.Logs.FluentBit
	resources := pods.Resources(s.PodSettings, cpuRequest, memoryRequest, memoryLimit)
	run := container(name, img, resources, "--config="+configDir+"/"+keyConfig)
	run.Ports = []corev1.ContainerPort{{Name: portHTTP, ContainerPort: endpoints.FluentBitPort, Protocol: corev1.ProtocolTCP}}
	run.LivenessProbe, run.ReadinessProbe = probe(6), probe(3)
	pod := corev1.PodSpec{
		ServiceAccountName:            pods.ServiceAccount(in, name),
		AutomountServiceAccountToken:  new(true),
		SecurityContext:               &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(3 * grace)),
		Affinity:                      pods.RealNodes(),
		Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Containers:                    []corev1.Container{run},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: objectName(in)},
			}}},
			hostPath("logs", logsDir, corev1.HostPathDirectory),
			hostPath("state", stateFolder(in), corev1.HostPathDirectoryOrCreate),
		},
	}
	pods.Place(&pod, in, s.PodSettings)
	return &appsv1.DaemonSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet"},
		ObjectMeta: meta(in),
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: naming.Selector(in.KubeBot, name)},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				Type:          appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromString("10%"))},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: naming.Labels(in.KubeBot, name)},
				Spec:       pod,
			},
		},
	}
}

// container runs the program. The kubelet keeps log files for root alone, so the process is root, without any capability:
// root owns them, and owns its own folder of state. Where SELinux is enforced, the usual type of containers may neither read
// container_log_t nor write var_lib_t; nodes without it ignore the type.
func container(name, img string, resources corev1.ResourceRequirements, args ...string) corev1.Container {
	security := pods.ContainerSecurity()
	security.RunAsUser, security.RunAsGroup = new(int64(0)), new(int64(0))
	security.SELinuxOptions = &corev1.SELinuxOptions{Type: unconfined}
	return corev1.Container{
		Name:    name,
		Image:   img,
		Command: []string{program},
		Args:    args,
		Env: []corev1.EnvVar{
			fromField("NODE_NAME", "spec.nodeName"),
			fromField("POD_IP", "status.podIP"),
		},
		Resources:       resources,
		SecurityContext: security,
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: configDir, ReadOnly: true},
			{Name: "logs", MountPath: logsDir, ReadOnly: true},
			{Name: "state", MountPath: stateDir},
		},
	}
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
}

// probe asks whether the process answers. Whether lines are taken is no matter of a probe: a restart would not help.
func probe(failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/api/v1/uptime", Port: intstr.FromString(portHTTP), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds: 10, TimeoutSeconds: 5, SuccessThreshold: 1, FailureThreshold: failures,
	}
}

func hostPath(name, path string, kind corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}}
}
