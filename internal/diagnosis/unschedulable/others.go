package unschedulable

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// keptAway is for pods that the anti-affinity of other pods keeps off the nodes where those run.
func keptAway(f *diagnosis.Facts, p *corev1.Pod, owner diagnosis.Workload, out diagnosis.Finding, on string) diagnosis.Finding {
	out.Field = "affinity.podAntiAffinity"
	others := keepers(f, p)
	if len(others) == 0 {
		out.Sentence = fmt.Sprintf(
			"The pods of %s can't be scheduled %s: other pods that run there keep them away by their own anti-affinity (affinity.podAntiAffinity)",
			owner.Object, on)
		out.Fix = diagnosis.Fix{
			Explanation: "See which pods keep others away, and let them prefer it instead of requiring it, or add nodes.",
			Commands: []string{
				diagnosis.Kubectl("", "get", "pods", "-A", "-o",
					"custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,NODE:.spec.nodeName,ANTIAFFINITY:.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"),
			},
		}
		return out
	}
	var names []string
	for _, q := range others {
		names = append(names, q.Name)
	}
	out.Object, out.Value = diagnosis.ObjectOf(others[0]), strings.Join(names, ", ")
	out.Sentence = fmt.Sprintf(
		"The pods of %s can't be scheduled %s: pods that run there (%s) keep them away by their own anti-affinity (affinity.podAntiAffinity)",
		owner.Object, on, few(names))
	out.Fix = diagnosis.Fix{
		Explanation: "Let those pods prefer the anti-affinity instead of requiring it, take these out of its labels, or add nodes.",
		Commands: []string{
			diagnosis.Kubectl(others[0].Namespace, "get", "pod", others[0].Name, "-o", "jsonpath={.spec.affinity.podAntiAffinity}"),
		},
	}
	return out
}

// keepers are the pods of the namespace that run and whose required anti-affinity means the pod.
func keepers(f *diagnosis.Facts, p *corev1.Pod) []*corev1.Pod {
	var out []*corev1.Pod
	for _, list := range [][]corev1.Pod{f.Neighbours, f.Pods} {
		for i := range list {
			if q := &list[i]; q.Spec.NodeName != "" && q.Status.Phase != corev1.PodSucceeded && q.Status.Phase != corev1.PodFailed && avoids(f, q, p) {
				out = append(out, q)
			}
		}
	}
	return out
}

func avoids(f *diagnosis.Facts, q, p *corev1.Pod) bool {
	if q.Spec.Affinity == nil || q.Spec.Affinity.PodAntiAffinity == nil {
		return false
	}
	for _, t := range q.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		s, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
		if err == nil && s.Matches(labels.Set(p.Labels)) && meansNamespace(f, t) {
			return true
		}
	}
	return false
}

// meansNamespace tells whether a term means pods of the namespace, in which the pod that has the term is, too.
func meansNamespace(f *diagnosis.Facts, t corev1.PodAffinityTerm) bool {
	if len(t.Namespaces) == 0 && t.NamespaceSelector == nil || slices.Contains(t.Namespaces, f.NS()) {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(t.NamespaceSelector)
	return err == nil && (t.NamespaceSelector != nil && s.Empty() || f.Namespace != nil && s.Matches(labels.Set(f.Namespace.Labels)))
}
