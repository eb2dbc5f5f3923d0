package pipeline

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// Bounds of an Incident. Together with its causes (24 KiB, see package enrich) and its deliveries it stays below 256 KiB, so that thousands of
// Incidents fit into the API server's store and every write is far below its limit of 1.5 MiB per object.
const (
	// maxAlerts of one Incident; further ones open the next.
	maxAlerts = 500
	// openingBytes is what spec.openingAlerts may take as JSON, statusBytes what status.alerts may.
	openingBytes = 56 << 10
	statusBytes  = 112 << 10
	// endsAtBytes is what the end of an alert adds; it is counted from the start, so that what fits once always fits.
	endsAtBytes = len(`"endsAt":"2006-01-02T15:04:05Z",`)
)

// trim says how much of an alert is kept.
type trim struct {
	label, summary, description, runbook int
	keyLabelsOnly                        bool
}

// trims are tried in order until the alerts fit.
var trims = []trim{
	{label: 512, summary: 512, description: 1024, runbook: 512},
	{label: 128, summary: 256, description: 256, runbook: 256},
	{label: 96, summary: 128, keyLabelsOnly: true},
	{label: 0, summary: 0, keyLabelsOnly: true},
}

// keyLabels identify what an alert is about; they are kept longest. The name and the severity have fields of their own.
var keyLabels = []string{
	alert.LabelNamespace, alert.LabelWorkloadKind, alert.LabelWorkload, alert.LabelPod, alert.LabelContainer,
	alert.LabelNode, alert.LabelDependency, "service", "job", "instance",
}

// apply returns a trimmed copy.
func (t trim) apply(r v1alpha1.IncidentAlert) v1alpha1.IncidentAlert {
	r.Name, r.Fingerprint = cut(r.Name, 128), cut(r.Fingerprint, 32)
	r.Summary, r.Description = cut(r.Summary, t.summary), cut(r.Description, t.description)
	if len(r.RunbookURL) > t.runbook {
		r.RunbookURL = ""
	}
	r.Labels = t.labels(r.Labels)
	return r
}

func (t trim) labels(labels map[string]string) map[string]string {
	kept := make(map[string]string)
	if t.label == 0 {
		return nil
	}
	for _, name := range slices.Concat(keyLabels, slices.Sorted(maps.Keys(labels))) {
		value, ok := labels[name]
		if !ok || len(kept) == 64 || len(name) > 128 || t.keyLabelsOnly && !slices.Contains(keyLabels, name) {
			continue
		}
		kept[name] = cut(value, t.label)
	}
	return kept
}

// fit returns as many of the records, in order, as fit into limit bytes of JSON and maxAlerts, with the least trimming
// that makes all fit, and how many fit.
func fit(records []v1alpha1.IncidentAlert, limit int) ([]v1alpha1.IncidentAlert, int) {
	if len(records) > maxAlerts {
		records = records[:maxAlerts]
	}
	var kept []v1alpha1.IncidentAlert
	for _, t := range trims {
		kept = make([]v1alpha1.IncidentAlert, 0, len(records))
		size := 2
		for _, r := range records {
			r = t.apply(r)
			size += jsonSize(r) + 1
			if r.EndsAt == nil {
				size += endsAtBytes
			}
			if size > limit {
				break
			}
			kept = append(kept, r)
		}
		if len(kept) == len(records) {
			break
		}
	}
	return kept, len(kept)
}

func jsonSize(r v1alpha1.IncidentAlert) int {
	data, err := json.Marshal(r)
	if err != nil {
		return statusBytes // a time outside of JSON's years: never fits; records are made with times that do
	}
	return len(data)
}
