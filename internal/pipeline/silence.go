package pipeline

import (
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// tellSilence notes a silence that was asked for, changed or came to its end, and returns the sentence that receivers
// are told; empty when there is no news. Alertmanager is told by package silence.
func tellSilence(inc *v1alpha1.Incident, now time.Time) string {
	want, have := inc.Spec.Silence, inc.Status.Silence
	if want != nil && want.Until.After(now) {
		if have != nil && have.ToldUntil != nil && have.ToldUntil.Equal(&want.Until) {
			return ""
		}
		if have == nil {
			have = &v1alpha1.SilenceStatus{State: v1alpha1.SilencePending, Until: want.Until}
			inc.Status.Silence = have
		}
		have.By, have.ToldUntil = want.By, want.Until.DeepCopy()
		return asked("Silenced until "+want.Until.UTC().Format("2006-01-02 15:04 UTC"), &v1alpha1.Request{By: want.By, Comment: want.Comment})
	}
	if have == nil || have.ToldUntil == nil {
		return ""
	}
	if have.ToldUntil = nil; have.State == v1alpha1.SilenceEnded {
		inc.Status.Silence = nil
	}
	if want == nil {
		return "The silence was ended"
	}
	return "The silence is over"
}

// silencedBack is how many earlier Incidents of a group are asked for a silence.
const silencedBack = 5

// silencedBefore returns until when a silence of an earlier Incident of the group holds that covers this one, and the
// name of that Incident. Alertmanager is silent about such alerts itself; what the watch sees must be held back here. A
// silence covers alerts of the names that it was asked for, not when they have become more severe.
func (p *Pipeline) silencedBefore(inc *v1alpha1.Incident, now time.Time) (time.Time, string) {
	for n := inc.Spec.Number - 1; n > 0 && n >= inc.Spec.Number-silencedBack; n-- {
		before := p.index.Get(IncidentName(p.Config.UID, inc.Spec.GroupKey, n))
		if before == nil || before.Spec.Silence == nil || !before.Spec.Silence.Until.After(now) {
			continue
		}
		if alert.Rank(inc.Status.Severity) <= alert.Rank(before.Status.Severity) && len(added(names(before.Status.Alerts), names(inc.Status.Alerts))) == 0 {
			return before.Spec.Silence.Until.Time, before.Name
		}
	}
	return time.Time{}, ""
}
