// Package alert holds the plain types of the alert pipeline.
package alert

import (
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Watchdog is the alert that always fires and shows that alerts flow. It makes no Incident.
const Watchdog = "Watchdog"

// Fallback is the alert that repeats a critical one while no responder confirms the watchdog. Alertmanager sends it to
// people itself, so it makes no Incident; the alert that it repeats does when a responder is back.
const Fallback = "ResponderFallback"

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
	// LabelFallback is true on the alert Fallback, and LabelOriginal there is the name of the alert that it repeats.
	LabelFallback = "kubebot_fallback"
	LabelOriginal = "kubebot_alert"
	// LabelNamespace, LabelPod, LabelContainer and LabelNode name the object that the alert is about.
	LabelNamespace = "namespace"
	LabelPod       = "pod"
	LabelContainer = "container"
	LabelNode      = "node"
	// AnnotationSummary, AnnotationDescription and AnnotationRunbook are the usual annotations.
	AnnotationSummary     = "summary"
	AnnotationDescription = "description"
	AnnotationRunbook     = "runbook_url"
)

// runbooks is the page whose sections explain the alerts, one each.
const runbooks = "https://github.com/kubebot/kubebot/blob/main/docs/runbooks.md"

// Runbook returns the address of the section that explains an alert of the default rules or of the responder's own watch.
func Runbook(name string) string { return runbooks + "#" + strings.ToLower(name) }

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
	// GroupKey is set when the alert is known to belong to a group, whatever its labels say.
	GroupKey string
}

// AboutKubeBot tells that an alert of this name is a part of KubeBot's own machinery and makes no Incident.
func AboutKubeBot(name string) bool { return name == Watchdog || name == Fallback }

// Firing tells whether the alert fires.
func (a Alert) Firing() bool { return a.EndsAt.IsZero() }

// Name returns the alert's name; an alert without one is called Alert.
func (a Alert) Name() string {
	if name := a.Labels[LabelName]; name != "" {
		return name
	}
	return "Alert"
}

// Fingerprint returns the fingerprint of a label set as Alertmanager computes it: 16 hexadecimal digits.
func Fingerprint(labels map[string]string) string {
	set := make(model.LabelSet, len(labels))
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set.Fingerprint().String()
}

// SeverityOf returns what a value of the label severity means: critical, warning and info mean themselves, others
// what the mappings say, and a warning where these say nothing.
func SeverityOf(value string, mappings []v1alpha1.SeverityMapping) v1alpha1.Severity {
	for _, m := range mappings {
		if m.Value == value {
			return m.Severity
		}
	}
	switch s := v1alpha1.Severity(strings.ToLower(value)); s {
	case v1alpha1.SeverityCritical, v1alpha1.SeverityWarning, v1alpha1.SeverityInfo:
		return s
	}
	return v1alpha1.SeverityWarning
}

// Rank orders severities: the higher, the worse.
func Rank(s v1alpha1.Severity) int {
	switch s {
	case v1alpha1.SeverityCritical:
		return 3
	case v1alpha1.SeverityWarning:
		return 2
	case v1alpha1.SeverityInfo:
		return 1
	}
	return 0
}

// Group is what alerts of one incident have in common.
type Group struct {
	// Key is the group key: a readable path such as workload/Deployment/shop/checkout.
	Key string
	// Subject is what is affected.
	Subject v1alpha1.Subject
}
