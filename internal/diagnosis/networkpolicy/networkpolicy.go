// Package networkpolicy finds NetworkPolicies that cut a call which the workload makes.
package networkpolicy

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// line of the log; empty for a setting.
	line string
}

// dns is the port of the DNS.
const dns = 53

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	if len(f.Policies) == 0 || len(f.Pods) == 0 {
		return nil
	}
	from := &f.Pods[0]
	if from.Spec.HostNetwork { // policies do not hold for the node's network
		return nil
	}
	var out []diagnosis.Finding
	for _, c := range callsOf(f) {
		find := check
		if calls.Service(f, c.endpoint.Host) == nil {
			find = leaves
		}
		if x, ok := find(f, from, c); ok {
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
		out = append(out, call{c.Endpoint, c.Evidence(), diagnosis.ScoreStrong, c.Line})
	}
	for _, container := range f.Workload.Template.Spec.Containers {
		for _, e := range container.Env {
			if to, ok := address(e.Value); ok && !seen[to.Host] {
				out = append(out, call{to, fmt.Sprintf("environment variable %s of container %s is %s", e.Name, container.Name, to),
					diagnosis.ScorePossible, ""})
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
	if to == nil || to.Spec.HostNetwork {
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
			Kind: diagnosis.KindNetwork, Object: object(f, policies[0]), Field: "spec." + strings.ToLower(string(w.direction)),
			Value: fmt.Sprintf("port %d", port.Number), Score: c.score,
			Sentence: fmt.Sprintf("NetworkPolicy %s cuts the call of %s to Service %s on port %d: it %s",
				strings.Join(policies, " and "), f.Workload.Object, s.Name, port.Number, w.says),
			Evidence: []string{c.evidence},
		}
		other := callers(f.Workload, from)
		if w.direction == networkingv1.PolicyTypeEgress {
			other = metav1.LabelSelector{MatchLabels: s.Spec.Selector}
		}
		x.Fix = allow(f, x.Object, w.direction, other, port)
		return x, true
	}
	return diagnosis.Finding{}, false
}

func object(f *diagnosis.Facts, name string) diagnosis.Object {
	return diagnosis.Object{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespace: f.NS(), Name: name}
}

// behind is a pod that gets what is sent to the Service, another workload's where there is one.
func behind(f *diagnosis.Facts, s *corev1.Service) *corev1.Pod {
	pods := service.Pods(f, s)
	if len(pods) == 0 {
		return nil
	}
	return pods[len(pods)-1]
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

// callers selects the pods of the workload that calls, also those that it makes later.
func callers(w diagnosis.Workload, from *corev1.Pod) metav1.LabelSelector {
	switch w.Kind {
	case "Deployment", "StatefulSet", "DaemonSet": // of others the selector names the one object that made the pods
		if w.Selects(from.Labels) {
			return *w.Selector
		}
	}
	return metav1.LabelSelector{MatchLabels: lasting(from.Labels)}
}

// passing are labels that controllers give to one pod, or to the pods of one revision or run.
var passing = []string{
	appsv1.DefaultDeploymentUniqueLabelKey, appsv1.ControllerRevisionHashLabelKey, appsv1.StatefulSetPodNameLabel, appsv1.PodIndexLabel,
	batchv1.ControllerUidLabel, batchv1.JobNameLabel, batchv1.JobCompletionIndexAnnotation, "controller-uid", "job-name", "rollouts-pod-template-hash",
}

// lasting are the labels of a pod that the next one of its owner has too.
func lasting(set map[string]string) map[string]string {
	out := maps.Clone(set)
	maps.DeleteFunc(out, func(label, _ string) bool { return slices.Contains(passing, label) })
	return out
}

// allow adds a rule for the call to the policy; other selects the pods of the other end.
func allow(f *diagnosis.Facts, policy diagnosis.Object, direction networkingv1.PolicyType, other metav1.LabelSelector, port Port) diagnosis.Fix {
	const explanation = "Allow the call by a rule of its own, if it is meant to be."
	if len(other.MatchLabels)+len(other.MatchExpressions) == 0 { // which selects all pods
		return diagnosis.Fix{Explanation: explanation + " The pods of the other end have no label that stays, so give them one in their template first.",
			Commands: []string{diagnosis.Kubectl(policy.Namespace, "get", policy.Arg(), "-o", "yaml")}}
	}
	list, side := "from", "ingress"
	if direction == networkingv1.PolicyTypeEgress {
		list, side = "to", "egress"
	}
	rule := map[string]any{
		list:    []any{map[string]any{"podSelector": other}},
		"ports": []any{map[string]any{"protocol": port.Protocol, "port": port.Number}},
	}
	return diagnosis.FixBy(explanation, []diagnosis.Patch{diagnosis.JSONPatch(policy, adds(f, policy, side, rule))})
}

// adds is the operation that adds a rule to a side of a policy, which may have none yet.
func adds(f *diagnosis.Facts, policy diagnosis.Object, side string, rule map[string]any) diagnosis.Operation {
	for i := range f.Policies {
		p := &f.Policies[i]
		if p.Name == policy.Name && (side == "ingress" && len(p.Spec.Ingress) == 0 || side == "egress" && len(p.Spec.Egress) == 0) {
			return diagnosis.Operation{Op: "add", Path: "/spec/" + side, Value: []any{rule}}
		}
	}
	return diagnosis.Operation{Op: "add", Path: "/spec/" + side + "/-", Value: rule}
}

var (
	// unanswered is a look-up without an answer.
	unanswered = regexp.MustCompile(`(?i)i/o timeout|deadline exceeded|timed out|EAI_AGAIN|temporary failure in name resolution|server host '[^']+' \(-3\)`)
	// rejected is what some network plugins make of a cut, but also a DNS without pods.
	rejected = regexp.MustCompile(`(?i)connection refused`)
	// mute is what curl, Java, BusyBox and nginx say of a look-up that failed, with an answer or without one.
	mute = regexp.MustCompile(`(?i)could not resolve host|UnknownHostException|: bad address '|host not found in upstream`)
	// answered is a look-up with an answer, if only that the name does not exist: the DNS was reached.
	answered = regexp.MustCompile(`(?i)no such host|NXDOMAIN|ENOTFOUND|not known|name does not resolve|no address associated|domain name not found|non-recoverable failure|server misbehaving|zero addresses`)
	asked    = regexp.MustCompile(`lookup \S+ on (\S+):53: `)
)

// names finds policies that cut the look-up of names: no egress rule leads to the DNS, and the log shows look-ups without
// an answer.
func names(f *diagnosis.Facts, from *corev1.Pod) []diagnosis.Finding {
	failed, score := unresolved(f)
	if score == 0 || slices.ContainsFunc(f.Services, isDNS) {
		return nil // no silence, or the DNS is in the namespace itself
	}
	to := Elsewhere{Inside: true, Outside: true, Port: Port{dns, corev1.ProtocolUDP}, Cluster: addresses(f, from)}
	if m := asked.FindStringSubmatch(failed.Line); m != nil {
		to.Address = net.ParseIP(m[1])
	}
	cut := CutElsewhere(f.Policies, from, to)
	if len(cut) == 0 {
		return nil
	}
	x := diagnosis.Finding{
		Kind: diagnosis.KindNetwork, Object: object(f, cut[0]), Field: "spec.egress", Value: "port 53", Score: score,
		Sentence: fmt.Sprintf("NetworkPolicy %s does not allow %s to ask the DNS: no egress rule leads to its port 53",
			strings.Join(cut, " and "), f.Workload.Object),
		Evidence: []string{failed.Evidence()},
	}
	rule := map[string]any{"ports": []any{map[string]any{"protocol": "UDP", "port": dns}, map[string]any{"protocol": "TCP", "port": dns}}}
	x.Fix = diagnosis.FixBy("Allow port 53 out.", []diagnosis.Patch{diagnosis.JSONPatch(x.Object, adds(f, x.Object, "egress", rule))})
	return []diagnosis.Finding{x}
}

// unresolved is the look-up that shows best that the DNS does not answer, and how well it shows that; 0 where none does.
// What does not say whether there was an answer counts only where the log shows no answer at all.
func unresolved(f *diagnosis.Facts) (calls.Call, float64) {
	failed := calls.Of(f, logline.ClassDNS)
	reached := slices.ContainsFunc(failed, func(c calls.Call) bool { return slices.ContainsFunc(c.Lines, answered.MatchString) })
	for _, c := range failed {
		if unanswered.MatchString(c.Line) {
			return c, diagnosis.ScoreStrong
		}
	}
	for _, c := range failed {
		if rejected.MatchString(c.Line) || mute.MatchString(c.Line) && !reached {
			return c, diagnosis.ScoreLikely
		}
	}
	return calls.Call{}, 0
}

// isDNS tells whether a Service has the port of the DNS.
func isDNS(s corev1.Service) bool {
	return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == dns })
}
