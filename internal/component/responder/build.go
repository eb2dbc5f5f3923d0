// Package responder is the component that turns alerts into incidents and messages: KubeBot's own process.
package responder

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
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
	return pods.Pinned([]client.Object{
		pods.ConfigMap(in.KubeBot, name, map[string]string{path.Base(config.Path): data}), service(in.KubeBot), d,
		networkPolicy(in), pods.DisruptionBudget(in.KubeBot, name),
	})
}

func service(kb *v1alpha1.KubeBot) *corev1.Service {
	ports := []pods.Port{{Name: portHTTPS, Number: endpoints.ResponderPort}, {Name: portMetrics, Number: endpoints.ResponderMetricsPort}}
	if takesRequests(kb) {
		ports = append(ports, pods.Port{Name: portInteractions, Number: endpoints.ResponderInteractionsPort})
	}
	return pods.Service(kb, name, ports...)
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
