package judged

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/learn"
)

var made = time.Date(2026, 3, 3, 12, 30, 0, 0, time.UTC) // a Tuesday

func incident(number int64, at time.Time) *v1alpha1.Incident {
	return &v1alpha1.Incident{
		ObjectMeta: metav1.ObjectMeta{Name: "inc-1", CreationTimestamp: metav1.NewTime(at)},
		Spec: v1alpha1.IncidentSpec{
			Number: number, Subject: v1alpha1.Subject{Kind: "Deployment", Namespace: "shop", Name: "checkout"},
			OpeningAlerts: []v1alpha1.IncidentAlert{
				{Name: "Hint", Severity: v1alpha1.SeverityInfo, StartsAt: metav1.NewTime(at.Add(-time.Hour))},
				{Name: "Later", Severity: v1alpha1.SeverityWarning, StartsAt: metav1.NewTime(at)},
				{Name: "PodCrashLooping", Severity: v1alpha1.SeverityWarning, Source: v1alpha1.AlertSourceWatch, StartsAt: metav1.NewTime(at.Add(-time.Minute))},
			},
		},
		Status: v1alpha1.IncidentStatus{Severity: v1alpha1.SeverityWarning},
	}
}

func TestAnIncidentIsDescribedByItsWorstFirstAlert(t *testing.T) {
	want := learn.Incident{Name: "inc-1", Team: "shop", Kind: "PodCrashLooping", Case: learn.Case{
		Severity: "warning", Subject: "Deployment", Source: "Watch", Hour: 36, Recurrence: 2, Seconds: 60, Symptoms: 3,
	}}
	inc := incident(3, made)
	assert.Equal(t, want, Of(inc, 2))
	inc.Status.Causes = []v1alpha1.Cause{{}}
	inc.Status.Alerts = make([]v1alpha1.IncidentAlert, 9)
	assert.Equal(t, want, Of(inc, 2), "what came later changed it")
	inc.Status.Severity = v1alpha1.SeverityCritical
	_, ok := Of(inc, 2).Holdable()
	assert.False(t, ok)
	assert.NotPanics(t, func() { Of(&v1alpha1.Incident{}, 0) })
}

func TestRecurrenceCountsTheDayBefore(t *testing.T) {
	inc := incident(4, made)
	others := []*v1alpha1.Incident{incident(1, made.Add(-25*time.Hour)), incident(2, made.Add(-24*time.Hour)), incident(3, made.Add(-time.Hour)), inc, incident(5, made)}
	assert.Equal(t, 2, Recurrence(inc, others))
}

func TestFeedbackIsWhatPeopleSayElseWhatTheyDo(t *testing.T) {
	closed, pressed := metav1.NewTime(made.Add(time.Hour)), metav1.NewTime(made.Add(time.Minute))
	over := func(inc *v1alpha1.Incident) { inc.Status.State, inc.Status.ClosedAt = v1alpha1.IncidentClosed, &closed }
	delivered := func(inc *v1alpha1.Incident) {
		inc.Status.Deliveries = []v1alpha1.Delivery{{State: v1alpha1.DeliveryDelivered, Transition: v1alpha1.TransitionOpened}}
	}
	acknowledged := func(inc *v1alpha1.Incident) { inc.Spec.Acknowledge = &v1alpha1.Request{By: "ann"} }
	silenced := func(inc *v1alpha1.Incident) { inc.Spec.Silence = &v1alpha1.SilenceRequest{By: "ann"} }
	said := func(inc *v1alpha1.Incident) {
		inc.Spec.Feedback = []v1alpha1.Feedback{{Verdict: v1alpha1.FeedbackNoise, By: "ann", At: pressed}, {Verdict: v1alpha1.FeedbackMattered, By: "bob", At: pressed}}
	}
	digest := func(inc *v1alpha1.Incident) {
		inc.Status.Decision = &v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet, Reason: decide.ReasonDigest}
	}
	type does = func(*v1alpha1.Incident)
	for name, c := range map[string]struct {
		did   []does
		want  []learn.Signal
		shown learn.Action
	}{
		"nothing yet":                      {nil, nil, learn.Quiet},
		"two persons differ":               {[]does{said, delivered}, []learn.Signal{learn.Noise, learn.Mattered}, learn.Push},
		"words count, deeds then do not":   {[]does{said, acknowledged, over, digest}, []learn.Signal{learn.Noise, learn.Mattered}, learn.Digest},
		"acknowledged and over":            {[]does{acknowledged, delivered, over}, []learn.Signal{learn.Acknowledged}, learn.Push},
		"acknowledged and still open":      {[]does{acknowledged, delivered}, nil, learn.Push},
		"silenced after it was looked at":  {[]does{acknowledged, silenced, delivered, over}, []learn.Signal{learn.Silenced}, learn.Push},
		"pushed, and nobody did anything":  {[]does{delivered, over}, []learn.Signal{learn.Ignored}, learn.Push},
		"quiet, and nobody did anything":   {[]does{over}, nil, learn.Quiet},
		"closed by a person without words": {[]does{delivered, over, func(inc *v1alpha1.Incident) { inc.Spec.Close = &v1alpha1.Request{By: "ann"} }}, nil, learn.Push},
	} {
		t.Run(name, func(t *testing.T) {
			inc := incident(1, made)
			for _, do := range c.did {
				do(inc)
			}
			var got []learn.Signal
			for _, f := range Feedback(inc, 0) {
				got = append(got, f.Signal)
				assert.Equal(t, c.shown, f.Shown)
				assert.Equal(t, "PodCrashLooping", f.Incident.Kind)
				assert.False(t, f.At.IsZero())
				_, changed := learn.State{}.Learn(f)
				assert.True(t, changed)
			}
			assert.Equal(t, c.want, got)
		})
	}
}
