package decide

import (
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/learn"
)

// Learned proposes what to do with an incident that is not critical, by what people taught. *learn.Model is one.
type Learned interface {
	Advise(h learn.Holdable, q learn.Question) learn.Advice
}

// ask asks what people taught about an incident. It returns false where nothing can be asked: without a state, for what is
// not described, and for a critical incident, of which there is no learn.Holdable.
func (q question) ask() (learn.Advice, bool) {
	if q.rules.Learned == nil || q.facts.Incident == nil || q.critical() {
		return learn.Advice{}, false
	}
	incident := *q.facts.Incident
	incident.Severity = string(q.facts.Severity)
	h, ok := incident.Holdable()
	if !ok {
		return learn.Advice{}, false
	}
	plain, floor := learn.Quiet, learn.Quiet
	if q.route != nil {
		plain = learn.Push
		if explicit(q.route) {
			floor = learn.Push
		}
	}
	advice := q.rules.Learned.Advise(h, learn.Question{Plain: plain, Floor: floor, Now: q.now})
	if advice.Action == learn.Digest && q.rules.DigestEvery <= 0 {
		advice.Action = plain // there is no digest to wait for
	}
	return advice, true
}

// explicit tells whether a route names what it takes, by labels, rather than whole severities and namespaces. What was
// learned holds nothing back that such a route takes.
func explicit(r *v1alpha1.Route) bool { return len(r.Match.Labels) > 0 }

// taughtImportant tells whether people taught that an incident that no route takes is worth telling.
func (q question) taughtImportant() bool {
	return q.route == nil && q.taught != nil && q.taught.Action > learn.Quiet
}

// unimportant keeps from being pushed what people taught is noise, or lets it wait for the digest.
func unimportant(q question) (Outcome, bool) {
	if q.taught == nil || q.taught.Action == learn.Push {
		return Outcome{}, false
	}
	out := quiet(ReasonUnimportant, q.taught.Message)
	out.Learned = q.taught
	if q.taught.Action == learn.Digest {
		out.Reason = ReasonDigest
		out.Receivers, out.Digest = q.receivers(), digestTime(q.now, q.rules.DigestEvery)
	}
	return out, true
}

// digestTime returns when the next digest is due: at whole multiples of the interval since 1970, so that every replica
// says the same.
func digestTime(now time.Time, every time.Duration) time.Time {
	return now.Truncate(every).Add(every)
}
