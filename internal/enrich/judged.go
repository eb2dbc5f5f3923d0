package enrich

import (
	"context"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/rca"
)

// Judgement is what a person said of the cause of an Incident.
type Judgement struct {
	// Workload and Kind are the cause.
	Workload string
	Kind     v1alpha1.CauseKind
	// Wrong says that it is not the cause; which one is, nobody said.
	Wrong bool
}

// Judged returns what a person said of an Incident's cause, by kubectl or a button; false when nobody did.
func Judged(inc *v1alpha1.Incident) (Judgement, bool) {
	if inc == nil || inc.Spec.Cause == nil {
		return Judgement{}, false
	}
	said := inc.Spec.Cause
	if c := said.Correct; c != nil {
		return Judgement{Workload: c.Workload, Kind: c.Kind}, true
	}
	place := said.Confirm
	if place == nil {
		place = said.Reject
	}
	if place == nil || *place < 1 || int(*place) > len(inc.Status.Causes) {
		return Judgement{}, false
	}
	c := inc.Status.Causes[*place-1]
	j := Judgement{Workload: c.Workload, Kind: c.Kind, Wrong: said.Confirm == nil}
	if j.Workload == "" {
		j.Workload = c.Object.Name
	}
	return j, true
}

// Example is what the ranking can learn from an answer about an Incident that a person judged; false when nobody did, or
// when there was no telemetry.
func (a Answer) Example(inc *v1alpha1.Incident) (rca.Example, bool) {
	j, ok := Judged(inc)
	if !ok || a.Snapshot == nil {
		return rca.Example{}, false
	}
	if service, known := a.Services[j.Workload]; known {
		j.Workload = service
	}
	return rca.Example{Snapshot: a.Snapshot, Workload: j.Workload, Kind: rca.Kind(j.Kind), Wrong: j.Wrong}, true
}

// Record reads telemetry alone, for a question of the past: the state of objects is not that of then any more. The answer
// holds what the engine saw, and no causes.
func (a *Analyst) Record(ctx context.Context, q Question) Answer {
	limit := a.SourceTime
	if limit == 0 {
		limit = SourceTime
	}
	readings := readAll(ctx, a.Sources, q, limit)
	t := collect(readings)
	out := Answer{Services: t.services(q.Subject.Namespace)}
	for _, r := range readings {
		out.Sources = append(out.Sources, r.report)
	}
	if t.any() {
		out.Snapshot = t.snapshot(q, nil)
	}
	return out
}

// Past returns the question that the last analysis of an Incident asked: what came later, nobody saw then.
func Past(inc *v1alpha1.Incident, now time.Time) Question {
	q := QuestionOf(inc, now)
	a := inc.Status.Analysis
	if a == nil || a.FinishedAt == nil {
		return q
	}
	asked := a.FinishedAt.Time
	if a.Since != nil {
		q.Alarm, q.Now = a.Since.Time, now
		if most := q.Alarm.Add(judgedFor); q.Now.After(most) {
			q.Now = most
		}
	}
	if least := q.Alarm.Add(time.Minute); asked.Before(least) {
		asked = least
	}
	if asked.Before(q.Now) {
		q.Now = asked
	}
	return q
}
