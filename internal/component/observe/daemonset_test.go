package observe_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
)

// agent is a pod of the DaemonSet agent on a node, of a generation of its template.
func agent(owner, node, generation string, ready corev1.ConditionStatus) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Labels:          map[string]string{"pod-template-generation": generation},
			OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: owner, Controller: new(true)}},
		},
		Spec:   corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

func TestDaemonSetTroubleLeavesOutNodesThatAreNotReady(t *testing.T) {
	// The node b is not ready; of 3 nodes so many pods are of the second generation, and so many available.
	seen := func(updated, available int32, pods ...corev1.Pod) component.Observed {
		return component.Observed{
			Objects: []client.Object{&appsv1.DaemonSet{
				ObjectMeta: metav1.ObjectMeta{Name: "agent", Annotations: map[string]string{appsv1.DeprecatedTemplateGeneration: "2"}},
				Status:     appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, UpdatedNumberScheduled: updated, NumberAvailable: available},
			}},
			Pods: pods,
			Answers: map[string]component.Answer{observe.KeyNodesNotReady: {
				Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[{"metric":{"node":"b"},"value":[1,"0"]}]}}`),
			}},
		}
	}
	unasked := seen(3, 2, agent("agent", "b", "2", corev1.ConditionFalse))
	unasked.Answers = nil
	older := agent("agent", "b", "1", corev1.ConditionFalse)
	newer := agent("agent", "b", "2", corev1.ConditionFalse)
	newer.CreationTimestamp = metav1.Unix(1767323045, 0)
	for name, c := range map[string]struct {
		seen    component.Observed
		trouble string
		leftOut int
	}{
		"its pod is not ready":              {seen(3, 2, agent("agent", "b", "2", corev1.ConditionFalse)), "", 1},
		"its pod can't be replaced":         {seen(2, 2, agent("agent", "b", "1", corev1.ConditionFalse)), "", 1},
		"its pod's successor waits":         {seen(2, 2, newer, older), "", 1},
		"its pod counts as ready still":     {seen(3, 2, agent("agent", "b", "2", corev1.ConditionTrue)), "1 of 2 pods of the DaemonSet agent are up to date and available; 1 node(s) that are not ready are left out", 1},
		"another pod is not ready":          {seen(3, 1, agent("agent", "b", "2", corev1.ConditionFalse)), "1 of 2 pods of the DaemonSet agent are up to date and available; 1 node(s) that are not ready are left out", 1},
		"another pod is old":                {seen(2, 2, agent("agent", "b", "2", corev1.ConditionFalse)), "1 of 2 pods of the DaemonSet agent are up to date and available; 1 node(s) that are not ready are left out", 1},
		"the pod there is another's":        {seen(3, 2, agent("other", "b", "2", corev1.ConditionFalse)), "2 of 3 pods of the DaemonSet agent are up to date and available", 0},
		"the pod is on a node that is well": {seen(3, 2, agent("agent", "a", "2", corev1.ConditionFalse)), "2 of 3 pods of the DaemonSet agent are up to date and available", 0},
		"nobody knows the nodes":            {unasked, "2 of 3 pods of the DaemonSet agent are up to date and available", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if trouble, leftOut := observe.DaemonSetTrouble(c.seen, "agent"); trouble != c.trouble || leftOut != c.leftOut {
				t.Errorf("DaemonSetTrouble = %q, %d, want %q, %d", trouble, leftOut, c.trouble, c.leftOut)
			}
		})
	}
}
