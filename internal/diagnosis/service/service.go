// Package service finds Services that lead nowhere: a selector that matches no pod, a target port that no container has,
// pods that are not ready.
package service

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds Services without endpoints.
var Detector = diagnosis.Detector{Name: "service", Doc: "Services without endpoints, with a wrong selector or target port", Detect: detect}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	if !f.Knows("Pod") {
		return nil
	}
	var out []diagnosis.Finding
	for i := range f.Services {
		s := &f.Services[i]
		if s.Spec.Type == corev1.ServiceTypeExternalName || !concerns(f, s) {
			continue
		}
		if len(s.Spec.Selector) == 0 {
			if why, down := Down(f, s); down {
				out = append(out, noAddress(s, why))
			}
			continue
		}
		pods := Pods(f, s)
		if len(pods) == 0 {
			if w := f.Workload; w.Exists() && Matches(s, w.Template.Labels) {
				if w.Desired == 0 && (w.Kind == "Deployment" || w.Kind == "StatefulSet") {
					out = append(out, scaledDown(f, s))
				}
				continue // why a workload that wants pods has none, other detectors say
			}
			if x, ok := wrongSelector(f, s); ok {
				out = append(out, x)
			}
			continue
		}
		out = append(out, wrongPorts(f, s, pods)...)
		if !slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return diagnosis.PodReady(p) }) && !s.Spec.PublishNotReadyAddresses {
			out = append(out, unready(f, s, pods))
		}
	}
	return out
}

// Matches tells whether the Service selects pods with the labels.
func Matches(s *corev1.Service, set map[string]string) bool {
	return len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(set))
}

// concerns tells whether the Service belongs to what was asked: it is the subject, it selects the workload's pods, it
// has the workload's name, or selects nothing although it shares a label with them.
func concerns(f *diagnosis.Facts, s *corev1.Service) bool {
	if f.Subject.Kind == "Service" {
		return f.Subject.Name == s.Name
	}
	if f.Workload.Kind == "Job" || f.Workload.Kind == "CronJob" || !f.Workload.Exists() {
		return false
	}
	set := f.Workload.Template.Labels
	if Matches(s, set) || s.Name == f.Workload.Name {
		return true
	}
	if len(Pods(f, s)) > 0 {
		return false
	}
	for k, v := range s.Spec.Selector {
		if (k == "app" || k == "app.kubernetes.io/name" || k == "k8s-app" || k == "name") && set[k] == v {
			return true
		}
	}
	return false
}

// Pods are those that the Service selects, without those that have ended: these get no calls.
func Pods(f *diagnosis.Facts, s *corev1.Service) []*corev1.Pod {
	var out []*corev1.Pod
	for _, list := range [][]corev1.Pod{f.Pods, f.Neighbours} {
		for i := range list {
			p := &list[i]
			if Matches(s, p.Labels) && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
				out = append(out, p)
			}
		}
	}
	return out
}

// Down tells whether a Service has nothing to send calls to, and why.
func Down(f *diagnosis.Facts, s *corev1.Service) (why string, down bool) {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return "", false
	}
	if len(s.Spec.Selector) == 0 {
		return fmt.Sprintf("Service %s has no selector, and no EndpointSlice gives it an address", s.Name), f.Knows("EndpointSlice") && !addressed(f, s)
	}
	pods := Pods(f, s)
	if !f.Knows("Pod") || slices.ContainsFunc(pods, diagnosis.PodReady) || len(pods) > 0 && s.Spec.PublishNotReadyAddresses {
		return "", false
	}
	switch len(pods) {
	case 0:
		return fmt.Sprintf("Service %s has no pod behind it", s.Name), true
	case 1:
		return fmt.Sprintf("the only pod behind Service %s is not ready", s.Name), true
	}
	return fmt.Sprintf("none of the %s behind Service %s is ready", diagnosis.Plural(len(pods), "pod"), s.Name), true
}

