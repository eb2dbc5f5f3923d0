// Package autoscaler finds HorizontalPodAutoscalers that get no metrics, have no target or share it, or are at their maximum.
package autoscaler

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds autoscalers that can't do their work.
var Detector = diagnosis.Detector{Name: "autoscaler", Doc: "autoscalers without metrics or target, or at their maximum", Detect: detect}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i := range f.Autoscalers {
		h := &f.Autoscalers[i]
		target := h.Spec.ScaleTargetRef
		mine := target.Kind == f.Workload.Kind && target.Name == f.Workload.Name
		if asked := f.Subject.Kind == "HorizontalPodAutoscaler"; asked && h.Name != f.Subject.Name || !asked && !mine {
			continue
		}
		if x, ok := check(f, h); ok {
			out = append(out, x)
		}
	}
	return out
}

func condition(
	h *autoscalingv2.HorizontalPodAutoscaler, kind autoscalingv2.HorizontalPodAutoscalerConditionType,
	status corev1.ConditionStatus,
) *autoscalingv2.HorizontalPodAutoscalerCondition {
	for i, c := range h.Status.Conditions {
		if c.Type == kind && c.Status == status {
			return &h.Status.Conditions[i]
		}
	}
	return nil
}

func check(f *diagnosis.Facts, h *autoscalingv2.HorizontalPodAutoscaler) (diagnosis.Finding, bool) {
	target := h.Spec.ScaleTargetRef
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Score: diagnosis.ScorePossible,
		Object: diagnosis.Object{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler", Namespace: h.Namespace, Name: h.Name},
	}
	if f.Subject.Kind == "HorizontalPodAutoscaler" {
		out.Score = diagnosis.ScoreCertain
	}
	describe := []string{diagnosis.Kubectl(h.Namespace, "describe", "hpa", h.Name)}
	if c := condition(h, autoscalingv2.AbleToScale, corev1.ConditionFalse); c != nil && c.Reason == "FailedGetScale" {
		out.Field, out.Value = "spec.scaleTargetRef", target.Kind+"/"+target.Name
		out.Sentence = fmt.Sprintf("HorizontalPodAutoscaler %s can't read its target %s %s (spec.scaleTargetRef): %s",
			h.Name, target.Kind, target.Name, diagnosis.Shorten(c.Message, 160))
		out.Fix = diagnosis.Fix{Explanation: "Name a workload that exists.", Commands: describe}
		return out, true
	}
	if c := condition(h, autoscalingv2.ScalingActive, corev1.ConditionFalse); c != nil && c.Reason != "ScalingDisabled" {
		return inactive(f, h, out, c)
	}
	if c := condition(h, autoscalingv2.ScalingLimited, corev1.ConditionTrue); c != nil && c.Reason == "TooManyReplicas" &&
		h.Status.CurrentReplicas >= h.Spec.MaxReplicas {
		out.Kind, out.Field, out.Value = diagnosis.KindCPU, "spec.maxReplicas", fmt.Sprint(h.Spec.MaxReplicas)
		out.Sentence = fmt.Sprintf("HorizontalPodAutoscaler %s is at its maximum of %d replicas (spec.maxReplicas) and would make more of %s %s",
			h.Name, h.Spec.MaxReplicas, target.Kind, target.Name)
		out.Evidence = []string{"condition ScalingLimited=True: " + diagnosis.Shorten(c.Message, 200)}
		out.Fix = diagnosis.FixBy("Raise the maximum if the nodes have room, or make each replica do more.",
			[]diagnosis.Patch{{Object: out.Object, Type: "merge", Body: fmt.Sprintf(`{"spec":{"maxReplicas":%d}}`, h.Spec.MaxReplicas*2)}})
		return out, true
	}
	return out, false
}
