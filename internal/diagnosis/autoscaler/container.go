package autoscaler

import (
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// withoutContainer is for a metric of a container that the target does not have. The controller says of it only that it gets
// no metrics, as of pods that are not ready.
func withoutContainer(
	f *diagnosis.Facts, h *autoscalingv2.HorizontalPodAutoscaler,
	out diagnosis.Finding, c *autoscalingv2.HorizontalPodAutoscalerCondition,
) (diagnosis.Finding, bool) {
	if c.Reason != "FailedGetContainerResourceMetric" || !unready.MatchString(c.Message) || !known(f, h) || len(f.Pods) == 0 {
		return out, false
	}
	i := slices.IndexFunc(h.Spec.Metrics, func(m autoscalingv2.MetricSpec) bool {
		return m.ContainerResource != nil && !has(f, m.ContainerResource.Container)
	})
	if i < 0 {
		return out, false
	}
	name, field := h.Spec.Metrics[i].ContainerResource.Container, fmt.Sprintf("spec.metrics[%d].containerResource.container", i)
	names := measurable(&f.Workload.Template.Spec)
	out.Field, out.Value = field, name
	out.Sentence = fmt.Sprintf(
		"HorizontalPodAutoscaler %s measures container %s (%s), which %s does not have (it has %s), so it is not scaled",
		h.Name, name, field, target(h), strings.Join(names, ", "))
	out.Fix = diagnosis.Fix{Explanation: "Name a container that the pods have.",
		Commands: []string{diagnosis.Kubectl(h.Namespace, "edit", "hpa", h.Name)}}
	if len(names) == 1 {
		change := diagnosis.Replace(fmt.Sprintf("/spec/metrics/%d/containerResource/container", i), name, names[0])
		out.Fix = diagnosis.FixBy(out.Fix.Explanation, []diagnosis.Patch{diagnosis.JSONPatch(out.Object, change...)})
	}
	return out, true
}

// has tells whether the workload's template or one of its pods has the container; what is injected only pods have.
func has(f *diagnosis.Facts, name string) bool {
	return diagnosis.ContainerNamed(&f.Workload.Template.Spec, name) != nil ||
		slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool { return diagnosis.ContainerNamed(&p.Spec, name) != nil })
}

// measurable are the containers of which there are metrics for as long as the pod runs.
func measurable(spec *corev1.PodSpec) (names []string) {
	for _, c := range spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			names = append(names, c.Name)
		}
	}
	return names
}
