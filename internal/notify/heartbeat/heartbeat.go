// Package heartbeat calls a URL each time the watchdog alert came through the whole path, so that an outside service
// notices when alerts no longer flow, even when the whole cluster is gone.
package heartbeat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

const (
	// callTimeout of one attempt, attempts and pause between them: all of it ends before the next watchdog, which
	// comes each minute.
	callTimeout = 10 * time.Second
	attempts    = 3
	pause       = 5 * time.Second
	// maxAnswer bounds how much of an answer is read, which is only to be able to use the connection again.
	maxAnswer = 64 << 10
)

// Options configure a sender. The files are read at each use.
type Options struct {
	// URL to get; if empty, URLSecret holds it.
	URL       string
	URLSecret secretfile.Ref
	// CASecret holds certificate authorities that are trusted besides the system's; without a file, none.
	CASecret secretfile.Ref
	// Guard refuses addresses that no receiver may have; nil refuses none.
	Guard *transport.Guard
	// Pause between attempts; 0 for 5 s.
	Pause time.Duration
	Log   logr.Logger
	Now   func() time.Time
}

// Result is how the last beat ended.
type Result struct {
	// At is when, zero if there was none.
	At time.Time
	// Reason is empty when the service took the beat, else one of the reasons of the condition HeartbeatConfigured.
	Reason string
	// Message says what is wrong and what to do, without address and secret.
	Message string
}

// Sender sends beats. It is safe for concurrent use.
type Sender struct {
	options Options
	source  transport.Source
	due     chan struct{}
	beats   *prometheus.CounterVec

	mu   sync.Mutex
	last Result
}

// New makes a sender and registers its metric.
func New(options Options, registerer prometheus.Registerer) *Sender {
	if options.Pause == 0 {
		options.Pause = pause
	}
	s := &Sender{options: options, due: make(chan struct{}, 1), beats: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubebot_responder_heartbeats_total", Help: "Heartbeats to the outside service, by outcome: taken or failed.",
	}, []string{"outcome"})}
	s.source.CA, s.source.Guard = options.CASecret, options.Guard
	for _, outcome := range []string{"taken", "failed"} {
		s.beats.WithLabelValues(outcome)
	}
	registerer.MustRegister(s.beats)
	return s
}

// Beat asks for one beat and returns at once; while one is under way or waits, another changes nothing.
func (s *Sender) Beat() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// Last is how the last beat ended.
func (s *Sender) Last() Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Run sends beats until the context ends.
func (s *Sender) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.due:
			s.send(ctx)
		}
	}
}

func (s *Sender) send(ctx context.Context) {
	var result Result
	for i := range attempts {
		if i > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(s.options.Pause):
			}
		}
		if result = s.call(ctx); result.Reason == "" || ctx.Err() != nil {
			break
		}
	}
	result.At = s.options.Now()
	outcome := "taken"
	if result.Reason != "" {
		outcome = "failed"
		s.options.Log.Info("The heartbeat failed", "reason", result.Reason, "message", result.Message)
	}
	s.beats.WithLabelValues(outcome).Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = result
}

func (s *Sender) call(ctx context.Context) Result {
	target := s.options.URL
	var err error
	if target == "" {
		if target, err = secretfile.Read(s.options.URLSecret); err != nil {
			return Result{Reason: v1alpha1.ReasonSecretMissing, Message: secretfile.Missing(s.options.URLSecret, "the URL of the heartbeat")}
		}
	}
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Result{Reason: v1alpha1.ReasonInvalidSpec, Message: "The URL of the heartbeat is not an http or https URL with a host: correct it."}
	}
	client, err := s.source.Client()
	if err != nil {
		_, message := s.source.Problem(err)
		return Result{Reason: v1alpha1.ReasonInvalidSpec, Message: message}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return Result{Reason: v1alpha1.ReasonInvalidSpec, Message: "The URL of the heartbeat can't be used: correct it."}
	}
	resp, err := client.Do(req)
	if err != nil {
		return Result{Reason: v1alpha1.ReasonNotAnswering, Message: transport.Explain(err).Detail}
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // its content means nothing
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return Result{Reason: v1alpha1.ReasonReceiverRefused, Message: fmt.Sprintf("The service answers with HTTP status %d: check the URL.", resp.StatusCode)}
	}
	return Result{}
}
