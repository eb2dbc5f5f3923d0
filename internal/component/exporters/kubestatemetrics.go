package exporters

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

func kubeStateMetricsMeta(kb *v1alpha1.KubeBot) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: naming.Object(kb, kubeStateMetrics), Namespace: kb.Namespace, Labels: labels(kb, kubeStateMetrics)}
}

// kubeStateMetricsDeployment has one pod, replaced and not rolled: two at once would count everything twice.
func kubeStateMetricsDeployment(in component.Input, img string) *appsv1.Deployment {
	kb, s := in.KubeBot, in.KubeBot.Spec.Metrics.KubeStateMetrics
	pod := corev1.PodSpec{
		ServiceAccountName: pods.ServiceAccount(in, name),
		SecurityContext:    pods.Security(),
		EnableServiceLinks: new(false),
		Containers: []corev1.Container{{
			Name:  kubeStateMetrics,
			Image: img,
			Args: []string{
				fmt.Sprintf("--port=%d", endpoints.KubeStateMetricsPort),
				fmt.Sprintf("--telemetry-port=%d", telemetryPort),
				"--resources=" + strings.Join(resources, ","),
			},
			Ports: []corev1.ContainerPort{
				{Name: "http-metrics", ContainerPort: endpoints.KubeStateMetricsPort, Protocol: corev1.ProtocolTCP},
				{Name: "telemetry", ContainerPort: telemetryPort, Protocol: corev1.ProtocolTCP},
			},
			// /livez would ask the API server too, and an outage there is no reason to be killed.
			LivenessProbe:   probe("/healthz", "http-metrics"),
			ReadinessProbe:  probe("/readyz", "telemetry"),
			Resources:       pods.Resources(s.PodSettings, kubeStateMetricsCPU, kubeStateMetricsMemory, ""),
			SecurityContext: pods.ContainerSecurity(),
		}},
	}
	pods.Place(&pod, in, s.PodSettings)
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: kubeStateMetricsMeta(kb),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Selector: &metav1.LabelSelector{MatchLabels: naming.Selector(kb, kubeStateMetrics)},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels(kb, kubeStateMetrics)}, Spec: pod},
		},
	}
}

func probe(path, port string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:   corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(port)}},
		PeriodSeconds:  10,
		TimeoutSeconds: 5,
	}
}

func kubeStateMetricsService(kb *v1alpha1.KubeBot) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: kubeStateMetricsMeta(kb),
		Spec: corev1.ServiceSpec{
			Selector: naming.Selector(kb, kubeStateMetrics),
			Ports: []corev1.ServicePort{
				{Name: "http-metrics", Port: endpoints.KubeStateMetricsPort, TargetPort: intstr.FromString("http-metrics"), Protocol: corev1.ProtocolTCP},
				{Name: "telemetry", Port: telemetryPort, TargetPort: intstr.FromString("telemetry"), Protocol: corev1.ProtocolTCP},
			},
		},
	}
}

func kubeStateMetricsPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	policy := netpol.Policy(kb, kubeStateMetrics,
		[]networkingv1.NetworkPolicyIngressRule{netpol.From([]int{endpoints.KubeStateMetricsPort, telemetryPort}, netpol.Prometheus(kb))},
		[]networkingv1.NetworkPolicyEgressRule{netpol.DNS(), netpol.APIServer(in)})
	policy.Labels = labels(kb, kubeStateMetrics)
	return policy
}
