package watch

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// eventReasons says which alert a warning event makes; all others are told by states, or are noise.
var eventReasons = map[string]string{
	"FailedMount": alert.VolumeMountFailed, "FailedAttachVolume": alert.VolumeMountFailed, "FailedMapVolume": alert.VolumeMountFailed,
	"FailedCreate": alert.PodCreateFailed, "FailedCreatePodSandBox": alert.PodSandboxFailed,
}

// event adds a warning event to its workload's sum; the lock is held.
func (w *Watcher) event(e *corev1.Event) {
	name, ok := eventReasons[e.Reason]
	if !ok {
		return
	}
	first, last := eventTimes(e)
	if w.Now().Sub(last) >= eventHold {
		return
	}
	subject, ok := w.involved(e.InvolvedObject)
	if !ok {
		return
	}
	key, t := w.track(subject)
	sum, ok := t.events[name]
	if !ok || first.Sub(sum.Last) >= eventHold {
		sum = EventSum{First: first, Last: last, Message: e.Message}
	}
	if first.Before(sum.First) {
		sum.First = first
	}
	if last.After(sum.Last) {
		sum.Last, sum.Message = last, e.Message
	}
	t.events[name] = sum
	w.later(key)
}

// involved returns the workload of the object that an event is about.
func (w *Watcher) involved(o corev1.ObjectReference) (v1alpha1.Subject, bool) {
	switch o.Kind {
	case "Pod", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "Deployment":
		return w.Topology.Workload(o.Kind, o.Namespace, o.Name)
	}
	return v1alpha1.Subject{}, false
}

// eventTimes returns when an event was first and last seen, whichever API wrote it.
func eventTimes(e *corev1.Event) (first, last time.Time) {
	first, last = e.FirstTimestamp.Time, e.LastTimestamp.Time
	if first.IsZero() {
		first = e.EventTime.Time
	}
	if first.IsZero() {
		first = e.CreationTimestamp.Time
	}
	if e.Series != nil && e.Series.LastObservedTime.After(last) {
		last = e.Series.LastObservedTime.Time
	}
	if last.Before(first) {
		last = first
	}
	return first, last
}
