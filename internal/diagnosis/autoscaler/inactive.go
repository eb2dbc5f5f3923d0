package autoscaler

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// source is where an autoscaler gets metrics of a type from: the group of the API, and what serves it.
type source struct{ noun, group, server string }

// sources by the reason for which the controller says that it can't get a metric.
var sources = map[string]source{
	"FailedGetResourceMetric":          {"metrics", "metrics.k8s.io", "metrics-server"},
	"FailedGetContainerResourceMetric": {"metrics", "metrics.k8s.io", "metrics-server"},
	"FailedGetPodsMetric":              {"custom metric", "custom.metrics.k8s.io", "an adapter such as prometheus-adapter"},
	"FailedGetObjectMetric":            {"custom metric", "custom.metrics.k8s.io", "an adapter such as prometheus-adapter"},
	"FailedGetExternalMetric":          {"external metric", "external.metrics.k8s.io", "an adapter such as KEDA"},
}

var (
	// unready is what the controller says where metrics-server has nothing of the pods, as of those that do not run.
	unready = regexp.MustCompile(`pods might be unready|for any ready pods|no metrics returned from resource metrics API|no pods returned by selector`)
	// unknown is what it says where an adapter answers and does not have the metric.
	unknown  = regexp.MustCompile(`could not find the metric|no metrics returned from (?:custom|external) metrics API`)
	multiple = regexp.MustCompile(`controlled by multiple HPAs: \[([^\]]*)\]`)
)

// inactive explains why the autoscaler computes nothing.
func inactive(
	f *diagnosis.Facts, h *autoscalingv2.HorizontalPodAutoscaler,
	out diagnosis.Finding, c *autoscalingv2.HorizontalPodAutoscalerCondition,
) (diagnosis.Finding, bool) {
	out.Evidence = []string{fmt.Sprintf("condition ScalingActive=False: %s", diagnosis.Shorten(c.Message, 300))}
	if m := unrequested.FindStringSubmatch(c.Message); m != nil {
		return withoutRequest(f, h, out, m[1], m[2]), true
	}
	if x, ok := withoutContainer(f, h, out, c); ok {
		return x, true
	}
	target := target(h)
	from, metrics := sources[c.Reason]
	describe := diagnosis.Kubectl(h.Namespace, "describe", "hpa", h.Name)
	switch {
	case c.Reason == "AmbiguousSelector":
		return ambiguous(f, h, out, c.Message), true
	case metrics && unready.MatchString(c.Message) && waits(f, h):
		out.Kind, out.Score, out.Symptom = diagnosis.KindUnknown, diagnosis.ScoreSymptom, true
		out.Field, out.Value = "spec.metrics", c.Reason
		out.Sentence = fmt.Sprintf("HorizontalPodAutoscaler %s gets no metrics of %s, as none of its pods has been ready for long, and does not scale it",
			h.Name, target)
		out.Fix = diagnosis.Fix{Explanation: "Repair what keeps the pods from being ready; there are metrics of new ones within some minutes.",
			Commands: []string{describe}}
		return out, f.Subject.Kind == "HorizontalPodAutoscaler" // else the pods themselves tell it
	case metrics:
		out.Field, out.Value = "spec.metrics", c.Reason
		out.Sentence = fmt.Sprintf("HorizontalPodAutoscaler %s gets no %s (%s), so %s is not scaled",
			h.Name, strings.TrimSpace(from.noun+" "+metric(h, c.Message)), c.Reason, target)
		out.Fix = from.repair(c.Message)
		out.Fix.Commands = append(out.Fix.Commands, describe)
		return out, true
	}
	out.Field, out.Value = "spec", c.Reason
	if c.Reason == "InvalidSelector" {
		out.Field = "spec.scaleTargetRef"
	}
	out.Sentence = fmt.Sprintf("HorizontalPodAutoscaler %s does not scale %s (%s): %s",
		h.Name, target, c.Reason, strings.TrimRight(diagnosis.Shorten(c.Message, 200), ". "))
	out.Fix = diagnosis.Fix{Explanation: "Correct what the message names.", Commands: []string{describe}}
	return out, true
}

func target(h *autoscalingv2.HorizontalPodAutoscaler) string {
	return h.Spec.ScaleTargetRef.Kind + " " + h.Spec.ScaleTargetRef.Name
}

