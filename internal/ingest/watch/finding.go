package watch

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/mask"
)

// Times for which a bad state is watched before it is told, or held after it was last seen.
const (
	// crashHold after a restart: a container that has run so long since its first crash has healed itself.
	crashHold = time.Minute
	// loopHold after a later restart: the kubelet's longest back-off is 5 minutes, so a loop is one alert.
	loopHold = 5 * time.Minute
	// evictedHold after an eviction: a program that fills its disk at 100 kB/s is evicted again only then at a limit of
	// 64 MiB, and another pod has taken over since.
	evictedHold = 10 * time.Minute
	// schedulingPatience: an autoscaler adds a node within 2 to 4 minutes; the rule waits 5.
	schedulingPatience = 2 * time.Minute
	// nodePatience: a node that joins is not ready for some seconds.
	nodePatience = 20 * time.Second
	// eventSpan between the first and the last event of a kind: what heals within it, such as a ConfigMap that is
	// applied a moment after its pod, is not told.
	eventSpan = 20 * time.Second
	// eventHold after the last event: the kubelet and the controllers repeat with a back-off of minutes.
	eventHold = 10 * time.Minute
)

// Finding is one bad state of a workload or node.
type Finding struct {
	// Name is one of alert.Watched.
	Name     string
	Severity v1alpha1.Severity
	Since    time.Time
	// Labels besides the name, the severity and what names the workload or node.
	Labels               map[string]string
	Summary, Description string
}

// Workload is what is known of one workload.
type Workload struct {
	Subject v1alpha1.Subject
	Pods    []*corev1.Pod
	// Stuck says why its rollout is stuck, empty if it is not; Failed why its last Job failed. The times are when.
	Stuck, Failed           string
	StuckSince, FailedSince time.Time
	// Events by the name of the alert that they make.
	Events map[string]EventSum
}

// EventSum sums up the warning events of one kind.
type EventSum struct {
	First, Last time.Time
	Message     string
}

// alertOf makes the alert of a finding. What kubelets and controllers wrote may repeat arguments and URLs, so what looks
// like a secret in it is masked.
func alertOf(f Finding, about map[string]string, severities []v1alpha1.SeverityMapping) alert.Alert {
	labels := map[string]string{alert.LabelName: f.Name, alert.LabelSeverity: string(f.Severity)}
	for _, more := range []map[string]string{about, f.Labels} {
		for name, value := range more {
			labels[name] = value
		}
	}
	return alert.Alert{
		Fingerprint: alert.Fingerprint(labels),
		Labels:      labels,
		Annotations: map[string]string{
			alert.AnnotationSummary: mask.Text(f.Summary), alert.AnnotationDescription: mask.Text(f.Description),
			alert.AnnotationRunbook: alert.Runbook(f.Name),
		},
		StartsAt: f.Since,
		Source:   v1alpha1.AlertSourceWatch,
		Severity: alert.SeverityOf(string(f.Severity), severities),
	}
}
