package pipeline

import (
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
)

// What is not critical is first pushed when it has lasted for a while (Rules.PushAfter). When that is stands in the Incident's
// decision and follows from its alerts, so that a replica that starts goes on waiting.

// lasting returns since when an Incident fires at its severity, when that ended, zero where it has not, and the highest
// severity that still fires then.
func lasting(inc *v1alpha1.Incident, now time.Time) (fires, over time.Time, lower v1alpha1.Severity) {
	s := &inc.Status
	var first, last time.Time
	for i := range s.Alerts {
		r := &s.Alerts[i]
		switch {
		case r.Severity != s.Severity:
			if r.State == v1alpha1.AlertFiring && alert.Rank(r.Severity) > alert.Rank(lower) {
				lower = r.Severity
			}
		case r.State == v1alpha1.AlertFiring:
			fires = earlier(fires, r.StartsAt.Time)
		default:
			first = earlier(first, r.StartsAt.Time)
			if r.EndsAt != nil && r.EndsAt.After(last) {
				last = r.EndsAt.Time
			}
		}
	}
	if !fires.IsZero() && standing(inc) {
		return fires, time.Time{}, ""
	}
	if over = now; s.ResolvedAt != nil {
		over = s.ResolvedAt.Time
	}
	if fires.IsZero() { // else a person closed it
		fires = first
		if !last.IsZero() {
			over = earlier(over, last)
		}
	}
	if !standing(inc) {
		lower = ""
	}
	return fires, over, lower
}

// earlier returns the earlier of two times of which the first may be zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// looksAgain tells whether a decision that is stored may change without news of its Incident. One that was brief stands while
// something of lower severity fires, and what comes back then is no news.
func looksAgain(inc *v1alpha1.Incident, d *v1alpha1.Decision) bool {
	return decide.Timed(d.Reason) || d.Reason == decide.ReasonBrief && standing(inc)
}

// promised returns who will be told of an Incident once it has lasted, or by an escalation; none where it waits for neither.
func (p *Pipeline) promised(inc *v1alpha1.Incident, now time.Time) []string {
	d := inc.Status.Decision
	if d == nil || d.Reason != decide.ReasonSettling && d.EscalatesAt == nil {
		return nil
	}
	rules := p.withTeams(p.Rules)
	rules.PushAfter, rules.Learned = 0, decide.Keep(d.Learned)
	out := decide.Decide(rules, p.facts(inc, inc, rules.Learned != nil, now), now)
	return slices.Concat(out.Receivers, out.Bundle, out.Later)
}

// settledNow tells whether a wait ended with a message.
func settledNow(before, after *v1alpha1.Decision) bool {
	return before != nil && before.Reason == decide.ReasonSettling && after.Verdict != v1alpha1.VerdictQuiet
}

// restamp gives deliveries the time at which a wait for them ended: from then on a receiver is late, and it counts for what
// is a storm.
func restamp(deliveries []v1alpha1.Delivery, now time.Time) {
	for i := range deliveries {
		at := stamp(now)
		deliveries[i].At = &at
	}
}
