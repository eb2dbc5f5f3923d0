package networkpolicy

import (
	"net"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// A call is only said to be cut if no reading of the rules lets it pass.
func TestCutElsewhere(t *testing.T) {
	tcp := func(port int32) Port { return Port{port, corev1.ProtocolTCP} }
	cluster := []net.IP{net.ParseIP("10.0.0.5"), net.ParseIP("172.20.1.1")}
	outside := Elsewhere{Outside: true, Address: net.ParseIP("203.0.113.7"), Port: tcp(443), Cluster: cluster}
	byName := Elsewhere{Outside: true, Port: tcp(443), Cluster: cluster}
	billing := Elsewhere{Inside: true, Anywhere: true, Namespace: "billing", Port: tcp(80), Cluster: cluster}
	pod := Elsewhere{Inside: true, Namespace: "billing", Port: tcp(80), Cluster: cluster}
	stale := Elsewhere{Inside: true, Outside: true, Own: true, Anywhere: true, Address: net.ParseIP("10.0.7.7"), Port: tcp(7946), Cluster: cluster}
	resolver := Elsewhere{Inside: true, Outside: true, Address: net.ParseIP("10.96.0.10"), Port: Port{53, corev1.ProtocolUDP}, Cluster: cluster}
	const internet = `[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12]}}]}]`
	for name, c := range map[string]struct {
		egress string
		to     Elsewhere
		cut    bool
	}{
		"no rule":                                        {`[]`, outside, true},
		"a rule for all":                                 {`[{}]`, outside, false},
		"another port":                                   {`[{ports: [{port: 80}]}]`, outside, true},
		"a range of ports":                               {`[{ports: [{port: 400, endPort: 500}]}]`, outside, false},
		"pods are not outside":                           {`[{to: [{namespaceSelector: {}}]}]`, outside, true},
		"another block":                                  {`[{to: [{ipBlock: {cidr: 198.51.100.0/24}}]}]`, outside, true},
		"a block may hold an unknown address":            {`[{to: [{ipBlock: {cidr: 198.51.100.0/24}}]}]`, byName, false},
		"the DNS's port alone":                           {`[{ports: [{port: 53}, {port: 53, protocol: UDP}]}]`, billing, true},
		"a Service's port may lead to another":           {`[{to: [{namespaceSelector: {}}], ports: [{port: 8080}]}]`, billing, false},
		"the namespace by name":                          {`[{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: billing}}}]}]`, billing, false},
		"another namespace by name":                      {`[{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: stock}}}]}]`, billing, true},
		"a namespace may have any other label":           {`[{to: [{namespaceSelector: {matchLabels: {team: pay}}}]}]`, billing, false},
		"the own namespace":                              {`[{to: [{podSelector: {}}]}]`, billing, true},
		"a former pod of the own namespace":              {`[{to: [{podSelector: {matchLabels: {app: db}}}]}]`, stale, false},
		"a former pod of another namespace":              {`[{to: [{namespaceSelector: {}}]}]`, stale, false},
		"a former pod, and no rule for pods":             {`[{to: [{podSelector: {}}], ports: [{port: 53}]}]`, stale, true},
		"the cluster's DNS is not in the own namespace":  {`[{to: [{podSelector: {}}]}]`, resolver, true},
		"the internet is not in the cluster":             {internet, pod, true},
		"a Service may lead to the internet":             {internet, billing, false},
		"an address may be a Service's of the internet":  {internet, stale, false},
		"a block that leaves out the pods, not the node": {`[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]`, pod, false},
		"the cluster's DNS is not in the internet":       {internet, resolver, true},
		"TCP alone does not ask the DNS":                 {`[{ports: [{port: 53}]}]`, resolver, true},
		"the DNS's pods may listen on another port":      {`[{to: [{namespaceSelector: {}}], ports: [{port: 5353, protocol: UDP}]}]`, resolver, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}}}
			if err := yaml.UnmarshalStrict([]byte(c.egress), &p.Spec.Egress); err != nil {
				t.Fatal(err)
			}
			if got := CutElsewhere([]networkingv1.NetworkPolicy{p}, &corev1.Pod{}, c.to); (len(got) > 0) != c.cut {
				t.Errorf("cut by %v, want cut: %t", got, c.cut)
			}
		})
	}
}
