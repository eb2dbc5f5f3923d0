package pods

import (
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// Port is a TCP port of a Service; the container's port has the same name.
type Port struct {
	Name   string
	Number int32
}

// Meta returns name, namespace and labels of an object that is called after its component.
func Meta(kb *v1alpha1.KubeBot, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: naming.Object(kb, name), Namespace: kb.Namespace, Labels: naming.Labels(kb, name)}
}

// ConfigMap returns the ConfigMap of a component's settings.
func ConfigMap(kb *v1alpha1.KubeBot, name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: Meta(kb, name), Data: data}
}

// Service returns the Service of a component's pods.
func Service(kb *v1alpha1.KubeBot, name string, ports ...Port) *corev1.Service {
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: Meta(kb, name),
		Spec:       corev1.ServiceSpec{Selector: naming.Selector(kb, name)},
	}
	for _, p := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: p.Name, Port: p.Number, TargetPort: intstr.FromString(p.Name), Protocol: corev1.ProtocolTCP,
		})
	}
	return s
}

// DisruptionBudget returns what keeps a drain from evicting more than one pod of a component at a time.
func DisruptionBudget(kb *v1alpha1.KubeBot, name string) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: policyv1.SchemeGroupVersion.String(), Kind: "PodDisruptionBudget"},
		ObjectMeta: Meta(kb, name),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: naming.Selector(kb, name)},
		},
	}
}
