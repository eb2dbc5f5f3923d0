package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/truncate"
)

// EventTime is when the event was last seen.
func EventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

// EventsOf returns the events of an object, newest first. An event of an earlier object of the same name is left out
// where the UID is known.
func (f *Facts) EventsOf(kind, name, uid string) []corev1.Event {
	var out []corev1.Event
	for _, e := range f.Events {
		o := e.InvolvedObject
		if o.Kind != kind || o.Name != name || (uid != "" && o.UID != "" && string(o.UID) != uid && kind != "Node") {
			continue
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b corev1.Event) int { return EventTime(&b).Compare(EventTime(&a)) })
	return out
}

// PodEvents returns the events of a pod that say what its containers wait for, newest first, of the given reasons (all
// without any). The pod of a healthy workload keeps its old events, so a pod that is ready has none, nor has one that was
// ended from outside; and what kept a container from starting is over once it started.
func (f *Facts) PodEvents(p *corev1.Pod, reasons ...string) []corev1.Event {
	if !Unready(p) || p.DeletionTimestamp != nil || f.OfPastTry(p) {
		return nil
	}
	events := withReason(f.EventsOf("Pod", p.Name, string(p.UID)), reasons)
	return slices.DeleteFunc(events, func(e corev1.Event) bool {
		return EventTime(&e).Before(lastStart(p, e.InvolvedObject.FieldPath))
	})
}

// lastStart is when the container at an event's field path last started. An event about the pod as a whole has no path: any
// container stands for it, since all volumes are mounted before the first one starts.
func lastStart(p *corev1.Pod, fieldPath string) time.Time {
	var last time.Time
	for _, c := range ContainersOf(p) {
		if t := c.started(); t.After(last) && (fieldPath == "" || strings.HasSuffix(fieldPath, "{"+c.Spec.Name+"}")) {
			last = t
		}
	}
	return last
}

// ControllerEvents returns the events of what makes the workload's pods (the workload, its ReplicaSets and Jobs) while
// pods are missing, newest first.
func (f *Facts) ControllerEvents(reasons ...string) []corev1.Event {
	w := f.Workload
	if !w.Exists() || w.Kind == "Pod" {
		return nil
	}
	var out []corev1.Event
	if w.Kind == "CronJob" || len(f.Pods) < int(w.Desired) || !w.Satisfied() {
		out = f.makerEvents(w.Kind, w.Name, w.UID)
	}
	for i := range f.ReplicaSets {
		if rs := &f.ReplicaSets[i]; rs.Spec.Replicas != nil && rs.Status.Replicas < *rs.Spec.Replicas {
			out = append(out, f.makerEvents("ReplicaSet", rs.Name, string(rs.UID))...)
		}
	}
	for i := range f.Jobs {
		if job := &f.Jobs[i]; !f.past(job) {
			out = append(out, f.makerEvents("Job", job.Name, string(job.UID))...)
		}
	}
	return withReason(out, reasons)
}

// makerEvents returns the events of an object that makes pods or Jobs, newest first. That it failed to make one is over once
// it made another: it tries all that are missing each time.
func (f *Facts) makerEvents(kind, name, uid string) []corev1.Event {
	events := f.EventsOf(kind, name, uid)
	var made time.Time
	if i := slices.IndexFunc(events, func(e corev1.Event) bool { return e.Reason == "SuccessfulCreate" }); i >= 0 {
		made = EventTime(&events[i])
	}
	for i := range f.Pods {
		p := &f.Pods[i]
		if o := metav1.GetControllerOfNoCopy(p); o != nil && o.Kind == kind && o.Name == name && p.CreationTimestamp.After(made) {
			made = p.CreationTimestamp.Time
		}
	}
	return slices.DeleteFunc(events, func(e corev1.Event) bool { return e.Reason == "FailedCreate" && EventTime(&e).Before(made) })
}

func withReason(events []corev1.Event, reasons []string) []corev1.Event {
	if len(reasons) == 0 {
		return events
	}
	return slices.DeleteFunc(events, func(e corev1.Event) bool { return !slices.Contains(reasons, e.Reason) })
}

// EventEvidence is an event as evidence.
func EventEvidence(e *corev1.Event) string {
	count := max(e.Count, 1)
	if e.Series != nil {
		count = max(count, e.Series.Count)
	}
	times := ""
	if count > 1 {
		times = fmt.Sprintf(" (%d times)", count)
	}
	return fmt.Sprintf("event %s of %s %s%s: %s", e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, times, Shorten(e.Message, 300))
}

// Upper begins a sentence with a text.
func Upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// Shorten cuts a text to at most n bytes at a rune's border and puts it on one line.
func Shorten(text string, n int) string {
	return truncate.Ellipsis(strings.Join(strings.Fields(text), " "), n)
}
