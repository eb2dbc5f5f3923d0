//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/test/stack"
)

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
	// unusedPort is one that nothing in the cluster listens on.
	unusedPort = 12345
)

// openTo are the ports that pods of other namespaces may call, with the reason.
var openTo = map[string]string{
	"kubebot-manager 8080":     "metrics, for a Prometheus that may run anywhere",
	"prometheus-operator 8080": "metrics, for a Prometheus that may run anywhere",
	"collector 4317":           "applications send what they measure",
	"collector 4318":           "applications send what they measure",
}

// callsAnywhere are the components that may call any TCP port, with the reason.
var callsAnywhere = map[string]string{
	"prometheus":      "monitors and annotations of users name targets on any port",
	"responder":       "receivers, proxies and outside Prometheuses are where the user says",
	"kubebot-manager": "asks outside Prometheuses and Alertmanagers whether they answer",
	"alertmanager":    "tells receivers, wherever they are, when the responder is gone",
}

// fromTheNode are calls from the node that are no probes, with the reason.
var fromTheNode = map[string]string{
	"prometheus 9090":      "the tests' queries, through the API server",
	"alertmanager 9093":    "the tests' queries, through the API server",
	"responder 8080":       "the tests' look at the metrics, through the API server",
	"kubebot-manager 8080": "the tests' look at the metrics, through the API server",
	"loki 3100":            "the tests' queries, through the API server",
	"jaeger 16686":         "the tests' queries, through the API server",
	"collector 4318":       "what the tests send, through the API server",
}

// must be seen, else the comparison says little.
var mustBeSeen = []string{
	"kubebot-manager > node 6443", "prometheus > node 6443", "kube-state-metrics > node 6443", "responder > node 6443",
	"prometheus-operator > node 6443", "responder > kube-dns 53", "alertmanager > kube-dns 53",
	"prometheus > node 10250", "prometheus > node 19100", "prometheus > kube-state-metrics 8080", "prometheus > alertmanager 9093",
	"prometheus > responder 8080", "alertmanager > responder 8443", "responder > slack-server 8080", "responder > alertmanager 9093",
	"kubebot-manager > prometheus 9090", "kubebot-manager > alertmanager 9093", "kubebot-manager > responder 8443",
	"node > responder 8081", "node > prometheus 9090",
}

func app(e stack.End) string {
	if e.Pod != nil {
		labels := e.Pod.Labels
		for _, key := range []string{"app.kubernetes.io/name", "k8s-app"} {
			if labels[key] != "" {
				return labels[key]
			}
		}
		return e.Pod.Namespace + "/" + e.Pod.Name
	}
	if strings.HasPrefix(e.IP, "10.90.") || strings.HasPrefix(e.IP, "10.1") && strings.HasSuffix(e.IP, ".0.1") {
		return "node" // its own address, and its end of the links to pods
	}
	return e.IP
}

func isKubeBots(e stack.End) bool {
	return e.Pod != nil && (e.Pod.Namespace == stack.Namespace || e.Pod.Namespace == "kubebot-nodes")
}

// isProbe tells whether the kubelet probes the port of the pod.
func isProbe(pod *corev1.Pod, port int32) bool {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if p == nil {
				continue
			}
			asked := ""
			switch {
			case p.HTTPGet != nil:
				asked = p.HTTPGet.Port.String()
			case p.TCPSocket != nil:
				asked = p.TCPSocket.Port.String()
			case p.GRPC != nil:
				asked = fmt.Sprint(p.GRPC.Port)
			}
			if asked == fmt.Sprint(port) || slices.ContainsFunc(c.Ports, func(cp corev1.ContainerPort) bool {
				return cp.Name == asked && cp.ContainerPort == port
			}) {
				return true
			}
		}
	}
	return false
}

// TestConnectionsSeenAreAllowed compares every connection of the run from or to KubeBot's pods with the NetworkPolicies
// of its time, because the local network plug-in enforces none.
func TestConnectionsSeenAreAllowed(t *testing.T) {
	ctx := contextOf(t, 8*time.Minute)
	// What comes at intervals may come late in a short run.
	if err := stack.Eventually(ctx, 3*time.Minute, time.Second, func(context.Context) error { return allSeen(t) }); err != nil {
		t.Error(err)
	}
	seen := seenConnections(t)
	denied, kinds := map[string]int{}, map[string]bool{}
	for _, c := range seen {
		if c.Source.Pod != nil && c.Source.Pod.Labels["app"] == "byhand" {
			continue // the user's own Prometheus of d_external_test: it runs a little before and after it is let in
		}
		from, to, name := app(c.Source), app(c.Target), kind(c)
		kinds[name] = true
		if isKubeBots(c.Source) && !stack.Admits(c.Policies, egress, c.Source, c.Target, c.Protocol, c.Port) {
			denied["egress of "+name]++
		}
		if !isKubeBots(c.Target) {
			continue
		}
		if from == "node" {
			// The node's own probes pass every policy.
			if _, ok := fromTheNode[fmt.Sprintf("%s %d", to, c.Port)]; !ok && !isProbe(c.Target.Pod, c.Port) {
				denied["ingress of "+name]++
			}
		} else if !stack.Admits(c.Policies, ingress, c.Source, c.Target, c.Protocol, c.Port) {
			denied["ingress of "+name]++
		}
	}
	for what, n := range denied {
		t.Errorf("seen %d times, but no policy allows it: %s", n, what)
	}
	t.Logf("%d connections of %d kinds", len(seen), len(kinds))
}

