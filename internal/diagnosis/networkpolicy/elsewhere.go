package networkpolicy

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/calls"
)

// Elsewhere is the other end of a call that is no known pod or Service of the policies' namespace: in another namespace,
// outside the cluster, or a pod that is not known.
type Elsewhere struct {
	// Inside and Outside tell whether it may be in the cluster and outside of it; both where that is unknown.
	Inside, Outside bool
	// Namespace is empty where it is unknown.
	Namespace string
	// Own is set where it may be in the policies' own namespace after all: a former pod, or one by a name of its own.
	Own bool
	// Anywhere is set where it may be a Service in the cluster whose endpoints are no pods, as those of the API server:
	// policies see their addresses, which may be outside.
	Anywhere bool
	// Address is nil where it is unknown. In the cluster it may be that of a Service, which policies do not see.
	Address net.IP
	// Port has number 0 where it is unknown. In the cluster it may be that of a Service, too.
	Port Port
	// Cluster holds some addresses of pods and nodes.
	Cluster []net.IP
}

// CutElsewhere returns the names of the policies that select the pod if it is certain that no egress rule of one allows
// the call, and nothing if a rule may allow it.
func CutElsewhere(policies []networkingv1.NetworkPolicy, pod *corev1.Pod, to Elsewhere) []string {
	var names []string
	for i := range policies {
		p := &policies[i]
		if !applies(p, networkingv1.PolicyTypeEgress) || !matches(&p.Spec.PodSelector, pod.Labels) {
			continue
		}
		if slices.ContainsFunc(p.Spec.Egress, to.mayPass) {
			return nil
		}
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

func (e Elsewhere) mayPass(r networkingv1.NetworkPolicyEgressRule) bool {
	return e.Outside && e.portOutside(r.Ports) && e.peerOutside(r.To) || e.Inside && e.portInside(r.Ports) && e.peerInside(r.To)
}

func (e Elsewhere) portOutside(ports []networkingv1.NetworkPolicyPort) bool {
	return e.Port.Number == 0 && e.portInside(ports) || e.Port.Number != 0 && anyPort(ports, nil, e.Port)
}

// portInside lets every port pass, as a Service may lead to another one, but the DNS's alone.
func (e Elsewhere) portInside(ports []networkingv1.NetworkPolicyPort) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		onlyDNS := p.Port != nil && p.Port.IntVal == dns && p.EndPort == nil
		return protocol == e.Port.Protocol && (!onlyDNS || e.Port.Number == dns)
	})
}

func (e Elsewhere) peerOutside(peers []networkingv1.NetworkPolicyPeer) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		return p.IPBlock != nil && (e.Address == nil || inBlock(p.IPBlock, e.Address.String()))
	})
}

// peerInside leaves out what certainly is not meant: the policy's own namespace unless it may be there, others by name,
// and addresses outside unless a Service may lead there.
func (e Elsewhere) peerInside(peers []networkingv1.NetworkPolicyPeer) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		if p.IPBlock != nil {
			return e.Anywhere || e.holdsCluster(p.IPBlock)
		}
		if p.NamespaceSelector == nil {
			return e.Own
		}
		return e.mayBeNamespace(p.NamespaceSelector)
	})
}

// holdsCluster tells whether a block may hold addresses of the cluster.
func (e Elsewhere) holdsCluster(b *networkingv1.IPBlock) bool {
	_, block, err := net.ParseCIDR(b.CIDR)
	return err != nil || len(e.Cluster) == 0 || private(block.IP) ||
		slices.ContainsFunc(e.Cluster, func(ip net.IP) bool { return inBlock(b, ip.String()) })
}

// mayBeNamespace tells whether a selector may match the namespace, of whose labels only the name is known.
func (e Elsewhere) mayBeNamespace(s *metav1.LabelSelector) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil || e.Namespace == "" {
		return true
	}
	requirements, _ := selector.Requirements()
	return !slices.ContainsFunc(requirements, func(r labels.Requirement) bool {
		return r.Key() == corev1.LabelMetadataName && !r.Matches(labels.Set{corev1.LabelMetadataName: e.Namespace})
	})
}

