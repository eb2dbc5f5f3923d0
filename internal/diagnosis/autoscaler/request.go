package autoscaler

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// unrequested is what the controller says where it can't compute a share of a request. Older ones name no container.
var unrequested = regexp.MustCompile(`missing request for (\S+)(?: in container (\S+) of Pod)?`)

// starts are requests to begin with, as nobody knows here what the program uses.
var starts = map[string]string{"cpu": "100m", "memory": "128Mi"}

// withoutRequest is for containers that have no request, of which the metric would be a share.
func withoutRequest(f *diagnosis.Facts, h *autoscalingv2.HorizontalPodAutoscaler, out diagnosis.Finding, resource, said string) diagnosis.Finding {
	target := h.Spec.ScaleTargetRef
	out.Object = diagnosis.Object{APIVersion: target.APIVersion, Kind: target.Kind, Namespace: h.Namespace, Name: target.Name}
	var names []string
	if f.Workload.Kind == target.Kind && f.Workload.Name == target.Name {
		out.Object = f.Workload.Object
		names = lacking(&f.Workload.Template.Spec, h, resource)
	}
	injected := said != "" && !slices.Contains(names, said)
	if injected {
		names = []string{said}
	}
	who := "A container of " + target.Kind + " " + target.Name + " has"
	out.Field = "containers[*].resources.requests." + resource
	switch {
	case len(names) == 1:
		who = fmt.Sprintf("Container %s of %s %s has", names[0], target.Kind, target.Name)
	case len(names) > 1:
		who = fmt.Sprintf("Containers %s of %s %s have", strings.Join(names, ", "), target.Kind, target.Name)
	}
	if len(names) > 0 {
		out.Field = fmt.Sprintf("containers[%s].resources.requests.%s", names[0], resource)
	}
	out.Sentence = fmt.Sprintf(
		"%s no %s request (resources.requests.%s), so HorizontalPodAutoscaler %s can't compute how much of it is in use and does not scale",
		who, resource, resource, h.Name)
	look := []string{diagnosis.Kubectl(h.Namespace, "describe", "hpa", h.Name)}
	start := starts[resource]
	if injected || len(names) == 0 || start == "" {
		out.Fix = diagnosis.Fix{
			Explanation: "Give the container a request where it is defined: in the pod template, or in what adds it to the pods.",
			Commands:    look,
		}
		return out
	}
	var patches []diagnosis.Patch
	for _, name := range names {
		patches = append(patches, f.Workload.SetResource(name, "requests", resource, start))
	}
	out.Fix = diagnosis.FixBy(
		fmt.Sprintf("Request what the container uses (kubectl top pod --containers); the command asks for %s=%s to begin with.", resource, start),
		patches, look...)
	return out
}

// lacking are the containers without the request that the autoscaler needs.
func lacking(spec *corev1.PodSpec, h *autoscalingv2.HorizontalPodAutoscaler, resource string) (names []string) {
	add := func(c corev1.Container) {
		_, requested := c.Resources.Requests[corev1.ResourceName(resource)]
		_, limited := c.Resources.Limits[corev1.ResourceName(resource)] // is the request, too, where there is none
		if requested || limited || !counted(h, c.Name, resource) {
			return
		}
		names = append(names, c.Name)
	}
	for _, c := range spec.Containers {
		add(c)
	}
	for _, c := range spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(c)
		}
	}
	return names
}

// counted tells whether a metric of the autoscaler is a share of the container's request.
func counted(h *autoscalingv2.HorizontalPodAutoscaler, container, resource string) bool {
	return slices.ContainsFunc(h.Spec.Metrics, func(m autoscalingv2.MetricSpec) bool {
		switch {
		case m.Resource != nil:
			return string(m.Resource.Name) == resource && m.Resource.Target.AverageUtilization != nil
		case m.ContainerResource != nil:
			return string(m.ContainerResource.Name) == resource && m.ContainerResource.Container == container &&
				m.ContainerResource.Target.AverageUtilization != nil
		}
		return false
	})
}
