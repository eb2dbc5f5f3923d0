// Package disruption finds PodDisruptionBudgets that allow no eviction at all, so that nodes can't be drained.
package disruption

import (
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds budgets that block.
var Detector = diagnosis.Detector{Name: "disruption", Doc: "PodDisruptionBudgets that block evictions", Detect: detect}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i := range f.Budgets {
		b := &f.Budgets[i]
		s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || !f.Workload.Exists() || !s.Matches(labels.Set(f.Workload.Template.Labels)) || b.Status.DisruptionsAllowed > 0 || b.Status.ExpectedPods == 0 {
			continue
		}
		out = append(out, explain(f, b))
	}
	return out
}

func explain(f *diagnosis.Facts, b *policyv1.PodDisruptionBudget) diagnosis.Finding {
	field, value := "spec.minAvailable", ""
	if b.Spec.MinAvailable != nil {
		value = b.Spec.MinAvailable.String()
	}
	if b.Spec.MaxUnavailable != nil {
		field, value = "spec.maxUnavailable", b.Spec.MaxUnavailable.String()
	}
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: diagnosis.Object{APIVersion: "policy/v1", Kind: "PodDisruptionBudget", Namespace: b.Namespace, Name: b.Name},
		Field: field, Value: value, Score: diagnosis.ScoreSymptom, Symptom: true,
		Evidence: []string{fmt.Sprintf("%d pods expected, %d healthy, %d wanted healthy, 0 disruptions allowed", b.Status.ExpectedPods, b.Status.CurrentHealthy, b.Status.DesiredHealthy)},
	}
	if b.Status.DesiredHealthy < b.Status.ExpectedPods {
		out.Sentence = fmt.Sprintf("PodDisruptionBudget %s allows no eviction now, because only %d of %d pods of %s are healthy", b.Name, b.Status.CurrentHealthy, b.Status.ExpectedPods, f.Workload.Object)
		out.Fix = diagnosis.Fix{Explanation: "Bring the pods up; the budget then allows evictions again.", Commands: []string{diagnosis.Kubectl(b.Namespace, "describe", "pdb", b.Name)}}
		return out
	}
	out.Sentence = fmt.Sprintf("PodDisruptionBudget %s never allows an eviction of the pods of %s (%s is %s with %s), so their nodes can't be drained",
		b.Name, f.Workload.Object, field, value, diagnosis.Plural(int(b.Status.ExpectedPods), "pod"))
	out.Fix = diagnosis.FixBy("Let one pod at a time be evicted, or run one more.",
		[]diagnosis.Patch{{Object: out.Object, Type: "merge", Body: `{"spec":{"minAvailable":null,"maxUnavailable":1}}`}})
	return out
}
