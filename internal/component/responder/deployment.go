package responder

import (
	"fmt"
	"path"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/component/receivers"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// deployment runs the responder. Secrets are files that it reads anew, so that a new token needs no new pod; only
// another configuration rolls the pods.
func deployment(in component.Input) (*appsv1.Deployment, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Alerting.Responder
	img, err := pods.OwnImage(in, field, s.PodSettings)
	if err != nil {
		return nil, err
	}
	volumes, mounts := mounts(kb)
	pod := corev1.PodSpec{
		ServiceAccountName:            pods.ServiceAccount(in, name),
		SecurityContext:               pods.Security(),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(graceSeconds)),
		Affinity:                      pods.Spread(naming.Selector(kb, name)),
		Containers:                    []corev1.Container{container(in, img, mounts)},
		Volumes:                       volumes,
	}
	pods.Place(&pod, in, s.PodSettings)
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: pods.Meta(kb, name),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(ptr.Deref(s.Replicas, replicas)),
			Selector: &metav1.LabelSelector{MatchLabels: naming.Selector(kb, name)},
			Strategy: appsv1.DeploymentStrategy{
				Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{
					MaxUnavailable: new(intstr.FromInt(0)), MaxSurge: new(intstr.FromInt(1)),
				},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: naming.Labels(kb, name)},
				Spec:       pod,
			},
		},
	}, nil
}

func container(in component.Input, img string, mounts []corev1.VolumeMount) corev1.Container {
	s := in.KubeBot.Spec.Alerting.Responder
	c := corev1.Container{
		Name:  name,
		Image: img,
		Args: []string{
			"responder",
			"--config=" + config.Path,
			fmt.Sprintf("--listen=:%d", endpoints.ResponderPort),
			fmt.Sprintf("--metrics-bind-address=:%d", endpoints.ResponderMetricsPort),
			fmt.Sprintf("--health-probe-bind-address=:%d", healthPort),
		},
		Env: environment(in),
		Ports: []corev1.ContainerPort{
			{Name: portHTTPS, ContainerPort: endpoints.ResponderPort, Protocol: corev1.ProtocolTCP},
			{Name: portMetrics, ContainerPort: endpoints.ResponderMetricsPort, Protocol: corev1.ProtocolTCP},
			{Name: portHealth, ContainerPort: healthPort, Protocol: corev1.ProtocolTCP},
		},
		LivenessProbe:   probe("/healthz", 20, 5),
		ReadinessProbe:  probe("/readyz", 5, 2),
		Lifecycle:       &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: drainSeconds}}},
		Resources:       pods.Resources(s.PodSettings, cpuRequest, memoryRequest, memoryLimit),
		SecurityContext: pods.ContainerSecurity(),
		VolumeMounts:    mounts,
	}
	if takesRequests(in.KubeBot) {
		c.Args = append(c.Args, fmt.Sprintf("--interactions-bind-address=:%d", endpoints.ResponderInteractionsPort))
		c.Ports = append(c.Ports, corev1.ContainerPort{
			Name: portInteractions, ContainerPort: endpoints.ResponderInteractionsPort, Protocol: corev1.ProtocolTCP,
		})
	}
	return c
}

func probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(portHealth)}},
		PeriodSeconds:    period,
		TimeoutSeconds:   5,
		FailureThreshold: failures,
	}
}

// environment hands on the manager's proxy, past which go the API server and everything inside the cluster.
func environment(in component.Input) []corev1.EnvVar {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path},
		}}
	}
	env := []corev1.EnvVar{
		field("POD_NAME", "metadata.name"),
		field("POD_NAMESPACE", "metadata.namespace"),
		{Name: "GOMEMLIMIT", ValueFrom: &corev1.EnvVarSource{
			ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1")},
		}},
	}
	proxied := false
	for _, key := range []string{"HTTPS_PROXY", "HTTP_PROXY"} {
		if value := in.Install.Proxy[key]; value != "" {
			env, proxied = append(env, corev1.EnvVar{Name: key, Value: value}), true
		}
	}
	if proxied {
		env = append(env, corev1.EnvVar{Name: "NO_PROXY", Value: in.Install.Direct() + ",$(KUBERNETES_SERVICE_HOST)"})
	}
	return env
}

// mounts are the configuration, the generated credentials, the weights of the analysis, and of each receiver's Secret the keys that are named. Those
// are optional: a missing one keeps no pod from starting, and a new one appears in the running pod.
func mounts(kb *v1alpha1.KubeBot) ([]corev1.Volume, []corev1.VolumeMount) {
	volumes := []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: naming.Object(kb, name)},
		}}},
		{Name: "credentials", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: naming.Object(kb, credentials.SecretSuffix),
		}}},
		{Name: "weights", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: endpoints.WeightsConfigMap}, Optional: new(true),
		}}},
	}
	mounts := []corev1.VolumeMount{
		{Name: "config", MountPath: path.Dir(config.Path), ReadOnly: true},
		{Name: "credentials", MountPath: config.CredentialsDir, ReadOnly: true},
		{Name: "weights", MountPath: config.WeightsDir, ReadOnly: true},
	}
	more, moreMounts := receivers.Mounts(secretRefs(kb.Spec.Alerting), config.SecretsDir)
	return append(volumes, more...), append(mounts, moreMounts...)
}