// repair says how the metrics come back.
func (s source) repair(message string) diagnosis.Fix {
	served := diagnosis.Kubectl("", "get", "apiservices", "v1beta1."+s.group)
	switch {
	case strings.Contains(message, "is forbidden: "):
		return diagnosis.Fix{
			Explanation: fmt.Sprintf(
				"Let the controller of autoscalers read the API group %s: the installation of what serves it has a role and a binding for that.",
				s.group),
			Commands: []string{served},
		}
	case unknown.MatchString(message):
		return diagnosis.Fix{
			Explanation: "What serves the metrics answers, but does not have this one: correct its name or selector, or the adapter's rule that makes it.",
			Commands:    []string{diagnosis.Kubectl("", "get", "--raw", "/apis/"+s.group+"/v1beta1")},
		}
	case s.server == "metrics-server":
		return diagnosis.Fix{Explanation: "Install or repair what serves the metrics (metrics-server).", Commands: []string{served}}
	}
	return diagnosis.Fix{
		Explanation: fmt.Sprintf("Install or repair what serves the API group %s (%s), or correct the metric's name.", s.group, s.server),
		Commands:    []string{served},
	}
}

// metric is the name of the custom or external metric that a message is about; empty where it is none of the autoscaler's.
func metric(h *autoscalingv2.HorizontalPodAutoscaler, message string) string {
	name := ""
	for _, m := range h.Spec.Metrics {
		var n string
		switch {
		case m.Pods != nil:
			n = m.Pods.Metric.Name
		case m.Object != nil:
			n = m.Object.Metric.Name
		case m.External != nil:
			n = m.External.Metric.Name
		}
		if len(n) > len(name) && strings.Contains(message, n) {
			name = n
		}
	}
	return name
}

// measured is how long a pod must have been ready for metrics of it to be there for certain: the controller passes over what a
// pod uses in the first 5 minutes.
const measured = 5 * time.Minute

// known tells whether the workload of the facts is the autoscaler's target.
func known(f *diagnosis.Facts, h *autoscalingv2.HorizontalPodAutoscaler) bool {
	return f.Workload.Kind == h.Spec.ScaleTargetRef.Kind && f.Workload.Name == h.Spec.ScaleTargetRef.Name
}

// waits tells whether the target is known, and has no pod of which there must be metrics.
func waits(f *diagnosis.Facts, h *autoscalingv2.HorizontalPodAutoscaler) bool {
	return known(f, h) && !slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool {
		c := diagnosis.PodCondition(&p, corev1.PodReady)
		return c.Status == corev1.ConditionTrue && f.Now.Sub(c.LastTransitionTime.Time) >= measured
	})
}

// ambiguous is for pods that several autoscalers would scale, of which then none does.
func ambiguous(f *diagnosis.Facts, h *autoscalingv2.HorizontalPodAutoscaler, out diagnosis.Finding, message string) diagnosis.Finding {
	var others []string
	if m := multiple.FindStringSubmatch(message); m != nil {
		for _, name := range strings.Fields(m[1]) {
			if name = strings.TrimPrefix(name, h.Namespace+"/"); name != h.Name {
				others = append(others, name)
			}
		}
	}
	who := cmp.Or(strings.Join(others, ", "), "another one")
	same := slices.ContainsFunc(f.Autoscalers, func(o autoscalingv2.HorizontalPodAutoscaler) bool {
		return slices.Contains(others, o.Name) && o.Spec.ScaleTargetRef.Kind == h.Spec.ScaleTargetRef.Kind &&
			o.Spec.ScaleTargetRef.Name == h.Spec.ScaleTargetRef.Name
	})
	out.Field, out.Value = "spec.scaleTargetRef", h.Spec.ScaleTargetRef.Kind+"/"+h.Spec.ScaleTargetRef.Name
	out.Sentence = fmt.Sprintf("HorizontalPodAutoscaler %s does not scale %s, because its pods are also those of the autoscaler %s", h.Name, target(h), who)
	out.Fix = diagnosis.Fix{Explanation: "Give the targets of the autoscalers selectors that do not match each other's pods."}
	if same {
		out.Fix.Explanation = "Keep one autoscaler of the workload, with the metrics of all: it takes several, and the one that asks for most pods counts."
	}
	out.Fix.Commands = []string{diagnosis.Kubectl(h.Namespace, "get", "hpa"), diagnosis.Kubectl(h.Namespace, "describe", "hpa", h.Name)}
	return out
}
