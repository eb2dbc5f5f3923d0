package enrich

import (
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
)

// mendingTime is for how long after a rollout of what was blamed the blame stands: alerts look at up to 5 minutes, and
// while these go by, what still fails is only who calls it.
const mendingTime = 5 * time.Minute

// stands returns the earlier answer to an Incident's question, if its cause stood out and what it blames was rolled out
// since: the telemetry of a fault that is being mended says less than that of the fault itself.
func stands(inc *v1alpha1.Incident, diagnoses []Diagnosis, now time.Time) (v1alpha1.IncidentStatus, bool) {
	s := &inc.Status
	if s.Analysis == nil || s.Analysis.FinishedAt == nil || len(s.Causes) == 0 ||
		s.Causes[0].ScorePercent < StandsOut || s.Causes[0].Object.Kind != "Deployment" {
		return v1alpha1.IncidentStatus{}, false
	}
	at := rolledSince(diagnoses, s.Causes[0].Object, s.Analysis.FinishedAt.Time)
	if at.IsZero() || now.Sub(at) > mendingTime {
		return v1alpha1.IncidentStatus{}, false
	}
	a := s.Analysis.DeepCopy()
	a.State = v1alpha1.AnalysisCauseFound
	a.Message = text(s.Causes[0].Object.Name+" was rolled out at "+at.UTC().Format(time.RFC3339)+
		", after the cause was found, which stands until it shows what that brought", maxText)
	return v1alpha1.IncidentStatus{Causes: s.Causes, Analysis: a}, true
}

// rolledSince is when a Deployment last took another revision after a time; zero if it did not.
func rolledSince(diagnoses []Diagnosis, o v1alpha1.CauseObject, since time.Time) (last time.Time) {
	for _, d := range diagnoses {
		for _, e := range d.Facts.EventsOf("Deployment", o.Name, "") {
			at := diagnosis.EventTime(&e)
			if e.Namespace == o.Namespace && e.Reason == "ScalingReplicaSet" &&
				strings.HasPrefix(e.Message, "Scaled up ") && strings.Contains(e.Message, " from 0 to ") &&
				at.After(since) && at.After(last) {
				last = at
			}
		}
	}
	return last
}
