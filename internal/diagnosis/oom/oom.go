// Package oom finds containers that were killed for using more memory than they may.
package oom

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds kills for lack of memory.
var Detector = diagnosis.Detector{Name: "oom", Doc: "containers killed for lack of memory, against their limits", Detect: detect}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range f.Containers() {
		if !c.Failing(f.Now) {
			continue
		}
		if ended := c.Ended(); diagnosis.OutOfMemory(ended) ||
			ended.ExitCode == 137 && f.KilledByProbe(c) == nil && c.Status.LastTerminationState.Terminated != nil &&
				diagnosis.OutOfMemory(c.Status.LastTerminationState.Terminated) {
			out = append(out, explain(f, c))
		}
	}
	return out
}

func explain(f *diagnosis.Facts, c diagnosis.Container) diagnosis.Finding {
	owner := f.Owner(c.Pod)
	out := diagnosis.Finding{
		Kind: diagnosis.KindMemory, Object: owner.Object, Field: c.Path() + ".resources.limits.memory", Score: diagnosis.ScoreCertain,
		Evidence: []string{fmt.Sprintf("pod %s: container %s was OOMKilled %s ago, %s",
			c.Pod.Name, c.Spec.Name, f.Age(c.Ended().FinishedAt.Time), diagnosis.Plural(int(c.Status.RestartCount), "restart"))},
	}
	limit, limited := c.Spec.Resources.Limits["memory"]
	if whole := ofPod(&c.Pod.Spec); !limited && whole != nil {
		return together(owner, c, out, *whole)
	}
	if !limited {
		out.Sentence = fmt.Sprintf("%s of %s has no memory limit and was killed because node %s had no memory left",
			diagnosis.Upper(c.Noun()), owner.Object, c.Pod.Spec.NodeName)
		out.Fix = diagnosis.Fix{Explanation: "Set a memory request that says what the container needs, so that it is put on a node that has it.",
			Commands: []string{diagnosis.Kubectl("", "describe", "node", c.Pod.Spec.NodeName)}}
		return out
	}
	out.Value = limit.String()
	out.Sentence = fmt.Sprintf("%s %s of %s was killed because it used more memory than its limit of %s (resources.limits.memory)",
		noun(c), c.Spec.Name, owner.Object, limit.String())
	raised := double(limit)
	out.Fix.Explanation = fmt.Sprintf("Raise the limit if the work needs it, here to %s; if its memory grows without end, look for the leak first.", raised)
	if instead, commands := diagnosis.Unchangeable(owner, c); instead != "" {
		out.Fix.Explanation += " " + instead
		out.Fix.Commands = commands
		return out
	}
	out.Fix = diagnosis.FixBy(out.Fix.Explanation, []diagnosis.Patch{owner.SetResource(c.Spec.Name, "limits", "memory", raised)})
	return out
}

// ofPod is the memory limit of all containers of a pod together; nil without one.
func ofPod(spec *corev1.PodSpec) *resource.Quantity {
	if spec.Resources != nil {
		if q, ok := spec.Resources.Limits[corev1.ResourceMemory]; ok {
			return &q
		}
	}
	return nil
}

// together explains the kill of a container by the limit of its pod.
func together(owner diagnosis.Workload, c diagnosis.Container, out diagnosis.Finding, limit resource.Quantity) diagnosis.Finding {
	out.Field, out.Value = "resources.limits.memory", limit.String()
	out.Sentence = fmt.Sprintf(
		"%s %s of %s was killed because its pod used more memory than the limit of all containers together, %s (spec.resources.limits.memory)",
		noun(c), c.Spec.Name, owner.Object, limit.String())
	raised := double(limit)
	out.Fix.Explanation = fmt.Sprintf(
		"Raise the pod's limit if the work needs it, here to %s; if its memory grows without end, look for the leak first.", raised)
	if instead, commands := diagnosis.Unchangeable(owner, c); instead != "" {
		out.Fix.Explanation, out.Fix.Commands = out.Fix.Explanation+" "+instead, commands
		return out
	}
	if set := ofPod(&owner.Template.Spec); set != nil {
		change := diagnosis.Replace(owner.SpecPath("/resources/limits/memory"), set.String(), raised)
		out.Fix = diagnosis.FixBy(out.Fix.Explanation, []diagnosis.Patch{diagnosis.JSONPatch(owner.Object, change...)})
	}
	return out
}

func noun(c diagnosis.Container) string {
	if c.Init {
		return "Init container"
	}
	return "Container"
}

// double gives twice a limit in the same unit, and at least 64Mi: below, hardly any runtime starts.
func double(limit resource.Quantity) string {
	twice := resource.NewQuantity(max(2*limit.Value(), 64<<20), limit.Format)
	return twice.String()
}