// addressed tells whether an EndpointSlice gives the Service an address that is not said to be unready.
func addressed(f *diagnosis.Facts, s *corev1.Service) bool {
	return slices.ContainsFunc(f.EndpointSlices, func(e discoveryv1.EndpointSlice) bool {
		return e.Labels[discoveryv1.LabelServiceName] == s.Name && slices.ContainsFunc(e.Endpoints, func(p discoveryv1.Endpoint) bool {
			return len(p.Addresses) > 0 && (p.Conditions.Ready == nil || *p.Conditions.Ready)
		})
	})
}

// Blamed is for calls that a Service gets and can't answer: the same question of it says why.
func Blamed(s *corev1.Service, sentence string) diagnosis.Finding {
	return diagnosis.Finding{
		Kind: diagnosis.KindDependency, Object: Object(s), Field: "endpoints", Value: "0", Score: diagnosis.ScoreStrong, Sentence: sentence,
		Fix: diagnosis.Fix{Explanation: "Ask the same question of the Service.",
			Commands: []string{"kubectl kubebot why -n " + s.Namespace + " service/" + s.Name}},
	}
}

// Leads tells whether a Service of the name leads to what was asked: it is the subject, it selects the workload's pods or
// has the workload's name, or it does not exist and has a name like one of these.
func Leads(f *diagnosis.Facts, name string) bool {
	if name == f.Subject.Name || name == f.Workload.Name {
		return true
	}
	if s := f.Service(name); s != nil {
		return f.Workload.Exists() && Matches(s, f.Workload.Template.Labels)
	}
	near := diagnosis.Near(name, Names(f))
	return near != "" && (near == f.Subject.Name || near == f.Workload.Name)
}

// NoPort says that a Service does not have the port that is asked for, by number or name.
func NoPort(s *corev1.Service, asked string) string {
	var has []string
	for _, p := range s.Spec.Ports {
		has = append(has, strconv.Itoa(int(p.Port)))
	}
	return fmt.Sprintf("Service %s has no port %s, it has %s", s.Name, asked, strings.Join(has, ", "))
}

// Names are those of the namespace's Services.
func Names(f *diagnosis.Facts) []string {
	var out []string
	for _, s := range f.Services {
		out = append(out, s.Name)
	}
	return out
}

// Object names a Service.
func Object(s *corev1.Service) diagnosis.Object {
	return diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: s.Namespace, Name: s.Name}
}

// noAddress is for a Service whose addresses somebody else has to give.
func noAddress(s *corev1.Service, why string) diagnosis.Finding {
	return diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: Object(s), Field: "spec.selector", Score: diagnosis.ScoreStrong, Sentence: why,
		Fix: diagnosis.Fix{Explanation: "Give it a selector, or an EndpointSlice with the addresses that shall answer.",
			Commands: []string{diagnosis.Kubectl(s.Namespace, "get", "endpointslices", "-l", discoveryv1.LabelServiceName+"="+s.Name)}},
	}
}

// leftOver is the score of a Service without pods that only shares a label with the workload: it may be left over from
// another, or its pods may get their labels as they run.
const leftOver = 0.4

