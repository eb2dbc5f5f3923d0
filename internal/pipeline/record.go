package pipeline

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// stamp returns a time as the API stores it: whole seconds, UTC.
func stamp(t time.Time) metav1.Time { return metav1.NewTime(t.UTC().Truncate(time.Second)) }

func microStamp(t time.Time) *metav1.MicroTime {
	m := metav1.NewMicroTime(t.UTC().Truncate(time.Microsecond))
	return &m
}

// record returns an alert as an Incident stores it. Times that can't be are replaced by now.
func record(a alert.Alert, now time.Time) v1alpha1.IncidentAlert {
	r := v1alpha1.IncidentAlert{
		Fingerprint: a.Fingerprint,
		Name:        a.Name(),
		Severity:    a.Severity,
		State:       v1alpha1.AlertFiring,
		Source:      a.Source,
		StartsAt:    stamp(plausible(a.StartsAt, now)),
		Labels:      a.Labels,
		Summary:     a.Annotations[alert.AnnotationSummary],
		Description: a.Annotations[alert.AnnotationDescription],
		RunbookURL:  a.Annotations[alert.AnnotationRunbook],
	}
	if !a.Firing() {
		end := stamp(plausible(a.EndsAt, now))
		r.State, r.EndsAt = v1alpha1.AlertResolved, &end
	}
	return trims[0].apply(r)
}

// plausible returns t if it is a time that an alert can have: from 2000 to an hour from now.
func plausible(t, now time.Time) time.Time {
	if t.Year() < 2000 || t.After(now.Add(time.Hour)) {
		return now
	}
	return t
}

// worst returns the record that says best what is wrong: firing before resolved, then the most severe, then the first.
func worst(records []v1alpha1.IncidentAlert) *v1alpha1.IncidentAlert {
	var best *v1alpha1.IncidentAlert
	for i := range records {
		r := &records[i]
		if best == nil || less(best, r) {
			best = r
		}
	}
	return best
}

func less(a, b *v1alpha1.IncidentAlert) bool {
	if x, y := alert.Rank(a.Severity), alert.Rank(b.Severity); x != y {
		return y > x
	}
	if (a.State == v1alpha1.AlertFiring) != (b.State == v1alpha1.AlertFiring) {
		return b.State == v1alpha1.AlertFiring
	}
	return b.StartsAt.Before(&a.StartsAt)
}

// title says what is wrong: the summary of the worst alert, or its name and the subject.
func title(inc *v1alpha1.Incident) string {
	w := worst(inc.Status.Alerts)
	switch {
	case w == nil:
		return inc.Spec.Subject.Display
	case w.Summary != "":
		return cut(w.Summary, 512)
	}
	return cut(w.Name+": "+inc.Spec.Subject.Display, 512)
}

// tellingAlerts name alerts whose summary already says the cause, the clearest first.
var tellingAlerts = []string{
	alert.ImagePullFailed, alert.ContainerConfigError, alert.VolumeMountFailed, alert.PodCreateFailed, alert.PodUnschedulable,
	alert.OOMKilled, alert.NodeNotReady,
}

// obviousCause returns the cause that an alert of the incident states by itself; empty when none does.
func obviousCause(records []v1alpha1.IncidentAlert) string {
	for _, name := range tellingAlerts {
		for i := range records {
			if records[i].Name == name && records[i].Summary != "" {
				return cut(records[i].Summary, 512)
			}
		}
	}
	return ""
}
