package watch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestSinceWhenAWorkloadIsInTrouble(t *testing.T) {
	at := func(hours int) metav1.Time {
		return metav1.NewTime(time.Date(2026, 3, 2, hours, 0, 0, 0, time.UTC))
	}
	pod := func(name string, made, notReady int, restarts int32) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: at(made)}}
		status := corev1.ConditionFalse
		if notReady == 0 {
			status = corev1.ConditionTrue
		}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: at(notReady)}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: restarts}}
		return p
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, LastTransitionTime: at(4)}}}}
	topology := &Topology{Reader: fake.NewClientBuilder().WithObjects(pod("well", 1, 0, 9), pod("broken", 1, 5, 0), pod("crashing", 2, 6, 7), node).Build()}
	for name, c := range map[string]struct {
		subject v1alpha1.Subject
		want    int
	}{
		"a pod that is ready":    {v1alpha1.Subject{Kind: "Pod", Namespace: "shop", Name: "well"}, 0},
		"one that is not":        {v1alpha1.Subject{Kind: "Pod", Namespace: "shop", Name: "broken"}, 5},
		"one that keeps failing": {v1alpha1.Subject{Kind: "Pod", Namespace: "shop", Name: "crashing"}, 2},
		"a lost node":            {v1alpha1.Subject{Kind: "Node", Name: "n1"}, 4},
		"a node that is gone":    {v1alpha1.Subject{Kind: "Node", Name: "n2"}, 0},
		"what is no workload":    {v1alpha1.Subject{Kind: "Alert", Name: "A"}, 0},
	} {
		since, ok := topology.Since(c.subject)
		assert.Equal(t, c.want != 0, ok, name)
		if ok {
			assert.True(t, since.Equal(at(c.want).Time), "%s: %s", name, since)
		}
	}
}

func TestEvictedPodSaysNothingOfItsWorkload(t *testing.T) {
	at := func(minutes int) metav1.Time { return ago(time.Duration(minutes) * time.Minute) }
	pod := func(name, node string, notReady int, phase corev1.PodPhase) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: at(100),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", Controller: new(true)}}}}
		p.Spec.NodeName, p.Spec.RestartPolicy, p.Status.Phase = node, corev1.RestartPolicyAlways, phase
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: at(notReady)}}
		return p
	}
	lost := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}}}
	db := v1alpha1.Subject{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: "shop", Name: "db"}
	evicted := pod("db-0", "n2", 50, corev1.PodFailed)
	for name, c := range map[string]struct {
		pods  []client.Object
		since int // minutes ago; 0 for no trouble
		node  string
	}{
		"alone":                      {[]client.Object{evicted}, 0, ""},
		"beside a pod in trouble":    {[]client.Object{evicted, pod("db-1", "n1", 5, corev1.PodRunning)}, 5, "n1"},
		"pods in trouble on 2 nodes": {[]client.Object{pod("db-0", "n2", 50, corev1.PodRunning), pod("db-1", "n1", 5, corev1.PodRunning)}, 50, ""},
	} {
		t.Run(name, func(t *testing.T) {
			topology := &Topology{Reader: fake.NewClientBuilder().WithObjects(append(c.pods, lost)...).Build()}
			since, ok := topology.Since(db)
			assert.Equal(t, c.since != 0, ok)
			assert.True(t, !ok || since.Equal(at(c.since).Time), "%s", since)
			node, isLost := topology.LostNode(db)
			assert.Equal(t, c.node, node)
			assert.Equal(t, c.node != "", isLost)
		})
	}
}
