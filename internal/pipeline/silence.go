package pipeline

import (
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
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
