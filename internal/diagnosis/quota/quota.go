// Package quota finds pods that can't be made because of a ResourceQuota or a LimitRange.
package quota

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds what quotas and limit ranges refuse.
var Detector = diagnosis.Detector{Name: "quota", Doc: "pods refused by a ResourceQuota or a LimitRange", Detect: detect}

var (
	exceeded = regexp.MustCompile(`exceeded quota: ([^,]+), requested: (\S+?)=([^,\s]+)(?:,\S+)*, used: (\S+?)=([^,\s]+)(?:,\S+)*, limited: (\S+?)=([^,\s]+)`)
	unset    = regexp.MustCompile(`failed quota: ([^:]+): must specify ([\w./-]+)`)
	bound    = regexp.MustCompile(`(maximum|minimum) (\S+) usage per (Container|Pod) is ([^,.\s]+)(?:, but (limit|request) is ([^,.\s]+))?`)
	ratio    = regexp.MustCompile(`(\S+) max limit to request ratio per (Container|Pod) is (\S+), but provided ratio is ([\d.]+)`)
)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, e := range f.Creations() {
		base := diagnosis.Finding{Kind: diagnosis.KindQuota, Score: diagnosis.ScoreCertain, Evidence: []string{diagnosis.EventEvidence(&e)}}
		if m := exceeded.FindStringSubmatch(e.Message); m != nil {
			out = append(out, full(f, base, m))
		} else if m := unset.FindStringSubmatch(e.Message); m != nil {
			out = append(out, unspecified(f, base, m))
		} else if m := bound.FindStringSubmatch(e.Message); m != nil {
			out = append(out, outOfRange(f, base, m))
		} else if m := ratio.FindStringSubmatch(e.Message); m != nil {
			base.Object, base.Field, base.Value = f.Workload.Object, "containers.resources", m[4]
			base.Sentence = fmt.Sprintf("%s can't make its pods: the limit of %s is %s times the request, and %s allows %s times per %s", f.Workload.Object, m[1], m[4], ranges(f), m[3], strings.ToLower(m[2]))
			base.Fix = diagnosis.Fix{Explanation: "Raise the request or lower the limit.", Commands: []string{diagnosis.Kubectl(f.NS(), "edit", f.Workload.Arg())}}
			out = append(out, base)
		}
	}
	return newestOnly(out)
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

func full(f *diagnosis.Facts, out diagnosis.Finding, m []string) diagnosis.Finding {
	name, what, asked, used, hard := m[1], m[2], m[3], m[5], m[7]
	out.Object = diagnosis.Object{APIVersion: "v1", Kind: "ResourceQuota", Namespace: f.NS(), Name: name}
	out.Field, out.Value = "spec.hard."+what, hard
	out.Sentence = fmt.Sprintf("ResourceQuota %s in namespace %s allows %s of %s and %s is in use; %s can't make a pod that needs %s more", name, f.NS(), hard, what, used, f.Workload.Object, asked)
	want, err := sum(used, asked, missing(f.Workload))
	if err != nil {
		out.Fix = diagnosis.Fix{Explanation: "Raise the quota, or lower what runs in the namespace.", Commands: []string{diagnosis.Kubectl(f.NS(), "describe", "quota", name)}}
		return out
	}
	patch := diagnosis.Patch{Object: out.Object, Type: "merge", Body: fmt.Sprintf(`{"spec":{"hard":{%q:%q}}}`, what, want)}
	out.Fix = diagnosis.FixBy(fmt.Sprintf("Raise the quota, here to what all wanted pods need (%s), or lower what runs in the namespace.", want), []diagnosis.Patch{patch})
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
	out.Object, out.Field, out.Value = w.Object, "containers.resources."+m[2], ""
	out.Sentence = fmt.Sprintf("%s sets no %s, which ResourceQuota %s in namespace %s demands of every pod", w.Object, m[2], m[1], f.NS())
	kind, name, ok := strings.Cut(m[2], ".")
	values := map[string]string{"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "1Gi"}
	value := values[name]
	if !ok {
		kind, value = "requests", values[m[2]]
	}
	out.Fix = diagnosis.Fix{Explanation: "Set it for each container, or give the namespace a LimitRange with defaults."}
	if value != "" && w.Kind != "Pod" && w.Kind != "Job" {
		out.Fix.Explanation += " The value in the command is a beginning; set what the program needs."
		out.Fix.Commands = []string{diagnosis.Kubectl(f.NS(), "set", "resources", w.Arg(), fmt.Sprintf("--%s=%s=%s", kind, strings.TrimPrefix(m[2], kind+"."), value))}
	}
	return out
}

func outOfRange(f *diagnosis.Facts, out diagnosis.Finding, m []string) diagnosis.Finding {
	w := f.Workload
	kind := m[5]
	if kind == "" {
		kind = "request"
	}
	out.Object, out.Field, out.Value = w.Object, fmt.Sprintf("containers.resources.%ss.%s", kind, m[2]), m[6]
	says := fmt.Sprintf("a %s %s of %s", m[2], kind, m[6])
	if m[6] == "" {
		says = fmt.Sprintf("no %s %s", m[2], kind)
	}
	out.Sentence = fmt.Sprintf("%s asks for %s, and %s allows a %s of %s per %s", w.Object, says, ranges(f), m[1], m[4], strings.ToLower(m[3]))
	out.Fix = diagnosis.Fix{Explanation: fmt.Sprintf("Set the %s to the %s allowed, or change the LimitRange.", kind, m[1])}
	if w.Kind == "Pod" || w.Kind == "Job" || m[3] != "Container" {
		return out
	}
	var patches []diagnosis.Patch
	for _, c := range w.Template.Spec.Containers {
		list := c.Resources.Limits
		if kind == "request" {
			list = c.Resources.Requests
		}
		if q, ok := list[corev1.ResourceName(m[2])]; !ok || q.String() == m[6] {
			patches = append(patches, w.SetResource(c.Name, kind+"s", m[2], m[4]))
		}
	}
	out.Fix = diagnosis.FixBy(out.Fix.Explanation, patches)
	return out
}

// ranges names the LimitRange of the namespace.
func ranges(f *diagnosis.Facts) string {
	if len(f.LimitRanges) == 1 {
		return fmt.Sprintf("LimitRange %s of namespace %s", f.LimitRanges[0].Name, f.NS())
	}
	return "the LimitRange of namespace " + f.NS()
}
