package networkpolicy

import (
	"net"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Peer is one end of a call: a pod of the policies' namespace, or only an address.
type Peer struct {
	// Pod is nil where the other end is outside the namespace.
	Pod *corev1.Pod
	IP  string
	// Namespace holds the labels of the namespace.
	Namespace map[string]string
}

// Port is the port that a call goes to at the pod.
type Port struct {
	Number   int32
	Protocol corev1.Protocol
}

// Cut returns the names of the policies that select the pod in the direction if none of them allows the call, and
// nothing if the call is allowed. The rules are those of the NetworkPolicy API: no policy means that all is allowed;
// otherwise the policies together allow what any rule of one allows.
func Cut(policies []networkingv1.NetworkPolicy, direction networkingv1.PolicyType, pod *corev1.Pod, other Peer, port Port) []string {
	var names []string
	for i := range policies {
		p := &policies[i]
		if !applies(p, direction) || !matches(&p.Spec.PodSelector, pod.Labels) {
			continue
		}
		if allows(p, direction, pod, other, port) {
			return nil
		}
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

func applies(p *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if len(p.Spec.PolicyTypes) > 0 {
		return slices.Contains(p.Spec.PolicyTypes, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(p.Spec.Egress) > 0
}

func matches(s *metav1.LabelSelector, set map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(set))
}

func allows(p *networkingv1.NetworkPolicy, direction networkingv1.PolicyType, pod *corev1.Pod, other Peer, port Port) bool {
	if direction == networkingv1.PolicyTypeIngress {
		return slices.ContainsFunc(p.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
			return anyPort(r.Ports, pod, port) && anyPeer(r.From, other)
		})
	}
	return slices.ContainsFunc(p.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
		return anyPort(r.Ports, other.Pod, port) && anyPeer(r.To, other)
	})
}

func anyPort(ports []networkingv1.NetworkPolicyPort, pod *corev1.Pod, port Port) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if protocol != port.Protocol {
			return false
		}
		switch {
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			return named(pod, p.Port.StrVal) == port.Number
		case p.EndPort != nil:
			return p.Port.IntVal <= port.Number && port.Number <= *p.EndPort
		}
		return p.Port.IntVal == port.Number
	})
}

// named is the number of a pod's named port, or 0.
func named(pod *corev1.Pod, name string) int32 {
	if pod == nil {
		return 0
	}
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return p.ContainerPort
			}
		}
	}
	return 0
}

func anyPeer(peers []networkingv1.NetworkPolicyPeer, other Peer) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		if p.IPBlock != nil {
			return inBlock(p.IPBlock, other.IP)
		}
		if other.Pod == nil {
			return false
		}
		if p.NamespaceSelector != nil && !matches(p.NamespaceSelector, other.Namespace) {
			return false
		}
		return p.PodSelector == nil || matches(p.PodSelector, other.Pod.Labels)
	})
}

func inBlock(b *networkingv1.IPBlock, address string) bool {
	ip := net.ParseIP(address)
	_, block, err := net.ParseCIDR(b.CIDR)
	if ip == nil || err != nil || !block.Contains(ip) {
		return false
	}
	return !slices.ContainsFunc(b.Except, func(text string) bool {
		_, except, err := net.ParseCIDR(text)
		return err == nil && except.Contains(ip)
	})
}