// wrongSelector is for a Service that selects no pod, and would select none of the workload's. Where it would select those
// of another workload, it is that one which has no pods.
func wrongSelector(f *diagnosis.Facts, s *corev1.Service) (diagnosis.Finding, bool) {
	w := f.Workload
	if !(w.Exists() && w.Desired > 0 || f.Subject.Kind == "Service") ||
		slices.ContainsFunc(f.Others, func(o diagnosis.Workload) bool { return Matches(s, o.Template.Labels) }) {
		return diagnosis.Finding{}, false
	}
	text := labels.Set(s.Spec.Selector).String()
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: Object(s), Field: "spec.selector", Value: text, Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("Service %s selects pods with %s, and no pod of namespace %s has these labels", s.Name, text, s.Namespace),
		Evidence: []string{fmt.Sprintf("the selector matches none of %s", diagnosis.Plural(len(f.Pods)+len(f.Neighbours), "pod"))},
		Fix: diagnosis.Fix{Explanation: "Set the selector to the labels of the pods that shall answer.",
			Commands: []string{diagnosis.Kubectl(s.Namespace, "get", "pods", "--show-labels")}},
	}
	if !(f.Knows("Deployment") && f.Knows("StatefulSet") && f.Knows("DaemonSet")) || f.Subject.Kind != "Service" && s.Name != w.Name {
		out.Score = leftOver
		return out, true
	}
	if !w.Exists() || w.Selector == nil || len(w.Selector.MatchLabels) == 0 {
		return out, true
	}
	out.Sentence += fmt.Sprintf("; those of %s have %s", w.Object, labels.Set(w.Selector.MatchLabels).String())
	var changes []string
	for _, k := range slices.Sorted(maps.Keys(s.Spec.Selector)) {
		if _, wanted := w.Selector.MatchLabels[k]; !wanted {
			changes = append(changes, fmt.Sprintf("%q:null", k))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(w.Selector.MatchLabels)) {
		changes = append(changes, fmt.Sprintf("%q:%q", k, w.Selector.MatchLabels[k]))
	}
	patch := diagnosis.Patch{Object: out.Object, Type: "merge", Body: `{"spec":{"selector":{` + strings.Join(changes, ",") + `}}}`}
	out.Fix = diagnosis.FixBy(fmt.Sprintf("Set the selector to the labels of the pods that shall answer, here those of %s.", w.Object),
		[]diagnosis.Patch{patch})
	return out, true
}

// scaled reads how many pods there were before a workload was scaled to none.
var scaled = regexp.MustCompile(`^Scaled down replica set \S+ from (\d+) to 0\b`)

// scaledDown is for a Service whose workload wants no pod.
func scaledDown(f *diagnosis.Facts, s *corev1.Service) diagnosis.Finding {
	w := f.Workload
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: w.Object, Field: "spec.replicas", Value: "0", Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("%s is scaled to 0 (spec.replicas), so Service %s has no pod", w.Object, s.Name),
		Evidence: []string{fmt.Sprintf("%s wants 0 replicas, and no pod of namespace %s has the labels %s",
			w.Object, s.Namespace, labels.Set(s.Spec.Selector).String())},
	}
	before := 1
	var last time.Time
	for _, e := range f.EventsOf(w.Kind, w.Name, w.UID) {
		m := scaled.FindStringSubmatch(e.Message)
		if at := diagnosis.EventTime(&e); m != nil && !at.Before(last) {
			last = at
			if n, err := strconv.Atoi(m[1]); err == nil {
				before = n
			}
		}
	}
	out.Fix = diagnosis.FixBy("Scale it up again, and see who scaled it down.", []diagnosis.Patch{diagnosis.Scale(w.Object, before)})
	if !last.IsZero() {
		out.Evidence = append(out.Evidence, fmt.Sprintf("it was scaled from %d to 0 %s ago", before, f.Age(last)))
	}
	return out
}

// undeclared is a port of a Service whose target none of the selected containers declares.
type undeclared struct {
	index    int
	port     int32
	target   intstr.IntOrString
	declares []string // numbers of the ports that they do declare
	meant    []string // those of them that may be the right target
}

// undeclaredPorts compares target ports with what the pods' containers declare, or are probed at. A number says nothing
// where the program's own containers declare no port of its work.
func undeclaredPorts(f *diagnosis.Facts, s *corev1.Service, pods []*corev1.Pod) []undeclared {
	var names, numbers, meant, probed []string
	declaring := false
	for _, p := range pods {
		own := ownContainers(f, p)
		for _, c := range lasting(p) {
			for _, port := range c.Spec.Ports {
				number := strconv.Itoa(int(port.ContainerPort))
				names, numbers = append(names, port.Name), with(numbers, number)
				if !own(c.Spec.Name) || besides.MatchString(port.Name) {
					continue
				}
				declaring = true
				if !taken(s, port) {
					meant = with(meant, number)
				}
			}
			probed = append(probed, probedPorts(c.Spec)...)
		}
	}
	var out []undeclared
	for i, port := range s.Spec.Ports {
		target := targetOf(port)
		named := target.Type == intstr.String
		if named && slices.Contains(names, target.StrVal) ||
			!named && (!declaring || slices.Contains(numbers, target.String()) || slices.Contains(probed, target.String())) {
			continue
		}
		out = append(out, undeclared{i, port.Port, target, numbers, meant})
	}
	return out
}

