// Package ingest brings alerts in: Alertmanager's webhook, a comparison with Alertmanager's API, the history of alerts
// in Prometheus, and the responder's own watch of workload states and events. All of it goes through one function that
// returns when the alerts are stored.
package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// Store takes alerts and returns when all are stored; see Pipeline.Ingest.
type Store func(ctx context.Context, alerts []alert.Alert) error

// Limits of a webhook body.
const (
	// MaxBody in bytes: 10,000 alerts with long texts fit.
	MaxBody = 32 << 20
	// maxAlerts in one body.
	maxAlerts = 20000
	// webhookVersion is the version of Alertmanager's webhook message that is understood.
	webhookVersion = "4"
)

// Message is what a webhook body holds.
type Message struct {
	// Receiver is Alertmanager's name of the receiver.
	Receiver string
	Alerts   []alert.Alert
	// Truncated counts alerts that Alertmanager left out.
	Truncated int
}

// webhookMessage is Alertmanager's webhook message, as its documentation of webhook_config gives it.
type webhookMessage struct {
	Version         string         `json:"version"`
	Receiver        string         `json:"receiver"`
	TruncatedAlerts int            `json:"truncatedAlerts"`
	Alerts          []webhookAlert `json:"alerts"`
}

type webhookAlert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// Parse reads a webhook body of Alertmanager, version 4.
func Parse(body []byte, severities []v1alpha1.SeverityMapping, now time.Time) (Message, error) {
	var m webhookMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return Message{}, fmt.Errorf("the body is not a webhook message of Alertmanager: %w", err)
	}
	if m.Version != webhookVersion {
		return Message{}, fmt.Errorf("the field version is %q: only version %q of Alertmanager's webhook message is understood", m.Version, webhookVersion)
	}
	if len(m.Alerts) > maxAlerts {
		return Message{}, fmt.Errorf("the body holds %d alerts, more than %d: set max_alerts of Alertmanager's webhook_config", len(m.Alerts), maxAlerts)
	}
	msg := Message{Receiver: m.Receiver, Truncated: m.TruncatedAlerts, Alerts: make([]alert.Alert, 0, len(m.Alerts))}
	for i, w := range m.Alerts {
		if w.Status != "firing" && w.Status != "resolved" {
			return Message{}, fmt.Errorf("alerts[%d].status is %q: it must be firing or resolved", i, w.Status)
		}
		if len(w.Labels) == 0 {
			return Message{}, fmt.Errorf("alerts[%d] has no labels", i)
		}
		a := newAlert(w.Labels, w.Annotations, w.StartsAt, v1alpha1.AlertSourceAlertmanager, severities, now)
		if w.Status == "resolved" {
			a.EndsAt = w.EndsAt
			if a.EndsAt.IsZero() || a.EndsAt.After(now) {
				a.EndsAt = now
			}
		}
		msg.Alerts = append(msg.Alerts, a)
	}
	return msg, nil
}

// newAlert makes a firing alert.
func newAlert(
	labels, annotations map[string]string, startsAt time.Time, source v1alpha1.AlertSource,
	severities []v1alpha1.SeverityMapping, now time.Time,
) alert.Alert {
	if startsAt.IsZero() {
		startsAt = now
	}
	return alert.Alert{
		Fingerprint: alert.Fingerprint(labels), Labels: labels, Annotations: annotations, StartsAt: startsAt, Source: source,
		Severity: alert.SeverityOf(labels[alert.LabelSeverity], severities),
	}
}
