package enrich

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

func TestAProbeThatFailsAtTheStartOrEndIsNoEvidence(t *testing.T) {
	started := event("Pod", "front-1-a", "a", "Started", "Started container app", noon, noon)
	stopped := event("Pod", "front-1-z", "z", "Killing", "Stopping container app", noon.Add(10*time.Minute), noon.Add(10*time.Minute))
	pod := func(ready corev1.ConditionStatus) []corev1.Pod {
		return []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "front-1-a", UID: "a"}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}}}}
	}
	const readiness = "Readiness probe failed: connection refused"
	for name, c := range map[string]struct {
		pods  []corev1.Pod
		event corev1.Event
		want  bool
	}{
		"at the start":                   {pod(corev1.ConditionTrue), event("Pod", "front-1-a", "a", "Unhealthy", readiness, noon.Add(time.Second), noon.Add(20*time.Second)), true},
		"at the start of one that ended": {nil, event("Pod", "front-1-a", "a", "Unhealthy", readiness, noon.Add(time.Second), noon.Add(time.Second)), true},
		"and never answered since":       {pod(corev1.ConditionFalse), event("Pod", "front-1-a", "a", "Unhealthy", readiness, noon.Add(time.Second), noon.Add(time.Minute)), false},
		"later":                          {pod(corev1.ConditionTrue), event("Pod", "front-1-a", "a", "Unhealthy", readiness, noon.Add(time.Hour), noon.Add(time.Hour)), false},
		"it kills":                       {pod(corev1.ConditionTrue), event("Pod", "front-1-a", "a", "Unhealthy", "Liveness probe failed", noon.Add(time.Second), noon.Add(time.Second)), false},
		"of another pod":                 {pod(corev1.ConditionTrue), event("Pod", "front-1-b", "b", "Unhealthy", readiness, noon.Add(time.Second), noon.Add(time.Second)), false},
		"while it is stopped":            {pod(corev1.ConditionFalse), event("Pod", "front-1-z", "z", "Unhealthy", readiness, noon.Add(10*time.Minute+time.Second), noon.Add(10*time.Minute+time.Second)), true},
		"before it is stopped":           {pod(corev1.ConditionFalse), event("Pod", "front-1-z", "z", "Unhealthy", readiness, noon.Add(9*time.Minute), noon.Add(9*time.Minute)), false},
		"something else":                 {pod(corev1.ConditionTrue), event("Pod", "front-1-a", "a", "BackOff", "Back-off", noon.Add(time.Second), noon.Add(time.Second)), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := &diagnosis.Facts{Neighbours: c.pods, Events: []corev1.Event{started, stopped, c.event}}
			assert.Equal(t, c.want, transient(f, &c.event))
		})
	}
}
