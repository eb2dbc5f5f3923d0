package pipeline

import (
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
)

// What is not critical is first pushed when it has lasted for a while (Rules.PushAfter). When that is stands in the Incident's
// decision and follows from its alerts, so that a replica that starts goes on waiting.

// lasting returns since when an Incident fires at its severity, and when it ended, zero where it has not.
func lasting(inc *v1alpha1.Incident, now time.Time) (fires, over time.Time) {
	s := &inc.Status
	for _, firingOnly := range []bool{true, false} {
		for i := range s.Alerts {
			r := &s.Alerts[i]
			if r.Severity == s.Severity && (!firingOnly || r.State == v1alpha1.AlertFiring) && (fires.IsZero() || r.StartsAt.Time.Before(fires)) {
				fires = r.StartsAt.Time
			}
		}
		if !fires.IsZero() {
			break
		}
	}
	if standing(inc) {
		return fires, time.Time{}
	}
	if over = now; s.ResolvedAt != nil {
		over = s.ResolvedAt.Time
	}
	if firing(inc) > 0 {
		return fires, over // a person closed it
	}
	var last time.Time
	for i := range s.Alerts {
		if end := s.Alerts[i].EndsAt; end != nil && end.After(last) {
			last = end.Time
		}
	}
	if !last.IsZero() && last.Before(over) {
		over = last
	}
	return fires, over
}

// promised returns who will be told of an Incident once it has lasted; none where it does not wait for that.
func (p *Pipeline) promised(inc *v1alpha1.Incident, now time.Time) []string {
	d := inc.Status.Decision
	if d == nil || d.Reason != decide.ReasonSettling {
		return nil
	}
	rules := p.withTeams(p.Rules)
	rules.PushAfter, rules.Learned = 0, decide.Keep(d.Learned)
	out := decide.Decide(rules, p.facts(inc, inc, rules.Learned != nil, now), now)
	return slices.Concat(out.Receivers, out.Bundle)
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