// shared are the addresses between providers and their customers, from which some clusters take those of their pods.
var shared = net.IPNet{IP: net.IPv4(100, 64, 0, 0).To4(), Mask: net.CIDRMask(10, 32)}

func private(ip net.IP) bool { return ip.IsPrivate() || shared.Contains(ip) }

var (
	// silent is a connection that nobody answered. One that was made and fell silent later went through.
	silent = regexp.MustCompile(`(?i)dial tcp .*(?:timeout|deadline exceeded)|connect(?:ion)? timed out|connect ETIMEDOUT|timeout expired`)
	made   = regexp.MustCompile(`(?i)\b(?:read|write) tcp |could not receive|proxyconnect`)
	dialed = regexp.MustCompile(
		`(?:(?:dial tcp|ETIMEDOUT|connect to|connecting to|connection to) |server at "[^"]*" \()((?:\d{1,3}\.){3}\d{1,3})(?::|\), port )(\d{1,5})\b`)
)

// elsewhereOf reads from a call where it went, if that is no Service of the namespace and no pod known there.
func elsewhereOf(f *diagnosis.Facts, from *corev1.Pod, c call) (Elsewhere, bool) {
	host := strings.TrimSuffix(c.endpoint.Host, ".")
	if _, own := calls.Name(f, host); own || host == "" || host == "localhost" {
		return Elsewhere{}, false
	}
	to := Elsewhere{Outside: true, Address: net.ParseIP(host), Port: Port{int32(c.endpoint.Port), corev1.ProtocolTCP}, Cluster: addresses(f, from)}
	if m := dialed.FindStringSubmatch(c.line); m != nil && to.Address == nil {
		to.Address = net.ParseIP(m[1])
		if port, err := strconv.Atoi(m[2]); err == nil {
			to.Port.Number = int32(port)
		}
	}
	parts := strings.Split(host, ".")
	if i := slices.Index(parts, "svc"); i > 1 {
		to.Inside, to.Outside, to.Anywhere, to.Namespace = true, false, true, parts[i-1]
		return to, to.Namespace != f.NS()
	}
	switch {
	case to.Address != nil:
		to.Inside = mayBePod(from, to.Address)
		to.Own = to.Inside
		to.Anywhere = to.Inside && !slices.ContainsFunc(to.Cluster, to.Address.Equal)
	case len(parts) == 2: // cart.billing is a Service there, a pod behind a Service here, or a host of the internet
		to.Inside, to.Own, to.Anywhere = true, true, true
	case len(parts) == 3: // db-0.db.billing is a pod there, or a host of the internet
		to.Inside, to.Own, to.Namespace = true, parts[2] == f.NS(), parts[2]
	}
	return to, to.Address == nil || !to.Address.IsLoopback() && !to.Address.IsLinkLocalUnicast() && !ofNamespace(f, to.Address) && !ofNode(f, to.Address)
}

// mayBePod tells whether an address may be one of the cluster's pods or Services. Where pods have public addresses, each
// of the same family may be.
func mayBePod(from *corev1.Pod, ip net.IP) bool {
	return private(ip) || slices.ContainsFunc(podIPs(from), func(own net.IP) bool {
		return !private(own) && (own.To4() == nil) == (ip.To4() == nil)
	})
}

// podIPs are all addresses of a pod, of which it has one of each family.
func podIPs(p *corev1.Pod) []net.IP {
	texts := []string{p.Status.PodIP}
	for _, ip := range p.Status.PodIPs {
		texts = append(texts, ip.IP)
	}
	return parse(texts)
}

// parse leaves out what is no address.
func parse(texts []string) []net.IP {
	var out []net.IP
	for _, text := range texts {
		if ip := net.ParseIP(text); ip != nil {
			out = append(out, ip)
		}
	}
	return out
}

// addresses are some of the cluster's: the pod's, its node's and those of other nodes.
func addresses(f *diagnosis.Facts, from *corev1.Pod) []net.IP {
	texts := []string{from.Status.HostIP}
	for i := range f.Nodes {
		for _, a := range f.Nodes[i].Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				texts = append(texts, a.Address)
			}
		}
	}
	return append(podIPs(from), parse(texts)...)
}

