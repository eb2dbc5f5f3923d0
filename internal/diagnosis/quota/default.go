package quota

import (
	"fmt"
	"regexp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// defaulted is what the API server says of a pod with a request above a limit that its template does not have: it would have
// refused that template.
var defaulted = regexp.MustCompile(
	`spec\.(containers|initContainers)\[(\d+)\]\.resources\.requests: Invalid value: "([^"]+)": must be less than or equal to (\S+) limit of (\w+)`)

// belowRequest is for a container that requests more than the default limit that a LimitRange gives it.
func belowRequest(f *diagnosis.Facts, out diagnosis.Finding, m []string) (diagnosis.Finding, bool) {
	w, what := f.Workload, corev1.ResourceName(m[4])
	limit, err := resource.ParseQuantity(m[5])
	if err != nil {
		return out, false
	}
	c := requesting(w, m[1], m[2], what, m[3])
	by, item := defaulting(f, what, limit)
	if c == nil || by == nil {
		return out, false // something else changes the pods
	}
	out.Object, out.Field = w.Object, fmt.Sprintf("%s[%s].resources.limits.%s", m[1], c.Name, what)
	out.Sentence = fmt.Sprintf(
		"%s can't make its pods: container %s requests %s of %s and sets no limit, and LimitRange %s of namespace %s gives it one of %s",
		w.Object, c.Name, m[3], what, by.Name, f.NS(), m[5])
	out.Fix.Explanation = "Set a limit that is not below the request, lower the request to the default limit, or change the LimitRange."
	request := c.Resources.Requests[what]
	if most, ok := item.Max[what]; ok && most.Cmp(request) < 0 {
		out.Fix.Explanation = fmt.Sprintf("Lower the request: the LimitRange allows a limit of at most %s.", most.String())
		return out, true
	}
	if instead, commands := diagnosis.Unchangeable(w, diagnosis.Container{Spec: c}); instead != "" {
		out.Fix = diagnosis.Fix{Explanation: out.Fix.Explanation + " " + instead, Commands: commands}
		return out, true
	}
	out.Fix = diagnosis.FixBy(out.Fix.Explanation, []diagnosis.Patch{w.SetResource(c.Name, "limits", m[4], request.String())})
	return out, true
}

// requesting is the container at an index of a pod, if it is the same in the template: it requests that much, and has no limit.
func requesting(w diagnosis.Workload, list, index string, what corev1.ResourceName, quantity string) *corev1.Container {
	in := w.Template.Spec.Containers
	if list == "initContainers" {
		in = w.Template.Spec.InitContainers
	}
	i, err := strconv.Atoi(index)
	if err != nil || i >= len(in) {
		return nil
	}
	q, requested := in[i].Resources.Requests[what]
	if _, limited := in[i].Resources.Limits[what]; !requested || limited || q.String() != quantity {
		return nil
	}
	return &in[i]
}

// defaulting is the LimitRange that gives containers a limit.
func defaulting(f *diagnosis.Facts, what corev1.ResourceName, limit resource.Quantity) (*corev1.LimitRange, corev1.LimitRangeItem) {
	for i := range f.LimitRanges {
		for _, item := range f.LimitRanges[i].Spec.Limits {
			if q, ok := item.Default[what]; ok && item.Type == corev1.LimitTypeContainer && q.Cmp(limit) == 0 {
				return &f.LimitRanges[i], item
			}
		}
	}
	return nil, corev1.LimitRangeItem{}
}
