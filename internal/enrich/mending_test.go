package enrich

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
)

func event(kind, name string, uid types.UID, reason, message string, first, last time.Time) corev1.Event {
	return corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Reason: reason, Message: message, FirstTimestamp: metav1.NewTime(first), LastTimestamp: metav1.NewTime(last),
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: "shop", Name: name, UID: uid}}
}

func TestACauseStandsWhileItIsMended(t *testing.T) {
	blamed := v1alpha1.Cause{Object: v1alpha1.CauseObject{Kind: "Deployment", Namespace: "shop", Name: "catalog"}, ScorePercent: 88, Kind: "config"}
	scaled := func(name, message string, at time.Time) []corev1.Event {
		return []corev1.Event{event("Deployment", name, "", "ScalingReplicaSet", message, at, at)}
	}
	back := "Scaled up replica set catalog-1 from 0 to 1"
	for name, c := range map[string]struct {
		events []corev1.Event
		score  int32
		now    time.Duration
		stands bool
	}{
		"rolled back since":             {scaled("catalog", back, noon.Add(time.Minute)), 88, 2 * time.Minute, true},
		"nothing was done":              {nil, 88, 2 * time.Minute, false},
		"rolled out before":             {scaled("catalog", back, noon.Add(-time.Minute)), 88, 2 * time.Minute, false},
		"more replicas of the same":     {scaled("catalog", "Scaled up replica set catalog-1 from 1 to 3", noon.Add(time.Minute)), 88, 2 * time.Minute, false},
		"another one was rolled out":    {scaled("cart", "Scaled up replica set cart-2 from 0 to 1", noon.Add(time.Minute)), 88, 2 * time.Minute, false},
		"rolled back, and still broken": {scaled("catalog", back, noon.Add(time.Minute)), 88, 7 * time.Minute, false},
		"what was found was a guess":    {scaled("catalog", back, noon.Add(time.Minute)), 40, 2 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			cause := blamed
			cause.ScorePercent = c.score
			finished := metav1.NewMicroTime(noon)
			inc := &v1alpha1.Incident{Status: v1alpha1.IncidentStatus{Causes: []v1alpha1.Cause{cause}, Analysis: &v1alpha1.Analysis{State: v1alpha1.AnalysisCauseFound, FinishedAt: &finished}}}
			got, ok := stands(inc, []Diagnosis{{Facts: &diagnosis.Facts{Events: c.events}}}, noon.Add(c.now))
			assert.Equal(t, c.stands, ok)
			if c.stands {
				assert.Equal(t, inc.Status.Causes, got.Causes)
				assert.Contains(t, got.Analysis.Message, "catalog was rolled out at 2026-03-01T12:01:00Z, after the cause was found")
			}
		})
	}
	_, ok := stands(&v1alpha1.Incident{}, nil, noon)
	assert.False(t, ok, "the first analysis has nothing to keep")
}

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
