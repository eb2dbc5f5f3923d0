package stack_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/test/stack"
)

func end(namespace, app, ip string, ports ...corev1.ContainerPort) stack.End {
	return stack.End{
		Pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: map[string]string{"app": app}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}},
		},
		NamespaceLabels: map[string]string{"name": namespace}, IP: ip,
	}
}

func TestPoliciesAdmitWhatTheAPISays(t *testing.T) {
	web := corev1.ContainerPort{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}
	server, friend := end("a", "server", "10.0.0.1", web), end("a", "friend", "10.0.0.2")
	stranger, outside := end("b", "friend", "10.0.1.2"), stack.End{IP: "192.0.2.7"}
	in, out := networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	for name, c := range map[string]struct {
		policy    string
		direction networkingv1.PolicyType
		from, to  stack.End
		protocol  corev1.Protocol
		port      int32
		want      bool
	}{
		"no rule denies":                       {`podSelector: {}`, in, friend, server, "TCP", 8080, false},
		"not selected is open":                 {`podSelector: {matchLabels: {app: other}}`, in, friend, server, "TCP", 8080, true},
		"ingress by default, egress open":      {`podSelector: {}`, out, server, friend, "TCP", 1, true},
		"egress rules make it for egress":      {"podSelector: {}\negress: [{ports: [{port: 1}]}]", out, server, friend, "TCP", 2, false},
		"types say the directions":             {"podSelector: {}\npolicyTypes: [Egress]", in, friend, server, "TCP", 1, true},
		"empty rule allows all":                {"podSelector: {}\ningress: [{}]", in, outside, server, "UDP", 1, true},
		"pod selector is of the own namespace": {"podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]", in, stranger, server, "TCP", 1, false},
		"pod selector matches":                 {"podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]", in, friend, server, "TCP", 1, true},
		"namespace selector":                   {"podSelector: {}\ningress: [{from: [{namespaceSelector: {matchLabels: {name: b}}}]}]", in, stranger, server, "TCP", 1, true},
		"both selectors":                       {"podSelector: {}\ningress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: x}}}]}]", in, stranger, server, "TCP", 1, false},
		"selectors match no outside address":   {"podSelector: {}\ningress: [{from: [{namespaceSelector: {}}]}]", in, outside, server, "TCP", 1, false},
		"block":                                {"podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]", in, outside, server, "TCP", 1, true},
		"block with exception":                 {"podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.0/29]}}]}]", in, outside, server, "TCP", 1, false},
		"number":                               {"podSelector: {}\ningress: [{ports: [{port: 8080}]}]", in, friend, server, "TCP", 8081, false},
		"protocol is TCP when left out":        {"podSelector: {}\ningress: [{ports: [{port: 8080}]}]", in, friend, server, "UDP", 8080, false},
		"protocol without port":                {"podSelector: {}\ningress: [{ports: [{protocol: UDP}]}]", in, friend, server, "UDP", 8080, true},
		"named port":                           {"podSelector: {}\ningress: [{ports: [{port: web}]}]", in, friend, server, "TCP", 8080, true},
		"named port that the pod has not":      {"podSelector: {}\ningress: [{ports: [{port: api}]}]", in, friend, server, "TCP", 8080, false},
		"named port of the pod called":         {"podSelector: {}\negress: [{ports: [{port: web}]}]", out, friend, server, "TCP", 8080, true},
		"end port, in":                         {"podSelector: {}\ningress: [{ports: [{port: 8000, endPort: 8080}]}]", in, friend, server, "TCP", 8080, true},
		"end port, out":                        {"podSelector: {}\ningress: [{ports: [{port: 8000, endPort: 8079}]}]", in, friend, server, "TCP", 8080, false},
		"ports and peers belong together":      {"podSelector: {}\ningress: [{ports: [{port: 1}]}, {ports: [{port: 2}], from: [{podSelector: {}}]}]", in, stranger, server, "TCP", 2, false},
		"egress to an outside address by port": {"podSelector: {}\negress: [{ports: [{port: 443}]}]", out, server, outside, "TCP", 443, true},
		"egress to pods only":                  {"podSelector: {}\negress: [{to: [{podSelector: {}}]}]", out, server, outside, "TCP", 443, false},
	} {
		t.Run(name, func(t *testing.T) {
			policy := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a"}}
			if err := yaml.UnmarshalStrict([]byte(c.policy), &policy.Spec); err != nil {
				t.Fatal(err)
			}
			if got := stack.Admits([]networkingv1.NetworkPolicy{policy}, c.direction, c.from, c.to, c.protocol, c.port); got != c.want {
				t.Errorf("admitted: %v, want %v", got, c.want)
			}
		})
	}
}

func TestOnePolicyThatAdmitsIsEnoughAndOthersNamespacesDoNotCount(t *testing.T) {
	deny := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a"}}
	foreign := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "b"}}
	allow := *deny.DeepCopy()
	allow.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	from, to := end("b", "x", "10.0.0.2"), end("a", "y", "10.0.0.1")
	for _, c := range []struct {
		policies []networkingv1.NetworkPolicy
		want     bool
	}{
		{nil, true},
		{[]networkingv1.NetworkPolicy{foreign}, true},
		{[]networkingv1.NetworkPolicy{deny, foreign}, false},
		{[]networkingv1.NetworkPolicy{deny, allow}, true},
	} {
		if got := stack.Admits(c.policies, networkingv1.PolicyTypeIngress, from, to, corev1.ProtocolTCP, 80); got != c.want {
			t.Errorf("%d policies: admitted is %v, want %v", len(c.policies), got, c.want)
		}
	}
}

func TestConntrackEvents(t *testing.T) {
	for line, want := range map[string]stack.Flow{
		"    [NEW] tcp      6 120 SYN_SENT src=10.100.0.5 dst=10.150.0.1 sport=4000 dport=443 [UNREPLIED] src=10.90.0.1 dst=10.100.0.5 sport=6443 dport=4000": {From: "10.100.0.5", To: "10.90.0.1", Protocol: "TCP", Port: 6443},
		"    [NEW] udp      17 30 src=10.100.0.5 dst=10.150.0.10 sport=4000 dport=53 [UNREPLIED] src=10.100.0.3 dst=10.100.0.5 sport=53 dport=4000":           {From: "10.100.0.5", To: "10.100.0.3", Protocol: "UDP", Port: 53},
	} {
		if got, ok := stack.ParseFlow(line); !ok || got != want {
			t.Errorf("%s: got %+v, want %+v", line, got, want)
		}
	}
	for _, line := range []string{
		"", "conntrack v1.4.7 (conntrack-tools): 3 flow events have been shown.",
		"    [NEW] icmp     1 30 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=1 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=1",
		"    [NEW] tcp      6 300 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1",
	} {
		if got, ok := stack.ParseFlow(line); ok {
			t.Errorf("%q is no new connection, but %+v came out", line, got)
		}
	}
}

func FuzzConntrackEvent(f *testing.F) {
	f.Add("    [NEW] udp      17 30 src=10.1.0.5 dst=10.1.0.1 sport=4 dport=53 [UNREPLIED] src=10.1.0.3 dst=10.1.0.5 sport=53 dport=4")
	f.Fuzz(func(t *testing.T, line string) {
		if flow, ok := stack.ParseFlow(line); ok && (flow.From == "" || flow.To == "" || flow.Port <= 0) {
			t.Errorf("%q gives %+v", line, flow)
		}
	})
}
