// Package jaeger reads traces through a workload before and during an incident, by Jaeger's HTTP API v3, which answers
// with OTLP.
package jaeger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"golang.org/x/sync/errgroup"

	"github.com/kubebot/kubebot/internal/enrich"
)

const (
	// perWindow is how many traces are read of a window and service.
	perWindow = 60
	// maxServices whose traces are asked for, when the subject is no service of its own.
	maxServices = 3
	parallel    = 3
)

// Source is a Jaeger, or what speaks its HTTP API v3.
type Source struct{ enrich.Store }

// Name implements enrich.Source.
func (Source) Name() string { return enrich.SourceJaeger }

// Read implements enrich.Source.
func (s Source) Read(ctx context.Context, q enrich.Question) (enrich.Telemetry, error) {
	out := enrich.NewTelemetry()
	var known struct {
		Services []string `json:"services"`
	}
	if err := s.Get(ctx, "/api/v3/services", nil, &known); err != nil {
		return out, err
	}
	services := choose(known.Services, q.Subject.Name)
	if len(services) == 0 {
		out.Empty = true
		return out, nil
	}
	type ask struct {
		service  string
		from, to time.Time
	}
	var asks []ask
	for _, service := range services {
		for _, w := range windows(q) {
			asks = append(asks, ask{service, w[0], w[1]})
		}
	}
	answers := make([]ptrace.Traces, len(asks))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, a := range asks {
		group.Go(func() (err error) {
			defer enrich.Recover(&err)
			answers[i], err = s.find(ctx, a.service, a.from, a.to)
			return err
		})
	}
	err := group.Wait()
	answers = slices.DeleteFunc(answers, func(td ptrace.Traces) bool { return td == ptrace.Traces{} })
	others := newNamesakes(answers, q)
	seen := map[[24]byte]bool{}
	for _, td := range answers {
		others.remove(td)
		add(&out, td, seen)
	}
	out.Empty = err == nil && out.Traces.SpanCount() == 0
	return out, err
}

// choose returns the service of the subject's name, else a few of all when there are not many.
func choose(services []string, subject string) []string {
	if slices.Contains(services, subject) {
		return []string{subject}
	}
	slices.Sort(services)
	if len(services) > 10 {
		return nil
	}
	return services[:min(len(services), maxServices)]
}

// windows are what is asked for: times before the incident, and since.
func windows(q enrich.Question) [][2]time.Time {
	var out [][2]time.Time
	for _, before := range []time.Duration{58 * time.Minute, 40 * time.Minute, 22 * time.Minute, 8 * time.Minute} {
		out = append(out, [2]time.Time{q.Alarm.Add(-before), q.Alarm.Add(-before + 4*time.Minute)})
	}
	end := q.Now
	if most := q.Alarm.Add(10 * time.Minute); end.After(most) {
		end = most
	}
	for t := q.Alarm.Add(-3 * time.Minute); t.Before(end); t = t.Add(90 * time.Second) {
		out = append(out, [2]time.Time{t, t.Add(90 * time.Second)})
	}
	return out
}

func (s Source) find(ctx context.Context, service string, from, to time.Time) (ptrace.Traces, error) {
	data, err := s.Bytes(ctx, "/api/v3/traces", url.Values{
		"query.service_name": {service}, "query.num_traces": {strconv.Itoa(perWindow)},
		"query.start_time_min": {from.UTC().Format(time.RFC3339Nano)}, "query.start_time_max": {to.UTC().Format(time.RFC3339Nano)},
	})
	var status *enrich.StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return ptrace.NewTraces(), nil // Jaeger's way to say that there are none
	}
	if err != nil {
		return ptrace.Traces{}, err
	}
	return Parse(data)
}

// Parse reads the answer to a search for traces: OTLP in JSON below result.
func Parse(data []byte) (ptrace.Traces, error) {
	var answer struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return ptrace.Traces{}, fmt.Errorf("the answer of Jaeger can't be read: %w", err)
	}
	if len(answer.Result) == 0 {
		return ptrace.NewTraces(), nil
	}
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(answer.Result)
	if err != nil {
		return ptrace.Traces{}, fmt.Errorf("the traces of Jaeger can't be read: %w", err)
	}
	return td, nil
}

// add puts the spans that are not there yet among the telemetry.
func add(out *enrich.Telemetry, td ptrace.Traces, seen map[[24]byte]bool) {
	rss := td.ResourceSpans()
	for i := range rss.Len() {
		rs := rss.At(i)
		enrich.Home(rs.Resource().Attributes(), out.Homes)
		for j := range rs.ScopeSpans().Len() {
			rs.ScopeSpans().At(j).Spans().RemoveIf(func(s ptrace.Span) bool {
				var id [24]byte
				trace, span := s.TraceID(), s.SpanID()
				copy(id[:16], trace[:])
				copy(id[16:], span[:])
				known := seen[id]
				seen[id] = true
				return known
			})
		}
		rs.CopyTo(out.Traces.ResourceSpans().AppendEmpty())
	}
}