// kind is who called whom at which port.
func kind(c stack.Connection) string {
	return fmt.Sprintf("%s > %s %d", app(c.Source), app(c.Target), c.Port)
}

func allSeen(t *testing.T) error {
	missing := slices.Clone(mustBeSeen)
	for _, c := range seenConnections(t) {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == kind(c) })
	}
	if len(missing) > 0 {
		return fmt.Errorf("never seen: %s", strings.Join(missing, "; "))
	}
	return nil
}

// TestPoliciesDenyWhatWasNeverUsed: strangers reach no port of KubeBot's pods, these reach no port that they have no
// business with, and no component reaches another one's port that it never called in the whole run.
func TestPoliciesDenyWhatWasNeverUsed(t *testing.T) {
	seen := seenConnections(t)
	used := map[string]bool{}
	for _, c := range seen {
		used[kind(c)] = true
	}
	ctx := contextOf(t, time.Minute)
	var list networkingv1.NetworkPolicyList
	must(t, cluster.Client.List(ctx, &list))
	own := endsIn(t, stack.Namespace)
	var stranger stack.End
	for _, e := range endsIn(t, stack.ShopNamespace) {
		stranger = e
	}
	if len(own) < 6 || stranger.Pod == nil {
		t.Fatalf("%d of KubeBot's pods and stranger %v: the comparison would say nothing", len(own), stranger.Pod)
	}
	for _, e := range own {
		for _, port := range append(ports(e.Pod), unusedPort) {
			at := fmt.Sprintf("%s %d", app(e), port)
			if _, ok := openTo[at]; !ok && stack.Admits(list.Items, ingress, stranger, e, corev1.ProtocolTCP, port) {
				t.Errorf("any pod may call %s", at)
			}
			for _, other := range own {
				call := app(other) + " > " + at
				if other.Pod == e.Pod || used[call] || openTo[at] != "" || neverUsedHere[call] != "" {
					continue
				}
				if stack.Admits(list.Items, egress, other, e, corev1.ProtocolTCP, port) && stack.Admits(list.Items, ingress, other, e, corev1.ProtocolTCP, port) {
					t.Errorf("the policies allow %s, which was never used", call)
				}
			}
		}
		if _, ok := callsAnywhere[app(e)]; ok {
			continue
		}
		for _, target := range []stack.End{stranger, {IP: "192.0.2.1"}} {
			if stack.Admits(list.Items, egress, e, target, corev1.ProtocolTCP, unusedPort) {
				t.Errorf("%s may call port %d of anything", app(e), unusedPort)
			}
		}
	}
}

// neverUsedHere are calls between components that the policies allow and a run need not make, with the reason.
var neverUsedHere = map[string]string{
	"responder > prometheus 9090": "the alerts of a time in which no responder ran",
}

func seenConnections(t *testing.T) []stack.Connection {
	t.Helper()
	if connections == nil {
		t.Skip("the connections of an existing cluster are not seen")
	}
	seen, err := connections.Seen()
	must(t, err)
	return seen
}

func ports(pod *corev1.Pod) []int32 {
	var all []int32
	for _, p := range stack.ContainerPorts(pod) {
		all = append(all, p.ContainerPort)
	}
	return all
}

// endsIn are the running pods of a namespace in the cluster's own network.
func endsIn(t *testing.T, namespace string) []stack.End {
	t.Helper()
	ctx := contextOf(t, time.Minute)
	var ns corev1.Namespace
	must(t, cluster.Client.Get(ctx, key("", namespace), &ns))
	var pods corev1.PodList
	must(t, cluster.Client.List(ctx, &pods, client.InNamespace(namespace)))
	var ends []stack.End
	for _, pod := range pods.Items {
		if pod.Status.Phase == corev1.PodRunning && !pod.Spec.HostNetwork {
			ends = append(ends, stack.End{Pod: &pod, NamespaceLabels: ns.Labels, IP: pod.Status.PodIP})
		}
	}
	return ends
}
