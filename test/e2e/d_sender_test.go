//go:build e2e

package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// pace of the sender: so many lines and as many traces in each request, and one sample.
const (
	perRequest = 10
	pause      = 500 * time.Millisecond
)

// sender sends numbered telemetry as an application with a patient SDK does: each request until it is taken.
type sender struct {
	service string
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu sync.Mutex
	// at is when each line and trace was sent, by its number.
	at      []time.Time
	samples int
	err     error
}

func startSender(t *testing.T, ctx context.Context) *sender { return startSenderEvery(t, ctx, pause) }

func startSenderEvery(t *testing.T, ctx context.Context, pause time.Duration) *sender {
	ctx, cancel := context.WithCancel(ctx)
	s := &sender{service: "e2e-" + strconv.FormatInt(time.Now().Unix(), 36), cancel: cancel}
	s.done.Go(func() {
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for {
			s.send(ctx)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	t.Cleanup(cancel)
	return s
}

// stop ends the sending after the request that is under way.
func (s *sender) stop() {
	s.cancel()
	s.done.Wait()
}

func (s *sender) send(ctx context.Context) {
	now := time.Now()
	s.mu.Lock()
	first := len(s.at)
	for range perRequest {
		s.at = append(s.at, now)
	}
	s.samples++
	s.mu.Unlock()
	logs, traces, metrics := plog.NewLogs(), ptrace.NewTraces(), pmetric.NewMetrics()
	records := logs.ResourceLogs().AppendEmpty()
	s.resource(records.Resource())
	lines := records.ScopeLogs().AppendEmpty().LogRecords()
	spans := traces.ResourceSpans().AppendEmpty()
	s.resource(spans.Resource())
	of := spans.ScopeSpans().AppendEmpty().Spans()
	for n := first; n < first+perRequest; n++ {
		line := lines.AppendEmpty()
		line.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(n-first) * time.Microsecond)))
		line.Body().SetStr(strconv.Itoa(n))
		// Each is a trace of its own, with an error, so that the sampling keeps it.
		span := of.AppendEmpty()
		var id pcommon.TraceID
		binary.BigEndian.PutUint64(id[:8], uint64(now.UnixNano()))
		binary.BigEndian.PutUint64(id[8:], uint64(n))
		span.SetTraceID(id)
		span.SetSpanID(pcommon.SpanID(id[8:]))
		if n == 0 {
			span.SetSpanID(pcommon.SpanID{1})
		}
		span.SetName(strconv.Itoa(n))
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(now))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Millisecond)))
		span.Status().SetCode(ptrace.StatusCodeError)
	}
	series := metrics.ResourceMetrics().AppendEmpty()
	s.resource(series.Resource())
	metric := series.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	metric.SetName("e2e_sent")
	point := metric.SetEmptyGauge().DataPoints().AppendEmpty()
	point.SetTimestamp(pcommon.NewTimestampFromTime(now))
	point.SetIntValue(int64(first))

	s.deliver(ctx, "logs", plogotlp.NewExportRequestFromLogs(logs).MarshalJSON)
	s.deliver(ctx, "traces", ptraceotlp.NewExportRequestFromTraces(traces).MarshalJSON)
	s.deliver(ctx, "metrics", pmetricotlp.NewExportRequestFromMetrics(metrics).MarshalJSON)
}

func (s *sender) resource(r pcommon.Resource) {
	r.Attributes().PutStr("service.name", s.service)
	r.Attributes().PutStr("k8s.namespace.name", "e2e")
	r.Attributes().PutStr("k8s.pod.name", "sender")
}

// deliver sends a request until it is taken. It goes on when the sending shall end.
func (s *sender) deliver(ctx context.Context, signal string, marshal func() ([]byte, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	body, err := marshal()
	for err == nil {
		if err = cluster.SendOTLP(ctx, "main", signal, body); err == nil {
			return
		}
		if ctx.Err() == nil {
			time.Sleep(200 * time.Millisecond)
			err = nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// linesArrived checks that every line is in Loki once.
func (s *sender) linesArrived(ctx context.Context) error {
	lines, err := cluster.Lines(ctx, "main", fmt.Sprintf("{service_name=%q}", s.service))
	if err != nil {
		return err
	}
	found := map[string]int{}
	for _, l := range lines {
		found[l.Text]++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if len(found) != len(s.at) || len(lines) != len(s.at) {
		return fmt.Errorf("of %d lines %d are in Loki, %d with those that are there twice", len(s.at), len(found), len(lines))
	}
	return nil
}

// lossOfOne is the share in percent of the traces of a time that one of the two samplers may hold: half of them, and what
// the hash of their IDs deals out unevenly.
const lossOfOne = 65

// spansArrived checks that every trace is in Jaeger, but for those sent between two times, of which one sampler's may be
// lost.
func (s *sender) spansArrived(ctx context.Context, from, to time.Time) error {
	found, err := s.spansFound(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	missing, within, lost := 0, 0, 0
	for n, at := range s.at {
		gone := !found[strconv.Itoa(n)]
		switch inside := at.After(from) && at.Before(to); {
		case inside && gone:
			lost++
			fallthrough
		case inside:
			within++
		case gone:
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("of %d traces %d are missing that were not in the killed process's window", len(s.at), missing)
	}
	if lost*100 > within*lossOfOne {
		return fmt.Errorf("of the %d traces of the killed process's window %d are missing, which one sampler of two can't have held alone", within, lost)
	}
	return nil
}

// spansFound returns the names of the spans that are in Jaeger. It asks for half a minute at a time, which is 600 traces:
// Jaeger returns at most 1,500.
func (s *sender) spansFound(ctx context.Context) (map[string]bool, error) {
	s.mu.Lock()
	first, last := s.at[0], s.at[len(s.at)-1]
	s.mu.Unlock()
	found := map[string]bool{}
	const slice = 30 * time.Second
	for at := first; !at.After(last); at = at.Add(slice) {
		traces, err := cluster.TracesBetween(ctx, "main", s.service, at, at.Add(slice))
		if err != nil {
			return nil, err
		}
		for _, t := range traces {
			for _, span := range t.Spans {
				found[span.Operation] = true
			}
		}
	}
	return found, nil
}

// samplesArrived checks that every sample is in Prometheus.
func (s *sender) samplesArrived(ctx context.Context) error {
	result, err := cluster.Query(ctx, "main", fmt.Sprintf(`sum(count_over_time(e2e_sent{job=~"(.*/)?%s"}[15m]))`, s.service))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(result) != 1 || result[0].Value[1] != strconv.Itoa(s.samples) {
		return fmt.Errorf("of %d samples Prometheus has %v", s.samples, result)
	}
	return nil
}
