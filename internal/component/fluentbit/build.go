// Package fluentbit is the component that reads the log of every pod on its node and hands it to the collector: Fluent
// Bit as a DaemonSet in the namespace of node agents.
package fluentbit

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	name  = "fluent-bit"
	field = "spec.logs.fluentBit"
)

// Component is Fluent Bit.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionFluentBitReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	kb := in.KubeBot
	if !managed(kb) {
		return nil, nil
	}
	if endpoints.CollectorHost(kb) == "" {
		return nil, &component.InvalidError{
			Field:   field + ".mode",
			Message: "Fluent Bit hands its lines to the collector, which spec.traces.collector.mode switches off: set mode: Disabled here too, or leave the collector on",
		}
	}
	decision, err := decide(in)
	if err != nil {
		return nil, err
	}
	return pods.Pinned(append(decision.Objects, configMap(in, decision.Files), networkPolicy(in), daemonSet(in, decision.Image)))
}

func managed(kb *v1alpha1.KubeBot) bool { return kb.Spec.Logs.FluentBit.Mode.Managed() }

// buffer is how much of a node's disk the lines may take that could not be sent yet.
func buffer(s v1alpha1.FluentBitSpec) (resource.Quantity, error) {
	least := resource.MustParse(smallestBuffer)
	switch {
	case s.BufferLimit == nil:
		return resource.MustParse(bufferLimit), nil
	case s.BufferLimit.Cmp(least) < 0:
		return least, &component.InvalidError{
			Field:   field + ".bufferLimit",
			Message: fmt.Sprintf("%s would be full after seconds: give at least %s", s.BufferLimit.String(), smallestBuffer),
		}
	}
	return *s.BufferLimit, nil
}

// objectName is the name of the objects in the namespace of node agents, which KubeBots of several namespaces share.
func objectName(in component.Input) string {
	full := naming.Object(in.KubeBot, name)
	if in.KubeBot.Namespace != in.Install.ReleaseNamespace {
		full = in.KubeBot.Namespace + "-" + full
	}
	return naming.Bounded(full, 63)
}

func meta(in component.Input) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: objectName(in), Namespace: in.Install.NodesNamespace, Labels: naming.Labels(in.KubeBot, name)}
}

func configMap(in component.Input, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meta(in),
		Data:       data,
	}
}

// networkPolicy lets Prometheus scrape, and Fluent Bit reach the collector, the API server and name look-ups.
func networkPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	home := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: kb.Namespace}}
	collector, scraper := netpol.Component(kb, "collector"), netpol.Prometheus(kb)
	collector.NamespaceSelector = home
	if scraper.PodSelector != nil {
		scraper.NamespaceSelector = home
	}
	policy := netpol.Policy(kb, name,
		[]networkingv1.NetworkPolicyIngressRule{netpol.From([]int{endpoints.FluentBitPort}, scraper)},
		[]networkingv1.NetworkPolicyEgressRule{
			netpol.To([]int{endpoints.OTLPHTTPPort}, collector), netpol.APIServer(in), netpol.DNS(),
		})
	policy.ObjectMeta = meta(in)
	return policy
}
