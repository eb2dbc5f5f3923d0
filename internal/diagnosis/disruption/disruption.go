// Package disruption finds PodDisruptionBudgets that allow no eviction at all, so that nodes can't be drained.
package disruption

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
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
		if err != nil || b.Status.DisruptionsAllowed > 0 || b.Status.ExpectedPods == 0 {
			continue
		}
		if f.Subject.Kind == "Node" {
			if names := kept(f, b, s); len(names) > 0 {
				out = append(out, drained(f, b, names))
			}
		} else if f.Workload.Exists() && s.Matches(labels.Set(f.Workload.Template.Labels)) {
			out = append(out, explain(b, "the pods of "+f.Workload.Object.String(), "their nodes"))
		}
	}
	return out
}

// kept are the pods of the node that a drain would evict, and that the budget keeps there.
func kept(f *diagnosis.Facts, b *policyv1.PodDisruptionBudget, s labels.Selector) []string {
	var names []string
	for i := range f.Neighbours {
		p := &f.Neighbours[i]
		if p.Spec.NodeName == f.Subject.Name && p.Namespace == b.Namespace && s.Matches(labels.Set(p.Labels)) && evicted(p) && held(b, p) {
			names = append(names, p.Name)
		}
	}
	return names
}

// evicted tells whether a drain evicts the pod by its budget: not those of the node itself, and none that is over.
func evicted(p *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(p)
	_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
	return !mirror && (owner == nil || owner.Kind != "DaemonSet") && p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning
}

// held tells whether a budget without disruptions holds the pod: one that is not ready may go where the others are enough.
func held(b *policyv1.PodDisruptionBudget, p *corev1.Pod) bool {
	if diagnosis.PodReady(p) {
		return true
	}
	always := b.Spec.UnhealthyPodEvictionPolicy != nil && *b.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow
	return !always && (b.Status.DesiredHealthy == 0 || b.Status.CurrentHealthy < b.Status.DesiredHealthy)
}

// drained is a budget that keeps pods on the node that was asked about. One that is cordoned is about to be drained.
func drained(f *diagnosis.Facts, b *policyv1.PodDisruptionBudget, names []string) diagnosis.Finding {
	which := "pod " + names[0]
	if len(names) > 1 {
		which = fmt.Sprintf("%d pods", len(names))
	}
	out := explain(b, fmt.Sprintf("%s in namespace %s", which, b.Namespace), "node "+f.Subject.Name)
	out.Evidence = append(out.Evidence, "it selects "+diagnosis.Shorten(strings.Join(names, ", "), 200))
	if n := f.Node(f.Subject.Name); n != nil && n.Spec.Unschedulable {
		out.Symptom, out.Score = false, diagnosis.ScoreStrong
		switch {
		case f.Troubled:
			out.Score = diagnosis.ScorePossible
		case b.Status.DesiredHealthy < b.Status.ExpectedPods:
			out.Score = diagnosis.ScoreLikely // the next pods may just be starting
		}
	}
	return out
}

// explain says which pods the budget keeps, and what can't be drained for that.
func explain(b *policyv1.PodDisruptionBudget, pods, nodes string) diagnosis.Finding {
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
		Evidence: []string{fmt.Sprintf("%d pods expected, %d healthy, %d wanted healthy, 0 disruptions allowed",
			b.Status.ExpectedPods, b.Status.CurrentHealthy, b.Status.DesiredHealthy)},
	}
	if b.Status.DesiredHealthy < b.Status.ExpectedPods {
		out.Sentence = fmt.Sprintf("PodDisruptionBudget %s allows no eviction of %s now, because only %d of %d are healthy, so %s can't be drained",
			b.Name, pods, b.Status.CurrentHealthy, b.Status.ExpectedPods, nodes)
		out.Fix = diagnosis.Fix{Explanation: "Bring the pods up; the budget then allows evictions again.",
			Commands: []string{diagnosis.Kubectl(b.Namespace, "describe", "pdb", b.Name)}}
		return out
	}
	out.Sentence = fmt.Sprintf("PodDisruptionBudget %s never allows an eviction of %s (%s is %s with %s), so %s can't be drained",
		b.Name, pods, field, value, diagnosis.Plural(int(b.Status.ExpectedPods), "pod"), nodes)
	out.Fix = diagnosis.FixBy("Let one pod at a time be evicted, or run one more.",
		[]diagnosis.Patch{{Object: out.Object, Type: "merge", Body: `{"spec":{"minAvailable":null,"maxUnavailable":1}}`}})
	return out
}
