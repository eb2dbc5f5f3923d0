package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/pipeline"
)

const (
	// historyStep is the resolution of the question: the default evaluation interval.
	historyStep = 15 * time.Second
	// historyLimit is how far back is looked: what is older is no news.
	historyLimit = 24 * time.Hour
	// historyPoints per series that Prometheus answers at most are 11,000; the step grows with the window.
	historyPoints = 10000
)

// History finds alerts that fired and ended while no responder answered, in the series ALERTS of Prometheus.
type History struct {
	// URL of Prometheus.
	URL        string
	HTTP       *http.Client
	Store      Store
	Index      *pipeline.Index
	Heartbeat  *Heartbeat
	Severities []v1alpha1.SeverityMapping
	Now        func() time.Time
	Log        logr.Logger
}

// Run looks every minute whether something may have been missed, until the context ends.
func (h *History) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		if err := h.Read(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error(err, "Alerts that fired while no responder answered were not read")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Read asks Prometheus for what fired and ended since the time up to which nothing was missed, if that is long ago, and
// stores it as resolved.
func (h *History) Read(ctx context.Context) error {
	beat, now := h.Heartbeat.Last(), h.Now()
	if beat.History.IsZero() || now.Sub(beat.History) < heartbeatGap {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 45*time.Second)
	defer cancel()
	from := beat.History.Add(-time.Minute)
	if now.Sub(from) > historyLimit {
		from = now.Add(-historyLimit)
	}
	step := max(historyStep, now.Sub(from)/historyPoints)
	series, err := h.ask(ctx, promv1.Range{Start: from, End: now, Step: step})
	if err != nil {
		return err
	}
	missed := h.missed(series, step, now)
	if len(missed) > 0 {
		h.Log.Info("Alerts fired and ended while no responder answered", "alerts", len(missed))
		if err := h.Store(ctx, missed); err != nil {
			return fmt.Errorf("store what fired and ended: %w", err)
		}
	}
	return h.Heartbeat.ReadUntil(ctx, now)
}

func (h *History) ask(ctx context.Context, window promv1.Range) (model.Matrix, error) {
	client, err := api.NewClient(api.Config{Address: h.URL, Client: h.HTTP})
	if err != nil {
		return nil, fmt.Errorf("make a client for Prometheus: %w", err)
	}
	value, _, _, err := promv1.NewAPI(client).QueryRange(ctx, `ALERTS{alertstate="firing"}`, window)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for past alerts: %w", err)
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, errors.New("ask Prometheus for past alerts: the answer is not a matrix")
	}
	return matrix, nil
}

// missed returns the alerts of the series that are over and that no Incident holds.
func (h *History) missed(series model.Matrix, step time.Duration, now time.Time) []alert.Alert {
	var list []alert.Alert
	known := h.known()
	for _, s := range series {
		labels := make(map[string]string, len(s.Metric))
		for name, value := range s.Metric {
			if name != model.MetricNameLabel && name != "alertstate" {
				labels[string(name)] = string(value)
			}
		}
		if alert.AboutKubeBot(labels[alert.LabelName]) || labels[alert.LabelName] == "" {
			continue
		}
		for _, w := range windows(s.Values, step) {
			over := now.Sub(w.end) > 2*step
			if !over || slices.ContainsFunc(known[labels[alert.LabelName]], func(r v1alpha1.IncidentAlert) bool { return same(r, labels, w) }) {
				continue
			}
			a := newAlert(labels, nil, w.start, v1alpha1.AlertSourceHistory, h.Severities, now)
			a.EndsAt = w.end
			list = append(list, a)
		}
	}
	return list
}

// known returns the stored alerts by name.
func (h *History) known() map[string][]v1alpha1.IncidentAlert {
	byName := map[string][]v1alpha1.IncidentAlert{}
	for _, inc := range h.Index.All() {
		for _, r := range slices.Concat(inc.Spec.OpeningAlerts, inc.Status.Alerts) {
			byName[r.Name] = append(byName[r.Name], r)
		}
	}
	return byName
}

// same tells whether a stored alert is the one that fired in a window: no label that both have differs (the series has
// no external labels, the stored alert may be trimmed), and the times overlap within a minute.
func same(r v1alpha1.IncidentAlert, labels map[string]string, w span) bool {
	for name, value := range r.Labels {
		if other, ok := labels[name]; ok && other != value {
			return false
		}
	}
	const slack = time.Minute
	return !r.StartsAt.Time.After(w.end.Add(slack)) && (r.EndsAt == nil || !r.EndsAt.Time.Before(w.start.Add(-slack)))
}

// span is a time in which an alert fired.
type span struct{ start, end time.Time }

// windows returns the spans of a series: samples not more than two steps apart are one.
func windows(samples []model.SamplePair, step time.Duration) []span {
	var list []span
	for _, sample := range samples {
		t := sample.Timestamp.Time()
		if n := len(list); n > 0 && t.Sub(list[n-1].end) <= 2*step {
			list[n-1].end = t
			continue
		}
		list = append(list, span{start: t, end: t})
	}
	return list
}
