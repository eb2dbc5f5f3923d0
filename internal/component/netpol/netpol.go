// Package netpol builds the NetworkPolicies of components from who may call and who is called. Everything here is pure.
// Pods in the host network, such as node-exporter's, are beyond every NetworkPolicy.
package netpol

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// Policy returns a policy named like the component's other objects. What ingress and egress don't name is denied; the
// node's own probes always pass.
func Policy(
	kb *v1alpha1.KubeBot, componentName string,
	in []networkingv1.NetworkPolicyIngressRule, out []networkingv1.NetworkPolicyEgressRule,
) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{
			Name: naming.Object(kb, componentName), Namespace: kb.Namespace, Labels: naming.Labels(kb, componentName),
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: naming.Selector(kb, componentName)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     in,
			Egress:      out,
		},
	}
}

// Component is the pods of a component of the same KubeBot.
func Component(kb *v1alpha1.KubeBot, name string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: naming.Selector(kb, name)}}
}

// Part is all pods of a component of the same KubeBot, of whatever name, such as both tiers of the collector.
func Part(kb *v1alpha1.KubeBot, component string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
		naming.LabelComponent: component, naming.LabelName: kb.Name, naming.LabelNamespace: kb.Namespace,
	}}}
}

// Manager is the pods of KubeBot's manager.
func Manager(in component.Input) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: in.Install.ReleaseNamespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "kubebot-manager"}},
	}
}

// AnyPod is every pod of the cluster.
func AnyPod() networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}}
}

// Prometheus is who scrapes: the managed Prometheus, else every pod, because an outside one may be anywhere.
func Prometheus(kb *v1alpha1.KubeBot) networkingv1.NetworkPolicyPeer {
	if m := kb.Spec.Metrics.Prometheus.Mode; m == v1alpha1.ModeExternal || m == v1alpha1.ModeDisabled {
		return AnyPod()
	}
	return Component(kb, "prometheus")
}

// Grafana is who shows what the stores hold: the managed Grafana, else every pod, because an outside one may be anywhere.
func Grafana(kb *v1alpha1.KubeBot) networkingv1.NetworkPolicyPeer {
	if kb.Spec.Dashboards.Grafana.Mode == v1alpha1.ModeExternal {
		return AnyPod()
	}
	return Component(kb, "grafana")
}

// From allows peers to call TCP ports.
func From(ports []int, peers ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicyIngressRule {
	return networkingv1.NetworkPolicyIngressRule{From: peers, Ports: TCP(ports...)}
}

// To allows calls to TCP ports of peers.
func To(ports []int, peers ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicyEgressRule {
	return networkingv1.NetworkPolicyEgressRule{To: peers, Ports: TCP(ports...)}
}

// DNS allows name look-ups, wherever the cluster's DNS is: it may be a pod, a node's cache or outside. Policies see the port
// of the pod behind the Service, which is 5353 where DNS runs without rights.
func DNS() networkingv1.NetworkPolicyEgressRule {
	return networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{
		port(corev1.ProtocolUDP, 53), port(corev1.ProtocolTCP, 53), port(corev1.ProtocolUDP, 5353), port(corev1.ProtocolTCP, 5353),
	}}
}

// APIServer allows calls to the API server, which no selector can name, by the ports that the chart was told, else the
// usual ones.
func APIServer(in component.Input) networkingv1.NetworkPolicyEgressRule {
	if len(in.Install.APIServerPorts) > 0 {
		return networkingv1.NetworkPolicyEgressRule{Ports: TCP(in.Install.APIServerPorts...)}
	}
	return networkingv1.NetworkPolicyEgressRule{Ports: TCP(443, 6443)}
}

// AnyTCP allows calls to every TCP port everywhere, for what the user may place anywhere.
func AnyTCP() networkingv1.NetworkPolicyEgressRule {
	return networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP)}}}
}

// TCP names TCP ports.
func TCP(numbers ...int) []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	for _, n := range numbers {
		ports = append(ports, port(corev1.ProtocolTCP, n))
	}
	return ports
}

// UDP names a UDP port.
func UDP(number int) networkingv1.NetworkPolicyPort { return port(corev1.ProtocolUDP, number) }

func port(protocol corev1.Protocol, number int) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: new(intstr.FromInt(number))}
}
