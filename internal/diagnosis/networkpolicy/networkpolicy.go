// Package networkpolicy finds NetworkPolicies that cut a call which the workload makes.
package networkpolicy

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/calls"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
	"github.com/kubebot/kubebot/internal/diagnosis/service"
)

// Detector finds cut calls.
var Detector = diagnosis.Detector{Name: "networkpolicy", Doc: "NetworkPolicies that cut a call", Detect: detect}

// call is a call that the workload makes, by its log or by its settings.
type call struct {
	endpoint logline.Endpoint
	evidence string
	score    float64
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	if len(f.Policies) == 0 || len(f.Pods) == 0 {
		return nil
	}
	from := &f.Pods[0]
	var out []diagnosis.Finding
	for _, c := range callsOf(f) {
		if x, ok := check(f, from, c); ok {
			out = append(out, x)
		}
	}
	return append(out, names(f, from)...)
}

func callsOf(f *diagnosis.Facts) []call {
	var out []call
	seen := map[string]bool{}
	for _, c := range calls.Of(f, logline.ClassTimeout, logline.ClassRefused) {
		seen[c.Endpoint.Host] = true
		out = append(out, call{c.Endpoint, c.Evidence(), diagnosis.ScoreStrong})
	}
	for _, container := range f.Workload.Template.Spec.Containers {
		for _, e := range container.Env {
			if to, ok := address(e.Value); ok && !seen[to.Host] {
				out = append(out, call{to, fmt.Sprintf("environment variable %s of container %s is %s", e.Name, container.Name, to), diagnosis.ScorePossible})
			}
		}
	}
	return out
}

// address reads host and port of a setting such as http://cart:8080 or cart:9090.
func address(value string) (logline.Endpoint, bool) {
	if strings.Contains(value, "://") {
		if u, err := url.Parse(value); err == nil && u.Hostname() != "" {
			e, _ := logline.EndpointOf(value)
			return e, e.Port != 0
		}
		return logline.Endpoint{}, false
	}
	host, port, err := net.SplitHostPort(value)
	if err != nil || host == "" {
		return logline.Endpoint{}, false
	}
	n, err := strconv.Atoi(port)
	return logline.Endpoint{Host: host, Port: n}, err == nil
}

func check(f *diagnosis.Facts, from *corev1.Pod, c call) (diagnosis.Finding, bool) {
	s := calls.Service(f, c.endpoint.Host)
	if s == nil {
		return diagnosis.Finding{}, false
	}
	to := behind(f, s)
	if to == nil {
		return diagnosis.Finding{}, false
	}
	port, ok := target(s, to, c.endpoint.Port)
	if !ok {
		return diagnosis.Finding{}, false
	}
	var ns map[string]string
	if f.Namespace != nil {
		ns = f.Namespace.Labels
	}
	ways := []struct {
		direction networkingv1.PolicyType
		pod       *corev1.Pod
		other     Peer
		says      string
	}{
		{networkingv1.PolicyTypeEgress, from, Peer{Pod: to, IP: to.Status.PodIP, Namespace: ns}, "does not allow it out (egress)"},
		{networkingv1.PolicyTypeIngress, to, Peer{Pod: from, IP: from.Status.PodIP, Namespace: ns}, "does not allow it in (ingress)"},
	}
	for _, w := range ways {
		policies := Cut(f.Policies, w.direction, w.pod, w.other, port)
		if len(policies) == 0 {
			continue
		}
		x := diagnosis.Finding{
			Kind: diagnosis.KindNetwork, Object: object(f, policies[0]), Field: "spec." + strings.ToLower(string(w.direction)), Value: fmt.Sprintf("port %d", port.Number), Score: c.score,
			Sentence: fmt.Sprintf("NetworkPolicy %s cuts the call of %s to Service %s on port %d: it %s", strings.Join(policies, " and "), f.Workload.Object, s.Name, port.Number, w.says),
			Evidence: []string{c.evidence},
		}
		x.Fix = allow(f, x.Object, w.direction, from, to, port)
		return x, true
	}
	return diagnosis.Finding{}, false
}

func object(f *diagnosis.Facts, name string) diagnosis.Object {
	return diagnosis.Object{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespace: f.NS(), Name: name}
}

