package pods

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// SeriesEvicted is recorded for each pod of the stack (labels job, namespace, pod, node) that ended in the last minutes
// while its node's kubelet evicted a pod because its emptyDir was full.
const SeriesEvicted = "kubebot:pod:emptydir_evicted"

const (
	keyEvicted = "evicted"
	// toldFor is how long an eviction is told of.
	toldFor = "1h"
)

// AskEvicted asks a managed Prometheus whether a pod of the job was evicted; without one, nobody is asked.
func AskEvicted(kb *v1alpha1.KubeBot, job string) []component.Question {
	if m := kb.Spec.Metrics.Prometheus.Mode; m == v1alpha1.ModeExternal || m == v1alpha1.ModeDisabled {
		return nil
	}
	promQL := fmt.Sprintf(`count(max_over_time(%s{job=%q, namespace=%q}[%s]))`, SeriesEvicted, job, kb.Namespace, toldFor)
	return []component.Question{{Key: keyEvicted, URL: observe.Query(endpoints.Prometheus(kb), promQL)}}
}

// Filling adds to the condition StorageEphemeral of a component that does not bound what it keeps by size at which size
// the pod is evicted, limit where the user gives none, and whether it seems that it was, as far as AskEvicted was asked.
func Filling(conditions []metav1.Condition, s v1alpha1.StorageSpec, limit string, seen component.Observed) []metav1.Condition {
	size := resource.MustParse(limit)
	if s.EphemeralLimit != nil {
		size = *s.EphemeralLimit
	}
	told := slices.Clone(conditions)
	for i := range told {
		told[i].Message += fmt.Sprintf("; above %s the pod is evicted and all of them are gone", size.String())
		if vector, err := observe.Vector(seen.Answers[keyEvicted]); err == nil && len(vector) > 0 {
			told[i].Message = "a pod was probably evicted within the last hour because its emptyDir was full, and then all that it held is gone; " +
				told[i].Message
		}
	}
	return told
}
