package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	// historySlice is how much is asked for at a time. 2,000 alerts that fire for an hour are some 10 MB of samples.
	historySlice = time.Hour
	// historyLeast is the shortest slice: of less the answer is mostly labels, however short it is.
	historyLeast = time.Minute
	// historyOverlap is how much of what was read is read again: an alert that ended just before was not yet over.
	historyOverlap = time.Minute
	// maxHistory of one answer in bytes. It takes some five times as much memory until it is read.
	maxHistory = 16 << 20
)

// History finds alerts that fired and ended while no responder answered, in the series ALERTS of Prometheus.
type History struct {
	// URL of Prometheus.
	URL string
	// AlertmanagerURL is that of Alertmanager, without a slash at the end; empty when there is none.
	AlertmanagerURL string

	HTTP       *http.Client
	Store      Store
	Index      *pipeline.Index
	Heartbeat  *Heartbeat
	Severities []v1alpha1.SeverityMapping
	Now        func() time.Time
	Log        logr.Logger

	// unanswered is since when Alertmanager has not said what it silenced, zero if it has.
	unanswered time.Time
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
// stores it as resolved. It reads the oldest first in slices that fit into memory, and notes how far it came after each.
func (h *History) Read(ctx context.Context) error {
	beat, now := h.Heartbeat.Last(), h.Now()
	if beat.History.IsZero() || now.Sub(beat.History) < heartbeatGap {
		return nil
	}
	until, slice := beat.History, historySlice
	if now.Sub(until) > historyLimit {
		until = now.Add(-historyLimit)
	}
	silenced, err := h.silences(ctx)
	if err != nil {
		return err
	}
	begun := map[model.Fingerprint]time.Time{}
	for until.Before(now) && ctx.Err() == nil {
		window := promv1.Range{Start: until.Add(-historyOverlap), End: until.Add(slice), Step: historyStep}
		if window.End.After(now) {
			window.End = now
		}
		series, err := h.ask(ctx, window)
		if tooMuch(err) && slice/2 >= historyLeast {
			slice /= 2
			continue
		}
		if err != nil {
			return err
		}
		if err := h.record(ctx, h.missed(series, window, begun, silenced)); err != nil {
			return err
		}
		if err := h.Heartbeat.ReadUntil(ctx, window.End); err != nil {
			return err
		}
		until = window.End
	}
	return ctx.Err()
}

// tooMuch tells whether a shorter window may be answered: the answer was too long for the responder, or Prometheus had too
// many samples to load or too little time. The client tells the latter no better than other errors of a server.
func tooMuch(err error) bool {
	var long *http.MaxBytesError
	var refused *promv1.Error
	if errors.As(err, &refused) {
		return refused.Type == promv1.ErrExec || refused.Type == promv1.ErrServer
	}
	return errors.As(err, &long) || errors.Is(err, context.DeadlineExceeded)
}

// record stores what was missed.
func (h *History) record(ctx context.Context, missed []alert.Alert) error {
	if len(missed) == 0 {
		return nil
	}
	h.Log.Info("Alerts fired and ended while no responder answered", "alerts", len(missed))
	ctx, cancel := context.WithTimeout(ctx, 45*time.Second)
	defer cancel()
	if err := h.Store(ctx, missed); err != nil {
		return fmt.Errorf("store what fired and ended: %w", err)
	}
	return nil
}

func (h *History) ask(ctx context.Context, window promv1.Range) (model.Matrix, error) {
	ctx, cancel := context.WithTimeout(ctx, 45*time.Second)
	defer cancel()
	prometheus, err := h.api()
	if err != nil {
		return nil, err
	}
	value, _, _, err := prometheus.QueryRange(ctx, `ALERTS{alertstate="firing"}`, window)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for past alerts from %s to %s: %w",
			window.Start.UTC().Format(time.RFC3339), window.End.UTC().Format(time.RFC3339), err)
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, errors.New("ask Prometheus for past alerts: the answer is not a matrix")
	}
	return matrix, nil
}

// api returns a client of Prometheus whose answers are bounded.
func (h *History) api() (promv1.API, error) {
	bounded := *h.HTTP
	bounded.Transport = bound{h.HTTP.Transport}
	client, err := api.NewClient(api.Config{Address: h.URL, Client: &bounded})
	if err != nil {
		return nil, fmt.Errorf("make a client for Prometheus: %w", err)
	}
	return promv1.NewAPI(client), nil
}

// bound ends answers that are longer than maxHistory.
type bound struct{ inner http.RoundTripper }

// RoundTrip does the request; reading past the bound is a *http.MaxBytesError.
func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	inner := b.inner
	if inner == nil {
		inner = http.DefaultTransport
	}
	response, err := inner.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxHistory)
	}
	return response, err
}

// missed returns the alerts of the series that were over at the end of the window, that no Incident holds and that were
// not silenced. begun are the starts of those that fired at the end of the window before; it is brought up to date.
func (h *History) missed(series model.Matrix, window promv1.Range, begun map[model.Fingerprint]time.Time, silenced silences) []alert.Alert {
	var list []alert.Alert
	known, before := h.known(), maps.Clone(begun)
	clear(begun)
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
		for _, w := range windows(s.Values, window.Step) {
			if start, ok := before[s.Metric.Fingerprint()]; ok && start.Before(w.start) && w.start.Sub(window.Start) <= historyOverlap {
				w.start = start
			}
			if window.End.Sub(w.end) <= 2*window.Step {
				begun[s.Metric.Fingerprint()] = w.start
				continue
			}
			told := slices.ContainsFunc(known[labels[alert.LabelName]], func(r v1alpha1.IncidentAlert) bool { return same(r, labels, w) })
			if told || silenced.cover(labels, w) {
				continue
			}
			a := newAlert(labels, map[string]string{alert.AnnotationDescription: origin(silenced.unknown)},
				w.start, v1alpha1.AlertSourceHistory, h.Severities, window.End)
			a.EndsAt = w.end
			list = append(list, a)
		}
	}
	return list
}

// origin says in the Incident where a past alert is from, and what it may lack.
func origin(silencesUnknown bool) string {
	text := "It fired and ended while no responder answered and was found in Prometheus afterwards. "
	if silencesUnknown {
		text += "Which silences held then could not be found out for certain. "
	}
	return text +
		"If Prometheus or Alertmanager is one of your own, a route or an inhibition may have kept it from KubeBot, or it may be about another cluster."
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