// targetOf is where a port of a Service leads: to the same number, if it does not say.
func targetOf(p corev1.ServicePort) intstr.IntOrString {
	if p.TargetPort.Type == intstr.Int && p.TargetPort.IntVal == 0 {
		return intstr.FromInt32(p.Port)
	}
	return p.TargetPort
}

// taken tells whether a port of the Service leads to the container's port already.
func taken(s *corev1.Service, port corev1.ContainerPort) bool {
	return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool {
		t := targetOf(p)
		return t.Type == intstr.String && t.StrVal == port.Name || t.Type == intstr.Int && t.IntVal == port.ContainerPort
	})
}

func with(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// lasting are the containers that run for as long as the pod does, sidecars last.
func lasting(p *corev1.Pod) []diagnosis.Container {
	var main, sidecars []diagnosis.Container
	for _, c := range diagnosis.ContainersOf(p) {
		switch {
		case c.Sidecar:
			sidecars = append(sidecars, c)
		case !c.Init:
			main = append(main, c)
		}
	}
	return append(main, sidecars...)
}

// ownContainers tells which containers of the pod its workload asks for: others a mesh adds, with ports of its own. Where
// the workload is not known, that is sure of an only container alone.
func ownContainers(f *diagnosis.Facts, p *corev1.Pod) func(name string) bool {
	w := &f.Workload
	if !w.Selects(p.Labels) {
		i := slices.IndexFunc(f.Others, func(o diagnosis.Workload) bool { return o.Selects(p.Labels) })
		if i < 0 {
			only := len(lasting(p)) == 1
			return func(string) bool { return only }
		}
		w = &f.Others[i]
	}
	return func(name string) bool { return diagnosis.ContainerNamed(&w.Template.Spec, name) != nil }
}

// probedPorts are the numbers of the ports that the kubelet asks.
func probedPorts(c *corev1.Container) []string {
	var out []string
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		switch {
		case p == nil:
		case p.HTTPGet != nil:
			out = append(out, p.HTTPGet.Port.String())
		case p.TCPSocket != nil:
			out = append(out, p.TCPSocket.Port.String())
		case p.GRPC != nil:
			out = append(out, strconv.Itoa(int(p.GRPC.Port)))
		}
	}
	return out
}

// undeclaredHint is the score of a target port that no container declares, where nothing says whether it is served.
const undeclaredHint = 0.4

// wrongPorts are target ports that the pods don't have. A name that no container gives to a port leads nowhere. A number
// that none declares may still be served: that it is not, the program's log tells, or that calls are refused.
func wrongPorts(f *diagnosis.Facts, s *corev1.Service, pods []*corev1.Pod) []diagnosis.Finding {
	var out []diagnosis.Finding
	served := listening(f, pods)
	for _, u := range undeclaredPorts(f, s, pods) {
		logged := slices.DeleteFunc(slices.Clone(u.meant), func(n string) bool { return served[n] == "" || besides.MatchString(served[n]) })
		switch {
		case u.target.Type == intstr.String:
			out = append(out, u.finding(s, pods[0], diagnosis.ScoreCertain, u.meant))
		case served[u.target.String()] != "":
		case len(logged) > 0:
			x := u.finding(s, pods[0], diagnosis.ScoreLikely, logged)
			x.Evidence = append(x.Evidence, served[logged[0]])
			out = append(out, x)
		case f.Subject.Kind == "Service":
			out = append(out, u.finding(s, pods[0], undeclaredHint, nil))
		}
	}
	return out
}

// Refused is for a Service that refuses calls to a port although it has pods that are ready: its target may be a port that
// they don't have.
func Refused(f *diagnosis.Facts, s *corev1.Service, port int) (diagnosis.Finding, bool) {
	pods := Pods(f, s)
	if !slices.ContainsFunc(pods, diagnosis.PodReady) || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return diagnosis.Finding{}, false
	}
	for _, u := range undeclaredPorts(f, s, pods) {
		if int(u.port) == port {
			return u.finding(s, pods[0], diagnosis.ScoreStrong, u.meant), true
		}
	}
	return diagnosis.Finding{}, false
}

