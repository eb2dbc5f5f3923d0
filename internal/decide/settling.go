package decide

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// settle holds the first push of what is not critical back until it has lasted for Rules.PushAfter; what is over by then is
// never pushed. What is older than the KubeBot has lasted, and what comes and goes is told as that.
func (q question) settle(out Outcome) Outcome {
	f, after := q.facts, q.rules.PushAfter
	if after <= 0 || out.Verdict != v1alpha1.VerdictNotify || q.critical() || f.Told || f.Flaps || f.Fires.IsZero() || q.old() {
		return out
	}
	due := q.settled()
	over := !f.Over.IsZero() && !q.goesOn()
	var held Outcome
	switch {
	case over && (f.Over.Before(due) || f.Before != nil && f.Before.Reason == ReasonBrief):
		held = quiet(ReasonBrief, fmt.Sprintf("It was not critical, and over before it had lasted for %s", model.Duration(after)))
	case !over && q.now.Before(due):
		held = quiet(ReasonSettling, fmt.Sprintf("It is not critical, so it is told once it has lasted for %s", model.Duration(after)))
		at := metav1.NewTime(due.UTC())
		held.PushesAt, held.Again = &at, due
		if !out.Again.IsZero() && out.Again.Before(due) {
			held.Again = out.Again
		}
	default:
		return out
	}
	held.Learned = out.Learned
	return held
}

// goesOn tells whether what still fires at a lower severity is to be told of too.
func (q question) goesOn() bool {
	if q.facts.Lower == "" {
		return false
	}
	q.facts.Severity = q.facts.Lower
	route := firstRoute(q.rules.Routes, q.facts)
	return route != nil && len(route.Receivers) > 0 || len(q.ofTeams()) > 0
}

// settled is when the incident has lasted long enough. A time that was said before stands, so that alerts that take turns
// do not put it off.
func (q question) settled() time.Time {
	due := q.facts.Fires.Add(q.rules.PushAfter).Truncate(time.Second)
	if d := q.facts.Before; d != nil && d.Reason == ReasonSettling && d.PushesAt != nil && d.PushesAt.Time.Before(due) {
		return d.PushesAt.Time
	}
	return due
}
