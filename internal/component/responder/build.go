// Package responder is the component that turns alerts into incidents and messages: KubeBot's own process.
package responder

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const (
	name  = "responder"
	field = "spec.alerting.responder"
)

// Component is the responder.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionResponderReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	c, err := newConfig(in)
	if err != nil {
		return nil, err
	}
	data, err := marshal(c)
	if err != nil {
		return nil, err
	}
	d, err := deployment(in)
	if err != nil {
		return nil, err
	}
	return pods.Pinned([]client.Object{configMap(in.KubeBot, data), service(in.KubeBot), d, networkPolicy(in), disruptionBudget(in.KubeBot)})
}

func meta(kb *v1alpha1.KubeBot) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: naming.Object(kb, name), Namespace: kb.Namespace, Labels: naming.Labels(kb, name)}
}

func configMap(kb *v1alpha1.KubeBot, data string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meta(kb),
		Data:       map[string]string{path.Base(config.Path): data},
	}
}

func service(kb *v1alpha1.KubeBot) *corev1.Service {
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(kb),
		Spec: corev1.ServiceSpec{
			Selector: naming.Selector(kb, name),
			Ports: []corev1.ServicePort{
				{Name: portHTTPS, Port: endpoints.ResponderPort, TargetPort: intstr.FromString(portHTTPS), Protocol: corev1.ProtocolTCP},
				{Name: portMetrics, Port: endpoints.ResponderMetricsPort, TargetPort: intstr.FromString(portMetrics), Protocol: corev1.ProtocolTCP},
			},
		},
	}
	if takesRequests(kb) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: portInteractions, Port: endpoints.ResponderInteractionsPort, TargetPort: intstr.FromString(portInteractions), Protocol: corev1.ProtocolTCP,
		})
	}
	return s
}

// networkPolicy lets in alerts, the manager's questions and scrapes. The responder may call every TCP port: receivers,
// proxies, and an outside Prometheus or Alertmanager are where the user says, and the API server is no pod.
func networkPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	alerts := netpol.Component(kb, "alertmanager")
	if m := kb.Spec.Metrics.Alertmanager.Mode; m == v1alpha1.ModeExternal {
		alerts = netpol.AnyPod()
	}
	ingress := []networkingv1.NetworkPolicyIngressRule{
		netpol.From([]int{endpoints.ResponderPort}, alerts, netpol.Manager(in)),
		netpol.From([]int{endpoints.ResponderMetricsPort}, netpol.Prometheus(kb)),
	}
	if takesRequests(kb) {
		ingress = append(ingress, netpol.From([]int{endpoints.ResponderInteractionsPort})) // an ingress is anywhere; each request is signed
	}
	return netpol.Policy(kb, name, ingress, []networkingv1.NetworkPolicyEgressRule{netpol.DNS(), netpol.AnyTCP()})
}

// takesRequests tells whether Slack's signed requests come by HTTP.
func takesRequests(kb *v1alpha1.KubeBot) bool {
	for _, r := range kb.Spec.Alerting.Receivers {
		if r.Slack != nil && r.Slack.Interactions != nil && r.Slack.Interactions.SigningSecret != nil {
			return true
		}
	}
	return false
}

func disruptionBudget(kb *v1alpha1.KubeBot) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: policyv1.SchemeGroupVersion.String(), Kind: "PodDisruptionBudget"},
		ObjectMeta: meta(kb),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: naming.Selector(kb, name)},
		},
	}
}
