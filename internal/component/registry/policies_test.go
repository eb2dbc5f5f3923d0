package registry

import (
	"reflect"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// Grafana asks every store: the managed one as itself, an outside one from wherever it is, and only then anybody may.
func TestEveryStoreLetsGrafanaIn(t *testing.T) {
	stores := map[string]int{
		"prometheus": endpoints.PrometheusPort, "alertmanager": endpoints.AlertmanagerPort, "loki": endpoints.LokiPort, "jaeger": endpoints.JaegerQueryPort,
	}
	for mode, outside := range map[v1alpha1.Mode]bool{"": false, v1alpha1.ModeManaged: false, v1alpha1.ModeExternal: true} {
		kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot", UID: "1"}}
		kb.Spec.Dashboards.Grafana.Mode = mode
		in := component.Input{KubeBot: kb, ClusterName: "prod", Install: component.Install{ReleaseNamespace: "kubebot", NodesNamespace: "kubebot-nodes"}}
		seen := 0
		for _, part := range All() {
			port, is := stores[part.Name()]
			if !is {
				continue
			}
			seen++
			objects, err := part.Build(in)
			if err != nil {
				t.Fatalf("build %s: %v", part.Name(), err)
			}
			var peers []networkingv1.NetworkPolicyPeer
			for _, o := range objects {
				if policy, ok := o.(*networkingv1.NetworkPolicy); ok {
					peers = append(peers, callers(policy, port)...)
				}
			}
			for what, want := range map[string]bool{"any pod": outside, "the managed Grafana": !outside} {
				peer := map[string]networkingv1.NetworkPolicyPeer{"any pod": netpol.AnyPod(), "the managed Grafana": netpol.Component(kb, "grafana")}[what]
				if got := slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool { return reflect.DeepEqual(p, peer) }); got != want {
					t.Errorf("Grafana of mode %q: %s lets in %s: %v", mode, part.Name(), what, got)
				}
			}
		}
		if seen != len(stores) {
			t.Errorf("%d stores of %d", seen, len(stores))
		}
	}
}

// callers are who may call a port.
func callers(policy *networkingv1.NetworkPolicy, port int) []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, rule := range policy.Spec.Ingress {
		if slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntValue() == port }) {
			peers = append(peers, rule.From...)
		}
	}
	return peers
}

// Where the API server has another port no policy may name the usual one in its place.
func TestPoliciesNameTheAPIServerByItsPorts(t *testing.T) {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot", UID: "1"}}
	in := component.Input{KubeBot: kb, ClusterName: "prod", Install: component.Install{
		ReleaseNamespace: "kubebot", NodesNamespace: "kubebot-nodes", APIServerPorts: []int{443, 16443},
	}}
	named := 0
	for _, part := range All() {
		objects, err := part.Build(in)
		if err != nil {
			t.Fatalf("build %s: %v", part.Name(), err)
		}
		for _, o := range objects {
			policy, ok := o.(*networkingv1.NetworkPolicy)
			if !ok {
				continue
			}
			for _, rule := range policy.Spec.Egress {
				for _, p := range rule.Ports {
					switch {
					case p.Port != nil && p.Port.IntValue() == 6443:
						t.Errorf("%s names the port 6443", policy.Name)
					case p.Port != nil && p.Port.IntValue() == 16443:
						named++
					}
				}
			}
		}
	}
	if named != 5 { // kube-state-metrics, Fluent Bit, the two collectors and the training
		t.Errorf("%d policies name the API server's port", named)
	}
}
