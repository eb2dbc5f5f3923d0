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
