package stack

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// End is one end of a connection: a pod, or only an address.
type End struct {
	// Pod is nil for what is no pod of the cluster's own network, such as a node.
	Pod *corev1.Pod
	// NamespaceLabels are those of the pod's namespace.
	NamespaceLabels map[string]string
	IP              string
}

// Admits tells whether the policies let a connection through in a direction: into pod "to" with Ingress, out of pod
// "from" with Egress. Port is the one at "to", after the translation of Service addresses. As the NetworkPolicy API says,
// a pod that no policy selects for the direction is open, and otherwise any rule of any such policy is enough. What the
// API lets pass in any case, a node's own calls to its pods, is the caller's matter.
func Admits(policies []networkingv1.NetworkPolicy, direction networkingv1.PolicyType, from, to End, protocol corev1.Protocol, port int32) bool {
	self, peer := to, from
	if direction == networkingv1.PolicyTypeEgress {
		self, peer = from, to
	}
	selected := false
	for _, p := range policies {
		if self.Pod == nil || p.Namespace != self.Pod.Namespace || !hasDirection(p, direction) || !selects(&p.Spec.PodSelector, self.Pod.Labels) {
			continue
		}
		selected = true
		if direction == networkingv1.PolicyTypeIngress {
			for _, r := range p.Spec.Ingress {
				if portIn(r.Ports, to.Pod, protocol, port) && peerIn(r.From, p.Namespace, peer) {
					return true
				}
			}
			continue
		}
		for _, r := range p.Spec.Egress {
			if portIn(r.Ports, to.Pod, protocol, port) && peerIn(r.To, p.Namespace, peer) {
				return true
			}
		}
	}
	return !selected
}

// hasDirection follows the API's default: without types a policy is for ingress, and for egress if it has such rules.
func hasDirection(p networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if len(p.Spec.PolicyTypes) > 0 {
		return slices.Contains(p.Spec.PolicyTypes, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(p.Spec.Egress) > 0
}

func selects(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(set))
}

func portIn(ports []networkingv1.NetworkPolicyPort, target *corev1.Pod, protocol corev1.Protocol, port int32) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		want := corev1.ProtocolTCP
		if p.Protocol != nil {
			want = *p.Protocol
		}
		switch {
		case want != protocol:
			return false
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			return slices.Contains(namedPorts(target, p.Port.StrVal, protocol), port)
		case p.EndPort != nil:
			return p.Port.IntVal <= port && port <= *p.EndPort
		}
		return p.Port.IntVal == port
	})
}

func namedPorts(pod *corev1.Pod, name string, protocol corev1.Protocol) []int32 {
	var numbers []int32
	for _, p := range ContainerPorts(pod) {
		if p.Name == name && p.Protocol == protocol {
			numbers = append(numbers, p.ContainerPort)
		}
	}
	return numbers
}

// ContainerPorts returns the ports that a pod's containers declare, sidecars among the init containers included.
func ContainerPorts(pod *corev1.Pod) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	if pod != nil {
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			ports = append(ports, c.Ports...)
		}
	}
	return ports
}

func peerIn(peers []networkingv1.NetworkPolicyPeer, namespace string, end End) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		switch {
		case p.IPBlock != nil:
			return inBlock(p.IPBlock, end.IP)
		case end.Pod == nil:
			return false
		case p.NamespaceSelector == nil && end.Pod.Namespace != namespace:
			return false
		case p.NamespaceSelector != nil && !selects(p.NamespaceSelector, end.NamespaceLabels):
			return false
		}
		return p.PodSelector == nil || selects(p.PodSelector, end.Pod.Labels)
	})
}

func inBlock(block *networkingv1.IPBlock, address string) bool {
	ip, err := netip.ParseAddr(address)
	in := func(cidr string) bool {
		prefix, bad := netip.ParsePrefix(cidr)
		return err == nil && bad == nil && prefix.Contains(ip)
	}
	return in(block.CIDR) && !slices.ContainsFunc(block.Except, in)
}
