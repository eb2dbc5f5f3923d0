// Package quota finds pods that can't be made because of a ResourceQuota or a LimitRange.
package quota

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds what quotas and limit ranges refuse.
var Detector = diagnosis.Detector{Name: "quota", Doc: "pods refused by a ResourceQuota or a LimitRange", Detect: detect}

var (
	exceeded = regexp.MustCompile(`exceeded quota: ([^,]+), requested: (\S+), used: (\S+), limited: (\S+)`)
	unset    = regexp.MustCompile(`failed quota: ([^:]+): must specify (.+)`)
	// lacking is a resource, and the containers that do not set it; older API servers do not name these.
	lacking = regexp.MustCompile(`([\w./-]+)(?: for: ([\w,-]+))?`)
	bound   = regexp.MustCompile(
		`(maximum|minimum) (\S+) usage per (Container|Pod|PersistentVolumeClaim) is ([^,.\s]+)(?:, but (limit|request) is ([^],.\s]+)|\.\s+No (limit|request) is specified)`)
	claimed = regexp.MustCompile(`persistentvolumeclaims "([^"]+)" is forbidden: `)
	// uncovered are priority classes whose pods need a quota.
	uncovered = regexp.MustCompile(`insufficient quota to match these scopes: \[\{PriorityClass In \[([^\]]+)\]\}\]`)
	ratio     = regexp.MustCompile(
		`(\S+) max limit to request ratio per (Container|Pod) is (\S+), but (?:provided ratio is ([\d.]+)|no (limit|request) is specified)`)
)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, e := range f.Creations() {
		out = append(out, read(f, &e)...)
	}
	return newestOnly(out)
}

// Reads tells whether the detector explains an event of pods that can't be made.
func Reads(f *diagnosis.Facts, e *corev1.Event) bool { return len(read(f, e)) > 0 }

// read explains an event.
func read(f *diagnosis.Facts, e *corev1.Event) (out []diagnosis.Finding) {
	base := diagnosis.Finding{Kind: diagnosis.KindQuota, Score: diagnosis.ScoreCertain, Evidence: []string{diagnosis.EventEvidence(e)}}
	if m := exceeded.FindStringSubmatch(e.Message); m != nil {
		out = append(out, full(f, base, m))
	} else if m := unset.FindStringSubmatch(e.Message); m != nil {
		out = append(out, unspecified(f, base, m))
	} else if all := bound.FindAllStringSubmatch(e.Message, -1); len(all) > 0 {
		for _, m := range all {
			if m[3] == "PersistentVolumeClaim" {
				out = append(out, claimOutOfRange(f, base, e.Message, m))
				continue
			}
			out = append(out, outOfRange(f, base, m))
		}
	} else if m := ratio.FindStringSubmatch(e.Message); m != nil {
		out = append(out, outOfRatio(f, base, m))
	} else if m := defaulted.FindStringSubmatch(e.Message); m != nil {
		if x, ok := belowRequest(f, base, m); ok {
			out = append(out, x)
		}
	} else if m := uncovered.FindStringSubmatch(e.Message); m != nil {
		out = append(out, withoutQuota(f, base, m[1]))
	}
	return out
}

// newestOnly keeps one finding for each object and field: used amounts differ between events.
func newestOnly(in []diagnosis.Finding) []diagnosis.Finding {
	var out []diagnosis.Finding
	seen := map[string]bool{}
	for _, x := range in {
		if key := x.Object.String() + x.Field; !seen[key] {
			seen[key] = true
			out = append(out, x)
		}
	}
	return out
}

