package enrich

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

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
	if slices.ContainsFunc(slices.Concat(f.Pods, f.Neighbours), func(p corev1.Pod) bool { return p.UID == e.InvolvedObject.UID && diagnosis.Unready(&p) }) {
		return false
	}
	began := diagnosis.EventTime(e)
	if !e.FirstTimestamp.IsZero() {
		began = e.FirstTimestamp.Time
	}
	return slices.ContainsFunc(f.Events, func(s corev1.Event) bool {
		after := began.Sub(diagnosis.EventTime(&s))
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
