package decide

import (
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/truncate"
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
	advice.Plain = plain
	return advice, true
}

// Keep returns advice as it was stored with a decision, so that looking at the same incident again, by another replica
// or with a newer state, decides the same. Nil gives nil.
func Keep(d *v1alpha1.LearnedDecision) Learned {
	if d == nil {
		return nil
	}
	kept := kept{Reason: learn.Reason(d.Reason), Message: d.Message, Chance: int(d.ChancePercent), Permille: int(d.Permille), Revision: d.Revision}
	if kept.Action.UnmarshalText([]byte(d.Action)) != nil {
		return nil
	}
	return kept
}

// kept is advice that was given before.
type kept learn.Advice

// Advise returns it, no quieter than the floor.
func (k kept) Advise(_ learn.Holdable, q learn.Question) learn.Advice {
	k.Action = max(k.Action, q.Floor)
	return learn.Advice(k)
}

// record is advice as the Incident keeps it.
func record(a *learn.Advice) *v1alpha1.LearnedDecision {
	if a == nil {
		return nil
	}
	return &v1alpha1.LearnedDecision{
		Action: v1alpha1.LoudAction(a.Action.String()), Without: v1alpha1.LoudAction(a.Plain.String()),
		Reason: truncate.Bytes(string(a.Reason), 63), Message: truncate.Bytes(a.Message, 512),
		ChancePercent: int32(min(max(a.Chance, 0), 100)),                          //nolint:gosec // bounded
		Permille:      int32(min(max(a.Permille, 1), 1000)), Revision: a.Revision, //nolint:gosec // bounded
	}
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
		out.Bundle = slices.DeleteFunc(slices.Clone(q.receivers()), func(r string) bool { return q.rules.NoDigest[r] })
		if len(out.Bundle) > 0 {
			out.Verdict, out.Digest = v1alpha1.VerdictDigest, digestTime(q.now, q.rules.DigestEvery)
		}
	}
	return out, true
}

// digestTime returns when the next digest is due: at whole multiples of the interval since 1970, so that every replica
// says the same.
func digestTime(now time.Time, every time.Duration) time.Time {
	return now.Truncate(every).Add(every)
}
