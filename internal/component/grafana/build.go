// Package grafana is the component that shows everything: Grafana, or an outside one, and the process that keeps
// KubeBot's data sources and dashboards in it.
package grafana

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/endpoints"
)

const (
	name  = "grafana"
	field = "spec.dashboards.grafana"
)

// Component is Grafana with its dashboards.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionGrafanaReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	if in.KubeBot.Spec.Dashboards.Grafana.Mode == v1alpha1.ModeDisabled {
		return nil, nil
	}
	if err := check(in.KubeBot.Spec.Dashboards); err != nil {
		return nil, err
	}
	c, err := newConfig(in)
	if err != nil {
		return nil, err
	}
	data, err := c.Marshal()
	if err != nil {
		return nil, err
	}
	w, err := workload(in, c)
	if err != nil {
		return nil, err
	}
	return []client.Object{pods.ConfigMap(in.KubeBot, name, map[string]string{path.Base(config.Path): data}), service(in.KubeBot), w, networkPolicy(in)}, nil
}

func managed(kb *v1alpha1.KubeBot) bool { return kb.Spec.Dashboards.Grafana.Mode.Managed() }

func service(kb *v1alpha1.KubeBot) *corev1.Service {
	ports := []pods.Port{{Name: portMetrics, Number: metricsPort}}
	if managed(kb) {
		ports = append([]pods.Port{{Name: portHTTP, Number: endpoints.GrafanaPort}}, ports...)
	}
	return pods.Service(kb, name, ports...)
}

// networkPolicy lets people in from everywhere, by whatever ingress they have: they sign in. Grafana asks the stores; an
// outside store or Grafana may be anywhere.
func networkPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	ingress := []networkingv1.NetworkPolicyIngressRule{netpol.From([]int{metricsPort}, netpol.Prometheus(kb), netpol.Manager(in))}
	egress := []networkingv1.NetworkPolicyEgressRule{netpol.DNS()}
	if !managed(kb) {
		return netpol.Policy(kb, name, ingress, append(egress, netpol.AnyTCP()))
	}
	ingress = append(ingress, netpol.From([]int{endpoints.GrafanaPort}))
	for _, s := range []struct {
		mode v1alpha1.Mode
		name string
		port int
	}{
		{kb.Spec.Metrics.Prometheus.Mode, "prometheus", endpoints.PrometheusPort},
		{kb.Spec.Metrics.Alertmanager.Mode, "alertmanager", endpoints.AlertmanagerPort},
		{kb.Spec.Logs.Loki.Mode, "loki", endpoints.LokiPort},
		{kb.Spec.Traces.Jaeger.Mode, "jaeger", endpoints.JaegerQueryPort},
	} {
		switch s.mode {
		case v1alpha1.ModeExternal:
			return netpol.Policy(kb, name, ingress, []networkingv1.NetworkPolicyEgressRule{netpol.DNS(), netpol.AnyTCP()})
		case v1alpha1.ModeDisabled:
		default:
			egress = append(egress, netpol.To([]int{s.port}, netpol.Component(kb, s.name)))
		}
	}
	return netpol.Policy(kb, name, ingress, egress)
}