// behind is a pod that the Service selects.
func behind(f *diagnosis.Facts, s *corev1.Service) *corev1.Pod {
	for _, list := range [][]corev1.Pod{f.Neighbours, f.Pods} {
		for i := range list {
			if service.Matches(s, list[i].Labels) {
				return &list[i]
			}
		}
	}
	return nil
}

// target is the pod's port behind a port of a Service.
func target(s *corev1.Service, to *corev1.Pod, port int) (Port, bool) {
	for _, p := range s.Spec.Ports {
		if int(p.Port) != port && !(port == 0 && len(s.Spec.Ports) == 1) {
			continue
		}
		out := Port{Number: p.TargetPort.IntVal, Protocol: p.Protocol}
		if p.TargetPort.Type == intstr.String {
			out.Number = named(to, p.TargetPort.StrVal)
		}
		if out.Number == 0 {
			out.Number = p.Port
		}
		if out.Protocol == "" {
			out.Protocol = corev1.ProtocolTCP
		}
		return out, true
	}
	return Port{}, false
}

// allow adds a rule for the call to the policy: the labels are those that select the pods of the other end.
func allow(f *diagnosis.Facts, policy diagnosis.Object, direction networkingv1.PolicyType, from, to *corev1.Pod, port Port) diagnosis.Fix {
	peer, list, side := from.Labels, "from", "ingress"
	if direction == networkingv1.PolicyTypeEgress {
		peer, list, side = to.Labels, "to", "egress"
	}
	stable := map[string]string{}
	for k, v := range peer {
		if k != "pod-template-hash" && k != "controller-revision-hash" && k != "statefulset.kubernetes.io/pod-name" {
			stable[k] = v
		}
	}
	rule := map[string]any{
		list:    []any{map[string]any{"podSelector": map[string]any{"matchLabels": stable}}},
		"ports": []any{map[string]any{"protocol": port.Protocol, "port": port.Number}},
	}
	op := diagnosis.Operation{Op: "add", Path: "/spec/" + side + "/-", Value: rule}
	for i := range f.Policies {
		p := &f.Policies[i]
		if p.Name == policy.Name && (side == "ingress" && len(p.Spec.Ingress) == 0 || side == "egress" && len(p.Spec.Egress) == 0) {
			op.Path, op.Value = "/spec/"+side, []any{rule}
		}
	}
	return diagnosis.FixBy("Allow the call by a rule of its own, if it is meant to be.", []diagnosis.Patch{diagnosis.JSONPatch(policy, op)})
}

// names finds policies that cut the look-up of names: no egress rule has port 53, and the log shows failing look-ups.
func names(f *diagnosis.Facts, from *corev1.Pod) []diagnosis.Finding {
	failed := calls.Of(f, logline.ClassDNS)
	if len(failed) == 0 {
		return nil
	}
	var cut []string
	for i := range f.Policies {
		p := &f.Policies[i]
		if !applies(p, networkingv1.PolicyTypeEgress) || !matches(&p.Spec.PodSelector, from.Labels) {
			continue
		}
		for _, r := range p.Spec.Egress {
			if anyPort(r.Ports, nil, Port{53, corev1.ProtocolUDP}) {
				return nil // where to is another question
			}
		}
		cut = append(cut, p.Name)
	}
	if len(cut) == 0 {
		return nil
	}
	x := diagnosis.Finding{
		Kind: diagnosis.KindNetwork, Object: object(f, cut[0]), Field: "spec.egress", Value: "port 53", Score: diagnosis.ScoreStrong,
		Sentence: fmt.Sprintf("NetworkPolicy %s does not allow %s to ask the DNS: no egress rule has port 53", strings.Join(cut, " and "), f.Workload.Object),
		Evidence: []string{failed[0].Evidence()},
	}
	rule := map[string]any{"ports": []any{map[string]any{"protocol": "UDP", "port": 53}, map[string]any{"protocol": "TCP", "port": 53}}}
	op := diagnosis.Operation{Op: "add", Path: "/spec/egress/-", Value: rule}
	for i := range f.Policies {
		if f.Policies[i].Name == cut[0] && len(f.Policies[i].Spec.Egress) == 0 {
			op.Path, op.Value = "/spec/egress", []any{rule}
		}
	}
	x.Fix = diagnosis.FixBy("Allow port 53 out.", []diagnosis.Patch{diagnosis.JSONPatch(x.Object, op)})
	return []diagnosis.Finding{x}
}
