package exporters

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

// Patterns of what is no disk or network card of the node but of its pods; they would make series for every pod.
const (
	podMounts  = `^/(dev|proc|sys|run/credentials/.+|run/k3s/containerd/.+|run/containerd/.+|var/lib/docker/.+|var/lib/containers/storage/.+|var/lib/kubelet/pods/.+)($|/)`
	podDevices = `^(veth.*|cali.*|lxc.*|cni.*|flannel.*|[a-f0-9]{15})$`
)

// nodeExporterDaemonSet runs on every node, in the node's network, because the figures of network cards are those of
// the network that the process is in. It needs no other of the node's namespaces, no capability and no user but
// nobody; the node's files are mounted read-only. It listens on the node's address only. No NetworkPolicy reaches
// pods in the node's network.
func nodeExporterDaemonSet(in component.Input, img string) *appsv1.DaemonSet {
	kb, s := in.KubeBot, in.KubeBot.Spec.Metrics.NodeExporter
	pod := corev1.PodSpec{
		ServiceAccountName:           pods.ServiceAccount(in, nodeExporter),
		AutomountServiceAccountToken: new(false),
		HostNetwork:                  true,
		SecurityContext:              pods.Security(),
		EnableServiceLinks:           new(false),
		Affinity:                     pods.RealNodes(),
		Tolerations:                  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Containers: []corev1.Container{{
			Name:  nodeExporter,
			Image: img,
			Args: []string{
				fmt.Sprintf("--web.listen-address=[$(HOST_IP)]:%d", endpoints.NodeExporterPort),
				"--path.procfs=/host/proc",
				"--path.sysfs=/host/sys",
				"--path.rootfs=/host/root",
				"--path.udev.data=/host/root/run/udev/data",
				"--collector.filesystem.mount-points-exclude=" + podMounts,
				"--collector.netdev.device-exclude=" + podDevices,
				"--collector.netclass.ignored-devices=" + podDevices,
			},
			Env: []corev1.EnvVar{{Name: "HOST_IP", ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.hostIP"},
			}}},
			Ports: []corev1.ContainerPort{{
				Name: "metrics", ContainerPort: endpoints.NodeExporterPort, HostPort: endpoints.NodeExporterPort, Protocol: corev1.ProtocolTCP,
			}},
			LivenessProbe:   probe("/", "metrics"),
			ReadinessProbe:  probe("/", "metrics"),
			Resources:       pods.Resources(s.PodSettings, nodeExporterCPU, nodeExporterMemory, nodeExporterMemoryLimit),
			SecurityContext: pods.ContainerSecurity(),
			VolumeMounts: []corev1.VolumeMount{
				{Name: "proc", MountPath: "/host/proc", ReadOnly: true},
				{Name: "sys", MountPath: "/host/sys", ReadOnly: true},
				// Disks that are mounted later shall be seen too.
				{Name: "root", MountPath: "/host/root", ReadOnly: true, MountPropagation: new(corev1.MountPropagationHostToContainer)},
			},
		}},
		Volumes: []corev1.Volume{hostPath("proc", "/proc"), hostPath("sys", "/sys"), hostPath("root", "/")},
	}
	// The volumes are the node's: nothing may be owned anew.
	pod.SecurityContext.FSGroup = nil
	pods.Place(&pod, in, s.PodSettings)
	return &appsv1.DaemonSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet"},
		ObjectMeta: metav1.ObjectMeta{Name: nodeExporterName(in), Namespace: in.Install.NodesNamespace, Labels: labels(kb, nodeExporter)},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: naming.Selector(kb, nodeExporter)},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				Type:          appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromString("10%"))},
			},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels(kb, nodeExporter)}, Spec: pod},
		},
	}
}

func hostPath(name, path string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}
}
