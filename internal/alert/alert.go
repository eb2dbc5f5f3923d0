// Package alert holds the plain types of the alert pipeline.
package alert

import (
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Watchdog is the alert that always fires and shows that alerts flow. It makes no Incident.
const Watchdog = "Watchdog"

// Labels and annotations that rules set and the pipeline understands.
const (
	// LabelName is the alert's name.
	LabelName = "alertname"
	// LabelSeverity is critical, warning, info or a mapped value.
	LabelSeverity = "severity"
	// LabelWorkloadKind and LabelWorkload name the workload in the label namespace that the alert is about.
	LabelWorkloadKind = "workload_kind"
	LabelWorkload     = "workload"
	// LabelDependency names the failing dependency (a Service or workload in the same namespace, or namespace/name) that the alert blames.
	LabelDependency = "dependency"
	// AnnotationSummary, AnnotationDescription and AnnotationRunbook are the usual annotations.
	AnnotationSummary     = "summary"
	AnnotationDescription = "description"
	AnnotationRunbook     = "runbook_url"
)

// Alert is one alert, whatever its source.
type Alert struct {
	// Fingerprint of Labels, as Alertmanager computes it (16 hexadecimal digits).
	Fingerprint string
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
	// EndsAt is zero while the alert fires.
	EndsAt time.Time
	Source v1alpha1.AlertSource
	// Severity after mapping.
	Severity v1alpha1.Severity
}

// Firing tells whether the alert fires.
func (a Alert) Firing() bool { return a.EndsAt.IsZero() }
