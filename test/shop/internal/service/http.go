package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

const (
	callTimeout = 2 * time.Second // one call of a dependency
	maxBody     = 1 << 20         // bytes of a request or an answer
)

// operation answers one route with a value that becomes JSON. Its error becomes 500, unless it is a failure.
type operation func(r *http.Request) (any, error)

// failure is an error with the HTTP status that it means for the caller.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// httpHandler serves the routes with telemetry, and the probes without: they are no traffic of the shop.
func (a *App) httpHandler() http.Handler {
	routes := http.NewServeMux()
	for pattern, op := range a.part.routes {
		routes.Handle(pattern, a.answer(op))
	}
	traced := otelhttp.NewHandler(routes, "http",
		otelhttp.WithTracerProvider(a.telemetry.Tracers),
		otelhttp.WithMeterProvider(a.telemetry.Meters),
		otelhttp.WithPropagators(a.telemetry.Propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			if r.Pattern != "" {
				return r.Pattern
			}
			return r.Method
		}))
	outer := http.NewServeMux()
	outer.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	outer.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.ready.Load() {
			http.Error(w, "starting or stopping", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	if len(a.part.routes) > 0 {
		outer.Handle("/", traced)
	}
	return outer
}

func (a *App) answer(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, result := http.StatusOK, any(nil)
		err := a.faults.Pass(r.Context())
		if err == nil {
			result, err = op(r)
		}
		if err != nil {
			status = a.explain(r, err)
			result = map[string]string{"error": http.StatusText(status)}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(result) // the caller is gone if this fails
	})
}

// explain logs an error, loudly if it is ours, and says which status it means.
func (a *App) explain(r *http.Request, err error) int {
	status := http.StatusInternalServerError
	if f := (*failure)(nil); errors.As(err, &f) {
		status = f.status
	}
	_, route, _ := strings.Cut(r.Pattern, " ") // the pattern begins with the method
	log := a.telemetry.Log.With("http.request.method", r.Method, "http.route", route, "http.response.status_code", status, "error", err.Error())
	if status < http.StatusInternalServerError {
		log.WarnContext(r.Context(), "Request refused")
		return status
	}
	span := trace.SpanFromContext(r.Context())
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	log.ErrorContext(r.Context(), "Request failed")
	return status
}

// httpDependency is a client of another service of the shop.
type httpDependency struct {
	name, base string
	client     *http.Client
}

func (a *App) httpDependency(name, base string) httpDependency {
	transport := &http.Transport{DialContext: a.faults.Dialer(name), MaxIdleConnsPerHost: 8,
		IdleConnTimeout: 30 * time.Second}
	return httpDependency{name, base, &http.Client{Timeout: callTimeout, Transport: otelhttp.NewTransport(transport,
		otelhttp.WithTracerProvider(a.telemetry.Tracers),
		otelhttp.WithMeterProvider(a.telemetry.Meters),
		otelhttp.WithPropagators(a.telemetry.Propagator))}}
}

// call sends in as JSON, if any, and reads the answer into out. An answer below 500 that is no success is passed on
// with its status; everything else that goes wrong is a bad gateway.
func (d httpDependency) call(ctx context.Context, method, path string, in, out any) error {
	wrap := func(err error) error {
		return &failure{http.StatusBadGateway, fmt.Errorf("call %s: %w", d.name, err)}
	}
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the call of %s: %w", d.name, err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, d.base+path, body)
	if err != nil {
		return wrap(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return wrap(err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return wrap(err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		err := wrap(fmt.Errorf("%s %s answered %s", method, path, response.Status))
		if response.StatusCode < http.StatusInternalServerError {
			return &failure{response.StatusCode, err}
		}
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return wrap(fmt.Errorf("read the answer of %s %s: %w", method, path, err))
	}
	return nil
}

func readJSON(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return &failure{http.StatusBadRequest, fmt.Errorf("read the request: %w", err)}
	}
	return nil
}