// full is for a quota that is used up: the message has those of its resources alone that do not suffice.
func full(f *diagnosis.Facts, out diagnosis.Finding, m []string) diagnosis.Finding {
	name, asked, used, hard := m[1], amounts(m[2]), amounts(m[3]), amounts(m[4])
	out.Object = diagnosis.Object{APIVersion: "v1", Kind: "ResourceQuota", Namespace: f.NS(), Name: name}
	out.Field, out.Value = "spec.hard", m[4]
	var allows, needs, words []string
	want := map[string]string{}
	for _, what := range slices.Sorted(maps.Keys(asked)) {
		allows = append(allows, fmt.Sprintf("%s of %s and %s is in use", hard[what], what, used[what]))
		needs = append(needs, asked[what]+" of "+what)
		if total, err := sum(used[what], asked[what], missing(f.Workload)); err == nil {
			want[what] = total
			words = append(words, total)
		}
		if len(asked) == 1 {
			needs[0], out.Field, out.Value = asked[what], "spec.hard."+what, hard[what]
		}
	}
	out.Sentence = fmt.Sprintf("ResourceQuota %s in namespace %s allows %s; %s can't make a pod that needs %s more",
		name, f.NS(), strings.Join(allows, ", and "), f.Workload.Object, strings.Join(needs, " and "))
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"hard": want}})
	if err != nil || len(want) < len(asked) {
		out.Fix = diagnosis.Fix{Explanation: "Raise the quota, or lower what runs in the namespace.",
			Commands: []string{diagnosis.Kubectl(f.NS(), "describe", "quota", name)}}
		return out
	}
	out.Fix = diagnosis.FixBy(
		fmt.Sprintf("Raise the quota, here to what all wanted pods need (%s), or lower what runs in the namespace.", strings.Join(words, " and ")),
		[]diagnosis.Patch{{Object: out.Object, Type: "merge", Body: string(body)}})
	return out
}

// amounts reads quantities by resource: limits.cpu=2,pods=3.
func amounts(text string) map[string]string {
	out := map[string]string{}
	for _, part := range strings.Split(text, ",") {
		what, quantity, _ := strings.Cut(part, "=")
		out[what] = quantity
	}
	return out
}

// missing is how many pods the workload lacks.
func missing(w diagnosis.Workload) int64 {
	return max(int64(w.Desired-w.Updated), 1)
}

func sum(used, asked string, pods int64) (string, error) {
	u, err := resource.ParseQuantity(used)
	if err != nil {
		return "", err
	}
	a, err := resource.ParseQuantity(asked)
	if err != nil {
		return "", err
	}
	for range pods {
		u.Add(a)
	}
	return u.String(), nil
}

func unspecified(f *diagnosis.Facts, out diagnosis.Finding, m []string) diagnosis.Finding {
	w := f.Workload
	var names, says []string
	lacks := map[string][]string{} // resources by container
	for _, part := range lacking.FindAllStringSubmatch(m[2], -1) {
		name, of := part[1], containers(w)
		words := "no " + name
		if part[2] != "" {
			of = strings.Split(part[2], ",")
			words += " for " + noun(len(of)) + " " + strings.Join(of, ", ")
		}
		for _, c := range of {
			lacks[c] = append(lacks[c], name)
		}
		names, says = append(names, name), append(says, words)
	}
	out.Object, out.Field = w.Object, "containers.resources."+strings.Join(names, ",")
	out.Sentence = fmt.Sprintf("%s sets %s, which ResourceQuota %s in namespace %s demands of every pod", w.Object, strings.Join(says, " and "), m[1], f.NS())
	out.Fix = begin(w, lacks)
	return out
}

func noun(containers int) string {
	if containers == 1 {
		return "container"
	}
	return "containers"
}

// containers are the names of those of a workload's template.
func containers(w diagnosis.Workload) (names []string) {
	for _, c := range slices.Concat(w.Template.Spec.InitContainers, w.Template.Spec.Containers) {
		names = append(names, c.Name)
	}
	return names
}

// begin makes the fix that gives each container what it lacks, and leaves what it has.
func begin(w diagnosis.Workload, lacks map[string][]string) diagnosis.Fix {
	explanation := "Set it for each container, or give the namespace a LimitRange with defaults."
	var patches []diagnosis.Patch
	var others []string
	for _, name := range slices.Sorted(maps.Keys(lacks)) {
		if instead, commands := diagnosis.Unchangeable(w, diagnosis.Container{Spec: &corev1.Container{Name: name}}); instead != "" {
			if !strings.Contains(explanation, instead) {
				explanation += " " + instead
			}
			others = slices.Compact(append(others, commands...))
			continue
		}
		if r := beginning(diagnosis.ContainerNamed(&w.Template.Spec, name), lacks[name]); len(r.Limits)+len(r.Requests) > 0 {
			patches = append(patches, w.SetResources(name, r))
		}
	}
	if len(patches) > 0 {
		explanation += " The values in the commands are a beginning; set what the program needs."
	}
	return diagnosis.FixBy(explanation, patches, others...)
}

