package enrich

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

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
	if s.Analysis == nil || s.Analysis.FinishedAt == nil || len(s.Causes) == 0 || s.Causes[0].ScorePercent < StandsOut || s.Causes[0].Object.Kind != "Deployment" {
		return v1alpha1.IncidentStatus{}, false
	}
	at := rolledSince(diagnoses, s.Causes[0].Object, s.Analysis.FinishedAt.Time)
	if at.IsZero() || now.Sub(at) > mendingTime {
		return v1alpha1.IncidentStatus{}, false
	}
	a := s.Analysis.DeepCopy()
	a.State = v1alpha1.AnalysisCauseFound
	a.Message = text(s.Causes[0].Object.Name+" was rolled out at "+at.UTC().Format(time.RFC3339)+", after the cause was found, which stands until it shows what that brought", maxText)
	return v1alpha1.IncidentStatus{Causes: s.Causes, Analysis: a}, true
}

// rolledSince is when a Deployment last took another revision after a time; zero if it did not.
func rolledSince(diagnoses []Diagnosis, o v1alpha1.CauseObject, since time.Time) (last time.Time) {
	for _, d := range diagnoses {
		for _, e := range d.Facts.EventsOf("Deployment", o.Name, "") {
			at := diagnosis.EventTime(&e)
			if e.Namespace == o.Namespace && e.Reason == "ScalingReplicaSet" && strings.HasPrefix(e.Message, "Scaled up ") && strings.Contains(e.Message, " from 0 to ") &&
				at.After(since) && at.After(last) {
				last = at
			}
		}
	}
	return last
}

// startTime is how long a container may take to answer its probe for the first time.
const startTime = 30 * time.Second

// transient tells that an event only says that a container which has just begun does not answer yet, or that one that is
// being stopped does not any more. A container that has begun and whose pod is still not ready is trouble.
func transient(f *diagnosis.Facts, e *corev1.Event) bool {
	if e.Reason != "Unhealthy" || strings.HasPrefix(e.Message, "Liveness") {
		return false
	}
	if stopping(f, e) {
		return true
	}
	if slices.ContainsFunc(slices.Concat(f.Pods, f.Neighbours), func(p corev1.Pod) bool { return p.UID == e.InvolvedObject.UID && !diagnosis.PodReady(&p) }) {
		return false
	}
	began := diagnosis.EventTime(e)
	if !e.FirstTimestamp.IsZero() {
		began = e.FirstTimestamp.Time
	}
	return slices.ContainsFunc(f.Events, func(s corev1.Event) bool {
		after := began.Sub(s.LastTimestamp.Time)
		return s.Reason == "Started" && s.InvolvedObject.UID == e.InvolvedObject.UID && after >= 0 && after < startTime
	})
}

// stopTime is how long a container may take to end, the default of terminationGracePeriodSeconds.
const stopTime = 30 * time.Second

// stopping tells that an event is about a container that was told to end for another reason than its probe.
func stopping(f *diagnosis.Facts, e *corev1.Event) bool {
	at := diagnosis.EventTime(e)
	return slices.ContainsFunc(f.Events, func(k corev1.Event) bool {
		told := diagnosis.EventTime(&k)
		return k.Reason == "Killing" && strings.HasPrefix(k.Message, "Stopping container ") && k.InvolvedObject.UID == e.InvolvedObject.UID &&
			!at.Before(told.Add(-time.Second)) && at.Sub(told) < stopTime
	})
}