// finding sets the target port to what is meant, where that is one port.
func (u undeclared) finding(s *corev1.Service, pod *corev1.Pod, score float64, meant []string) diagnosis.Finding {
	ports, target := strings.Join(u.declares, ", "), u.target.String()
	x := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: Object(s), Field: fmt.Sprintf("spec.ports[%d].targetPort", u.index), Value: target, Score: score,
		Sentence: fmt.Sprintf("Service %s sends port %d to port %s of its pods, and no container of them declares that port; they declare %s",
			s.Name, u.port, target, ports),
		Fix: diagnosis.Fix{Explanation: "Set targetPort to the port where the pods listen, if they don't listen on " + target + ".",
			Commands: []string{diagnosis.Kubectl(s.Namespace, "get", "pod", pod.Name, "-o", "jsonpath={.spec.containers[*].ports}")}},
	}
	if u.target.Type == intstr.String {
		x.Sentence = fmt.Sprintf(
			"Service %s sends port %d to the port named %q of its pods, and no container of them has a port of that name (spec.ports.targetPort)",
			s.Name, u.port, target)
		x.Fix.Explanation = "Set targetPort to the port where the pods listen."
	}
	if len(u.declares) > 0 {
		x.Evidence = []string{"pod " + pod.Name + " declares the ports " + ports}
	}
	if len(meant) == 1 {
		x.Fix = u.fix(s, meant[0])
	}
	return x
}

// fix sets the target port to a number, where the Service's port is still at its place of the list.
func (u undeclared) fix(s *corev1.Service, number string) diagnosis.Fix {
	path := fmt.Sprintf("/spec/ports/%d", u.index)
	return diagnosis.FixBy("Set targetPort to the port where the pods listen.", []diagnosis.Patch{diagnosis.JSONPatch(Object(s),
		diagnosis.Operation{Op: "test", Path: path + "/port", Value: u.port},
		diagnosis.Operation{Op: "replace", Path: path + "/targetPort", Value: json.Number(number)})})
}

var (
	listens = regexp.MustCompile(`(?i)\b(?:listen(?:ing|s)?|serving|started|bound|running)\b`)
	besides = regexp.MustCompile(`(?i)metric|prometheus|prom\b|health|probe|admin|debug|pprof|management`) // what a program serves beside its own work
	address = regexp.MustCompile(`(?i)(?:^|[\s"'=(@/])(?:\[::\]|\d+\.\d+\.\d+\.\d+|\*|localhost)?:(\d{2,5})\b|\bport(?:\(s\))?["':= ]+(\d{2,5})\b`)
)

// listening are the ports on which programs of the pods say in their logs that they listen, with the line.
func listening(f *diagnosis.Facts, pods []*corev1.Pod) map[string]string {
	out := map[string]string{}
	for _, l := range f.Logs {
		if !slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return p.Name == l.Pod }) {
			continue
		}
		for _, line := range l.Lines {
			if !listens.MatchString(line.Text) {
				continue
			}
			for _, m := range address.FindAllStringSubmatch(line.Text, -1) {
				out[cmp.Or(m[1], m[2])] = fmt.Sprintf("log of pod %s: %s", l.Pod, diagnosis.Shorten(line.Text, 300))
			}
		}
	}
	return out
}

func unready(f *diagnosis.Facts, s *corev1.Service, pods []*corev1.Pod) diagnosis.Finding {
	none := fmt.Sprintf("none of its %d pods is ready", len(pods))
	if len(pods) == 1 {
		none = "its only pod is not ready"
	}
	return diagnosis.Finding{
		Kind: diagnosis.KindDependency, Object: Object(s), Field: "endpoints", Value: "0", Score: diagnosis.ScoreSymptom, Symptom: true,
		Sentence: fmt.Sprintf("Service %s has no endpoint, because %s", s.Name, none),
		Fix: diagnosis.Fix{Explanation: "Find why the pods are not ready.",
			Commands: []string{diagnosis.Kubectl(s.Namespace, "describe", "pod", pods[0].Name)}},
	}
}
