package rules

import (
	"maps"

	"github.com/kubebot/kubebot/internal/alert"
)

// severityNone is the severity of the watchdog, which nobody is told about.
const severityNone = "none"

// Labels of the alerts that are about one workload, for sums and joins.
const byWorkload = "namespace, workload_kind, workload"

// Rule is an alert, or a series that alerts are made of.
type Rule struct {
	// Alert is the alert's name; empty for a recorded series.
	Alert string
	// Record is the name of the recorded series; empty for an alert.
	Record string
	// Labels of the recorded series or of the alert besides those of Expr.
	Labels map[string]string
	// Expr in PromQL.
	Expr string
	// For is how long Expr must hold, as Prometheus writes it; empty means that once is enough.
	For string
	// Severity is critical (a human must act now), warning, info, or none for the watchdog.
	Severity string
	// Summary is one line, Description what was seen; both are templates of Prometheus.
	Summary, Description string
	// ThresholdFrom says where the thresholds and times come from.
	ThresholdFrom string
	// Needs are what the cluster or the stack must have for the rule to make sense.
	Needs []Need
	// Always keeps the rule when a user lists it among the disabled ones.
	Always bool
}

// Group is a list of rules that are evaluated one after another, so that an alert sees the series recorded before it.
type Group struct {
	Name string
	// Interval between evaluations, as Prometheus writes it; empty means Prometheus' own.
	Interval string
	Rules    []Rule
}

// Name of the rule, whichever it is.
func (r Rule) Name() string {
	if r.Alert != "" {
		return r.Alert
	}
	return r.Record
}

func (r Rule) labels() map[string]string {
	if r.Alert == "" {
		return r.Labels
	}
	all := map[string]string{alert.LabelSeverity: r.Severity}
	maps.Copy(all, r.Labels)
	return all
}

func (r Rule) annotations() map[string]string {
	if r.Alert == "" {
		return nil
	}
	return map[string]string{
		alert.AnnotationSummary:     r.Summary,
		alert.AnnotationDescription: r.Description,
		alert.AnnotationRunbook:     alert.Runbook(r.Alert),
	}
}

// windows are ranges in PromQL.
type windows struct {
	// scraped and pushed are the shortest in which a rate can be computed of what is scraped, at least four scrapes, and of
	// what SDKs push, three times.
	scraped, pushed string
	// explains is how long the errors of a caller may outlast those of its callee: a window, and the time between two samples.
	explains string
}

// settings are the figures of the KubeBot that expressions depend on.
type settings struct {
	windows
	// downKnown tells that the alert WorkloadDown is there to tell of workloads without a ready replica, lostKnown that
	// NodeNotReady is there to tell of lost nodes, spansKnown that ServiceSpanErrorRateHigh is there to tell of failing spans.
	downKnown, lostKnown, spansKnown bool
	// critical is a PromQL string with a regular expression of the severities that mean critical.
	critical string
}

// groups returns all rules, whatever the cluster has.
func groups(s settings) []Group {
	return []Group{
		watchdogGroup(),
		ownerGroup(),
		nodeGroup(),
		workloadGroup(s),
		podGroup(),
		volumeGroup(),
		serviceGroup(s),
		tracesGroup(s.scraped),
		controlPlaneGroup(),
		stackGroup(),
		storesGroup(),
		logsGroup(),
		fallbackGroup(s),
	}
}

// perWorkload sums what is counted per pod (labels namespace and pod) over the workload that owns the pods.
func perWorkload(perPod string) string {
	return "sum by (" + byWorkload + ") (\n  (" + perPod + ")\n  " + joinOwner + "\n)"
}

// joinOwner adds the labels of the owning workload to series with the labels namespace and pod.
const joinOwner = "* on (namespace, pod) group_left (workload_kind, workload) " + podWorkload
