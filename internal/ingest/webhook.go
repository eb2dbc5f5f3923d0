package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

const (
	// answerTime is how long a webhook call may wait until its alerts are stored. Alertmanager gives a notification at
	// least 10 s (notify.MinTimeout) and tries again after a 5xx.
	answerTime = 9 * time.Second
	// bodies are decoded at a time; it bounds the memory.
	bodies = 4
)

// Webhook serves Alertmanager's webhook.
type Webhook struct {
	// Store takes the alerts; Seen the arrival of the watchdog, with the name of Alertmanager's receiver.
	Store Store
	Seen  func(receiver string)
	// Incomplete is called when Alertmanager left alerts out.
	Incomplete func()
	Severities []v1alpha1.SeverityMapping
	Now        func() time.Time
	Log        logr.Logger
	requests   *prometheus.CounterVec
	slots      chan struct{}
}

// Register registers the webhook's metrics. It must be called before the webhook serves.
func (w *Webhook) Register(registerer prometheus.Registerer) {
	w.slots = make(chan struct{}, bodies)
	w.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_webhook_requests_total",
		Help: "Calls of the webhook, by status code."}, []string{"code"})
	registerer.MustRegister(w.requests)
	for _, code := range []int{http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable} {
		w.requests.WithLabelValues(strconv.Itoa(code))
	}
}

// ServeHTTP stores the alerts of a webhook message and only then answers 200; it answers 503 when it can't.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	code, text := w.take(ctx, rw, r)
	w.requests.WithLabelValues(strconv.Itoa(code)).Inc()
	if code != http.StatusOK {
		w.Log.Info("Webhook call was not taken", "code", code, "reason", text)
		http.Error(rw, text, code)
		return
	}
	rw.WriteHeader(code)
}

func (w *Webhook) take(ctx context.Context, rw http.ResponseWriter, r *http.Request) (int, string) {
	msg, code, text := w.read(ctx, rw, r)
	if code != http.StatusOK {
		return code, text
	}
	watchdog := false
	for _, a := range msg.Alerts {
		watchdog = watchdog || a.Name() == alert.Watchdog && a.Firing()
	}
	if err := w.Store(ctx, msg.Alerts); err != nil {
		return http.StatusServiceUnavailable, "the alerts could not be stored; send them again: " + err.Error()
	}
	if watchdog {
		w.Seen(msg.Receiver)
	}
	if msg.Truncated > 0 {
		w.Incomplete()
	}
	return http.StatusOK, ""
}

// read reads and parses the body.
func (w *Webhook) read(ctx context.Context, rw http.ResponseWriter, r *http.Request) (Message, int, string) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return Message{}, http.StatusServiceUnavailable, "too many calls at a time; send the alerts again"
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return Message{}, http.StatusRequestEntityTooLarge, "the body is larger than 32 MiB: set max_alerts of Alertmanager's webhook_config"
	case err != nil:
		return Message{}, http.StatusBadRequest, "the body could not be read to its end"
	}
	msg, err := Parse(body, w.Severities, w.Now())
	if err != nil {
		return Message{}, http.StatusBadRequest, err.Error()
	}
	return msg, http.StatusOK, ""
}