// beginnings are what a container gets that lacks a resource.
var beginnings = map[string]string{"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "1Gi"}

// beginning is what a container gets of the resources that it lacks: of a limit not less than it requests.
func beginning(c *corev1.Container, lacks []string) corev1.ResourceRequirements {
	out := corev1.ResourceRequirements{Limits: corev1.ResourceList{}, Requests: corev1.ResourceList{}}
	for _, what := range lacks {
		list, name, ok := strings.Cut(what, ".")
		if !ok {
			list, name = "requests", what
		}
		value, err := resource.ParseQuantity(beginnings[name])
		if err != nil {
			continue // what nobody can guess, such as of a GPU
		}
		of := corev1.ResourceName(name)
		_, limited := c.Resources.Limits[of]
		asked, requested := c.Resources.Requests[of]
		switch {
		case list == "limits" && !limited:
			if requested && asked.Cmp(value) > 0 {
				value = asked
			}
			out.Limits[of] = value
		case list == "requests" && !requested && !limited: // the limit is the request, too, where there is none
			out.Requests[of] = value
		}
	}
	return out
}

func outOfRange(f *diagnosis.Facts, out diagnosis.Finding, m []string) diagnosis.Finding {
	w := f.Workload
	kind := cmp.Or(m[5], m[7])
	out.Object, out.Field, out.Value = w.Object, fmt.Sprintf("containers.resources.%ss.%s", kind, m[2]), m[6]
	says := fmt.Sprintf("a %s %s of %s", m[2], kind, m[6])
	if m[6] == "" {
		says = fmt.Sprintf("no %s %s", m[2], kind)
	}
	out.Sentence = fmt.Sprintf("%s asks for %s, and %s allows a %s of %s per %s", w.Object, says, ranges(f), m[1], m[4], strings.ToLower(m[3]))
	out.Fix = diagnosis.Fix{Explanation: fmt.Sprintf("Set the %s to the %s allowed, or change the LimitRange.", kind, m[1])}
	if m[3] == "Pod" {
		out.Fix.Explanation = fmt.Sprintf("Set the %s of each container so that all together keep the %s allowed, or change the LimitRange.", kind, m[1])
		return out
	}
	if w.Kind == "Pod" || w.Kind == "Job" {
		return out
	}
	value, err := resource.ParseQuantity(m[4])
	if err != nil {
		return out
	}
	var patches []diagnosis.Patch
	for _, c := range slices.Concat(w.Template.Spec.InitContainers, w.Template.Spec.Containers) {
		if r := within(c.Resources, m, kind, value); len(r.Limits)+len(r.Requests) > 0 {
			patches = append(patches, w.SetResources(c.Name, r))
		}
	}
	out.Fix = diagnosis.FixBy(out.Fix.Explanation, patches)
	return out
}

func outOfRatio(f *diagnosis.Facts, out diagnosis.Finding, m []string) diagnosis.Finding {
	w := f.Workload
	out.Object, out.Field, out.Value = w.Object, "containers.resources", m[4]
	out.Fix = diagnosis.Fix{Explanation: "Raise the request or lower the limit.",
		Commands: []string{diagnosis.Kubectl(f.NS(), "edit", w.Arg())}}
	if m[4] != "" {
		out.Sentence = fmt.Sprintf("%s can't make its pods: the limit of %s is %s times the request, and %s allows %s times per %s",
			w.Object, m[1], m[4], ranges(f), m[3], strings.ToLower(m[2]))
		return out
	}
	out.Field += fmt.Sprintf(".%ss.%s", m[5], m[1])
	out.Sentence = fmt.Sprintf(
		"%s can't make its pods: %s no %s %s, and %s allows a limit of at most %s times the request per %s",
		w.Object, without(w, m[5], corev1.ResourceName(m[1])), m[1], m[5], ranges(f), m[3], strings.ToLower(m[2]))
	out.Fix.Explanation = fmt.Sprintf("Set requests and limits of %s in that range for each container, or change the LimitRange.", m[1])
	return out
}

// withoutQuota is for pods of a priority class that the cluster allows only where a quota is for it.
func withoutQuota(f *diagnosis.Facts, out diagnosis.Finding, classes string) diagnosis.Finding {
	w := f.Workload
	out.Object, out.Field, out.Value = w.Object, "priorityClassName", w.Template.Spec.PriorityClassName
	out.Sentence = fmt.Sprintf(
		"%s can't make its pods: they are of PriorityClass %s, which needs a ResourceQuota for it, and namespace %s has none",
		w.Object, cmp.Or(out.Value, strings.Join(strings.Fields(classes), " or ")), f.NS())
	out.Fix = diagnosis.Fix{
		Explanation: fmt.Sprintf(
			"Run them in a namespace that has such a quota, as kube-system may, take another priorityClassName, or make a ResourceQuota whose scopeSelector has PriorityClass In [%s].",
			strings.Join(strings.Fields(classes), ", ")),
		Commands: []string{diagnosis.Kubectl("", "get", "resourcequotas", "-A")},
	}
	return out
}

// without says which containers set no limit or request.
func without(w diagnosis.Workload, list string, resource corev1.ResourceName) string {
	var names []string
	for _, c := range slices.Concat(w.Template.Spec.InitContainers, w.Template.Spec.Containers) {
		of := c.Resources.Limits
		if list == "request" {
			of = c.Resources.Requests
		}
		if _, set := of[resource]; !set {
			names = append(names, c.Name)
		}
	}
	switch len(names) {
	case 0:
		return "a container of theirs sets"
	case 1:
		return "container " + names[0] + " sets"
	}
	return "containers " + strings.Join(names, ", ") + " set"
}

// claimOutOfRange is for the claim that a StatefulSet makes for a pod from a template, which can't be changed.
func claimOutOfRange(f *diagnosis.Facts, out diagnosis.Finding, message string, m []string) diagnosis.Finding {
	w := f.Workload
	out.Object, out.Field, out.Value = w.Object, "volumeClaimTemplates", m[6]
	noun := "a claim"
	if named := claimed.FindStringSubmatch(message); named != nil {
		for _, t := range w.ClaimTemplates {
			if strings.HasPrefix(named[1], t.Name+"-"+w.Name+"-") {
				out.Field, noun = fmt.Sprintf("volumeClaimTemplates[%s].spec.resources.requests.%s", t.Name, m[2]), "claim "+t.Name
			}
		}
	}
	out.Sentence = fmt.Sprintf("%s asks for %s of %s for %s of its pods, and %s allows a %s of %s per claim",
		w.Object, cmp.Or(m[6], "no amount"), m[2], noun, ranges(f), m[1], m[4])
	out.Fix = diagnosis.Fix{
		Explanation: fmt.Sprintf(
			"Change the LimitRange, or make the StatefulSet anew with the %s allowed: its claim templates can't be changed. Deleted with --cascade=orphan, it leaves its pods and claims.",
			m[1]),
		Commands: []string{diagnosis.Kubectl(f.NS(), "describe", "limitranges")},
	}
	return out
}

// within is what a container gets to keep the bound that a message names on limits or requests, none if it does. The API
// server takes no request above its limit, so the other one goes along.
func within(has corev1.ResourceRequirements, m []string, kind string, value resource.Quantity) corev1.ResourceRequirements {
	name := corev1.ResourceName(m[2])
	beyond := func(list corev1.ResourceList, of string) corev1.ResourceList {
		q, set := list[name]
		if set && (m[1] == "maximum" && q.Cmp(value) > 0 || m[1] == "minimum" && q.Cmp(value) < 0) || !set && m[7] == of {
			return corev1.ResourceList{name: value}
		}
		return nil
	}
	out := corev1.ResourceRequirements{Limits: beyond(has.Limits, "limit"), Requests: beyond(has.Requests, "request")}
	if kind == "limit" && len(out.Limits) == 0 || kind == "request" && len(out.Requests) == 0 {
		return corev1.ResourceRequirements{}
	}
	return out
}

// ranges names the LimitRange of the namespace.
func ranges(f *diagnosis.Facts) string {
	if len(f.LimitRanges) == 1 {
		return fmt.Sprintf("LimitRange %s of namespace %s", f.LimitRanges[0].Name, f.NS())
	}
	return "the LimitRange of namespace " + f.NS()
}
