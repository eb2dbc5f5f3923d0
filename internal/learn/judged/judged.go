// Package judged reads from Incidents what the learning sees of them, and what people said of and did with them. It is
// pure.
package judged

import (
	"cmp"
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/learn"
)

// Of describes an Incident as it was when it was made, so that a question and a later judgement see the same. Recurrence
// is how many Incidents of the same group key were made in the 24 hours before (Recurrence). The team is the namespace.
// Whether a cause is known is left out: when the first decision is made, none is.
func Of(inc *v1alpha1.Incident, recurrence int) learn.Incident {
	worst := worstOf(inc.Spec.OpeningAlerts)
	opened := inc.CreationTimestamp.Time
	if worst.StartsAt.IsZero() {
		worst.StartsAt = inc.CreationTimestamp
	}
	return learn.Incident{
		Name: inc.Name, Team: inc.Spec.Subject.Namespace, Kind: worst.Name,
		Case: learn.Case{
			Severity: string(cmp.Or(inc.Status.Severity, worst.Severity)), Subject: inc.Spec.Subject.Kind, Source: string(worst.Source),
			Hour: learn.HourOfWeek(opened), Recurrence: recurrence, Seconds: int64(max(opened.Sub(worst.StartsAt.Time), 0) / time.Second),
			Symptoms: len(inc.Spec.OpeningAlerts),
		},
	}
}

// worstOf returns the alert of the highest severity, the earliest of several.
func worstOf(alerts []v1alpha1.IncidentAlert) v1alpha1.IncidentAlert {
	if len(alerts) == 0 {
		return v1alpha1.IncidentAlert{}
	}
	return slices.MinFunc(alerts, func(a, b v1alpha1.IncidentAlert) int {
		return cmp.Or(alert.Rank(b.Severity)-alert.Rank(a.Severity), a.StartsAt.Compare(b.StartsAt.Time),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
}

// Recurrence counts the Incidents among those of one group key that were made in the 24 hours before another.
func Recurrence(inc *v1alpha1.Incident, sameKey []*v1alpha1.Incident) int {
	n := 0
	for _, other := range sameKey {
		if age := inc.CreationTimestamp.Sub(other.CreationTimestamp.Time); other.Spec.Number < inc.Spec.Number && age >= 0 && age <= 24*time.Hour {
			n++
		}
	}
	return n
}

// Feedback returns what people said of an Incident, and where they said nothing, once it is over, what they did: silenced
// it, acknowledged it, or let a pushed one pass. The same Incident gives the same feedback again, and learn.State.Learn
// takes each once.
func Feedback(inc *v1alpha1.Incident, recurrence int) []learn.Feedback {
	var out []learn.Feedback
	about := learn.Feedback{Incident: Of(inc, recurrence), Shown: shown(inc)}
	if d := inc.Status.Decision; d != nil && d.Learned != nil {
		about.Permille = int(d.Learned.Permille)
	}
	for _, f := range inc.Spec.Feedback {
		one := about
		one.By, one.At = f.By, f.At.Time
		switch f.Verdict {
		case v1alpha1.FeedbackMattered:
			one.Signal = learn.Mattered
		case v1alpha1.FeedbackNoise:
			one.Signal = learn.Noise
		default:
			continue
		}
		out = append(out, one)
	}
	if len(out) > 0 || inc.Status.State != v1alpha1.IncidentClosed || inc.Status.ClosedAt == nil {
		return out
	}
	about.At = inc.Status.ClosedAt.Time
	switch {
	case inc.Spec.Silence != nil:
		about.Signal = learn.Silenced
	case inc.Spec.Acknowledge != nil:
		about.Signal = learn.Acknowledged
	case inc.Spec.Close == nil && slices.ContainsFunc(inc.Status.Deliveries, arrived):
		about.Signal = learn.Ignored
	default:
		return nil
	}
	return []learn.Feedback{about}
}

func arrived(d v1alpha1.Delivery) bool {
	return d.State == v1alpha1.DeliveryDelivered && d.Transition != v1alpha1.TransitionResolved && single(d)
}

// single tells whether a delivery is a message of its own, not a line in a digest.
func single(d v1alpha1.Delivery) bool { return d.Digest == "" }

// shown returns what was done with an Incident: pushed if it ever was.
func shown(inc *v1alpha1.Incident) learn.Action {
	d := inc.Status.Decision
	switch {
	case slices.ContainsFunc(inc.Status.Deliveries, single) || d != nil && d.Verdict == v1alpha1.VerdictNotify:
		return learn.Push
	case len(inc.Status.Deliveries) > 0 || d != nil && (d.Verdict == v1alpha1.VerdictDigest || d.Reason == decide.ReasonDigest):
		return learn.Digest
	}
	return learn.Quiet
}