// ofNamespace tells whether an address is that of a pod of the namespace.
func ofNamespace(f *diagnosis.Facts, ip net.IP) bool {
	is := func(p corev1.Pod) bool { return slices.ContainsFunc(podIPs(&p), ip.Equal) }
	return slices.ContainsFunc(f.Pods, is) || slices.ContainsFunc(f.Neighbours, is)
}

// ofNode tells whether an address is that of a node on which a pod of the workload runs, to which policies allow all.
func ofNode(f *diagnosis.Facts, ip net.IP) bool {
	return slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool {
		texts := []string{p.Status.HostIP}
		for _, host := range p.Status.HostIPs {
			texts = append(texts, host.IP)
		}
		return slices.ContainsFunc(parse(texts), ip.Equal)
	})
}

// leaves finds policies that cut a call to another namespace or out of the cluster, which then falls silent.
func leaves(f *diagnosis.Facts, from *corev1.Pod, c call) (diagnosis.Finding, bool) {
	if !silent.MatchString(c.line) || made.MatchString(c.line) {
		return diagnosis.Finding{}, false
	}
	to, ok := elsewhereOf(f, from, c)
	if !ok {
		return diagnosis.Finding{}, false
	}
	cut := CutElsewhere(f.Policies, from, to)
	if len(cut) == 0 {
		return diagnosis.Finding{}, false
	}
	x := diagnosis.Finding{
		Kind: diagnosis.KindNetwork, Object: object(f, cut[0]), Field: "spec.egress", Value: c.endpoint.String(), Score: c.score,
		Sentence: fmt.Sprintf("NetworkPolicy %s cuts the call of %s to %s: no egress rule leads there",
			strings.Join(cut, " and "), f.Workload.Object, c.endpoint),
		Evidence: []string{c.evidence},
	}
	x.Fix = allowElsewhere(f, x.Object, c.endpoint.Host, to)
	return x, true
}

// allowElsewhere adds a rule where one can be written: a policy knows no names of hosts, and no address of a Service.
func allowElsewhere(f *diagnosis.Facts, policy diagnosis.Object, host string, to Elsewhere) diagnosis.Fix {
	switch {
	case to.Namespace != "" && !to.Outside && !strings.HasPrefix(host, "kubernetes.default."): // the API server's addresses are no pods'
		rule := map[string]any{"to": []any{map[string]any{"namespaceSelector": map[string]any{
			"matchLabels": map[string]string{corev1.LabelMetadataName: to.Namespace},
		}}}}
		return diagnosis.FixBy(
			fmt.Sprintf("Allow the calls to namespace %s, if they are meant to be; a podSelector and the port of the pods there allow less.",
				to.Namespace),
			[]diagnosis.Patch{diagnosis.JSONPatch(policy, adds(f, policy, "egress", rule))})
	case !to.Inside && to.Address != nil && to.Address.String() == host && to.Address.To4() != nil && to.Port.Number != 0:
		rule := map[string]any{
			"to":    []any{map[string]any{"ipBlock": map[string]any{"cidr": host + "/32"}}},
			"ports": []any{map[string]any{"protocol": to.Port.Protocol, "port": to.Port.Number}},
		}
		return diagnosis.FixBy("Allow the call by a rule of its own, if it is meant to be.",
			[]diagnosis.Patch{diagnosis.JSONPatch(policy, adds(f, policy, "egress", rule))})
	}
	by := "an ipBlock of its addresses"
	if to.Inside {
		by = "the namespace where it is in the cluster, else " + by
	}
	if to.Own {
		by = "the labels of its pods where it is in namespace " + f.NS() + ", " + by
	}
	return diagnosis.Fix{
		Explanation: fmt.Sprintf("Allow the call to %s by an egress rule of its own, if it is meant to be: with %s.", host, by),
		Commands:    []string{diagnosis.Kubectl(f.NS(), "edit", "networkpolicy", policy.Name)},
	}
}
