package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// senderCommand makes this program the sender of telemetry: it runs inside the cluster's network.
const senderCommand = "send"

const (
	// sendEvery is the pause between two requests of a signal, senders how many connections there are: kube-proxy gives
	// each to one of the receivers.
	sendEvery = 100 * time.Millisecond
	senders   = 4
	// sendWithin is the deadline of a request, and the one of a short round, whose figures nobody judges.
	sendWithin      = 5 * time.Second
	sendWithinShort = time.Minute
	// spansPerTrace, and every how many traces one fails, so that sampling keeps it.
	spansPerTrace = 5
	failedEvery   = 100
	lineBytes     = 160
)

// telemetry is what the sender sends; it reads it from its standard input.
type telemetry struct {
	// Collector is the address of OTLP by gRPC.
	Collector string `json:"collector"`
	Service   string `json:"service"`
	// PerSecond spans, lines and samples are sent, as many of each, for so long.
	PerSecond int           `json:"perSecond"`
	For       time.Duration `json:"for"`
	// Within is the deadline of a request. What takes longer is refused.
	Within time.Duration `json:"within"`
}

// taken is what became of it, by signal.
type taken struct {
	Spans   signalTaken `json:"spans"`
	Lines   signalTaken `json:"lines"`
	Samples signalTaken `json:"samples"`
	// Failed traces are among the spans: sampling keeps them all.
	Failed int `json:"failedTraces"`
	// Started is when the first was sent, Ended when the last was answered.
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
}

// signalTaken counts one signal. Nothing is sent twice, so that what is refused is lost and seen.
type signalTaken struct {
	Sent    int `json:"sent"`
	Refused int `json:"refused"`
	// AnswerP99 is how long a request waited for its answer, in seconds.
	AnswerP99 float64 `json:"answerP99Seconds"`
	// Why is the first refusal's error.
	Why string `json:"why,omitempty"`

	mu      sync.Mutex
	answers []float64
}

func (s *signalTaken) note(n int, began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Sent += n
	if err != nil {
		s.Refused += n
		if s.Why == "" {
			s.Why = err.Error()
		}
	}
	s.answers = append(s.answers, time.Since(began).Seconds())
	s.AnswerP99 = round(percentile(s.answers, 99))
}

// serveTelemetry is the sender.
func serveTelemetry(ctx context.Context, in io.Reader, out io.Writer) error {
	var t telemetry
	if err := json.NewDecoder(in).Decode(&t); err != nil {
		return fmt.Errorf("read what to send: %w", err)
	}
	var conns []*grpc.ClientConn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range senders {
		c, err := grpc.NewClient(t.Collector, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return fmt.Errorf("connect to %s: %w", t.Collector, err)
		}
		conns = append(conns, c)
	}
	result, err := t.send(ctx, conns)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(result); err != nil {
		return fmt.Errorf("write what was taken: %w", err)
	}
	return nil
}

// send sends a share of each second's telemetry at each tick, whether or not what went before was answered.
func (t telemetry) send(ctx context.Context, conns []*grpc.ClientConn) (*taken, error) {
	result := &taken{Started: time.Now()}
	each := t.PerSecond / int(time.Second/sendEvery) / spansPerTrace * spansPerTrace
	if each == 0 {
		return nil, errors.New("too few a second: there is nothing to send at each tick")
	}
	ticker := time.NewTicker(sendEvery)
	defer ticker.Stop()
	var wg sync.WaitGroup
	for tick := range int(t.For / sendEvery) {
		conn, first := conns[tick%len(conns)], tick*each
		now := time.Now()
		traces, failed := t.spans(now, first, each)
		result.Failed += failed
		for _, call := range []struct {
			of *signalTaken
			do func(context.Context) error
		}{
			{&result.Spans, func(ctx context.Context) error {
				answer, err := ptraceotlp.NewGRPCClient(conn).Export(ctx, ptraceotlp.NewExportRequestFromTraces(traces))
				return refusal(err, func() int64 { return answer.PartialSuccess().RejectedSpans() })
			}},
			{&result.Lines, func(ctx context.Context) error {
				answer, err := plogotlp.NewGRPCClient(conn).Export(ctx, plogotlp.NewExportRequestFromLogs(t.lines(now, first, each)))
				return refusal(err, func() int64 { return answer.PartialSuccess().RejectedLogRecords() })
			}},
			{&result.Samples, func(ctx context.Context) error {
				answer, err := pmetricotlp.NewGRPCClient(conn).Export(ctx, pmetricotlp.NewExportRequestFromMetrics(t.samples(now, tick, each)))
				return refusal(err, func() int64 { return answer.PartialSuccess().RejectedDataPoints() })
			}},
		} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, t.Within)
				defer cancel()
				call.of.note(each, now, call.do(ctx))
			})
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
	wg.Wait()
	result.Ended = time.Now()
	return result, nil
}

// refusal of a request, or of a part of it: an answer holds something only when there is no error.
func refusal(err error, rejected func() int64) error {
	if err != nil {
		return err
	}
	if n := rejected(); n > 0 {
		return fmt.Errorf("%d were rejected", n)
	}
	return nil
}

func (t telemetry) resource(r pcommon.Resource) {
	r.Attributes().PutStr("service.name", t.Service)
	r.Attributes().PutStr("k8s.namespace.name", benchNamespace)
	r.Attributes().PutStr("k8s.pod.name", "sender")
}

// spans are traces of a root and its children; of some, every span failed.
func (t telemetry) spans(now time.Time, first, n int) (ptrace.Traces, int) {
	all := ptrace.NewTraces()
	resource := all.ResourceSpans().AppendEmpty()
	t.resource(resource.Resource())
	spans, failed := resource.ScopeSpans().AppendEmpty().Spans(), 0
	for i := first; i < first+n; i++ {
		trace := i / spansPerTrace
		var id pcommon.TraceID
		binary.BigEndian.PutUint64(id[:8], uint64(now.UnixNano()))
		binary.BigEndian.PutUint64(id[8:], uint64(trace)+1)
		var own, parent pcommon.SpanID
		binary.BigEndian.PutUint64(own[:], uint64(i)+1)
		binary.BigEndian.PutUint64(parent[:], uint64(trace*spansPerTrace)+1)
		span := spans.AppendEmpty()
		span.SetTraceID(id)
		span.SetSpanID(own)
		span.SetName("step " + strconv.Itoa(i%spansPerTrace))
		span.SetKind(ptrace.SpanKindInternal)
		if root := i%spansPerTrace == 0; root {
			span.SetKind(ptrace.SpanKindServer)
		} else {
			span.SetParentSpanID(parent)
		}
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(now))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(1+i%20) * time.Millisecond)))
		if trace%failedEvery == 0 {
			span.Status().SetCode(ptrace.StatusCodeError)
			if i%spansPerTrace == 0 {
				failed++
			}
		}
	}
	return all, failed
}

// lines are numbered and as long as a usual line.
func (t telemetry) lines(now time.Time, first, n int) plog.Logs {
	all := plog.NewLogs()
	resource := all.ResourceLogs().AppendEmpty()
	t.resource(resource.Resource())
	records := resource.ScopeLogs().AppendEmpty().LogRecords()
	for i := range n {
		record := records.AppendEmpty()
		record.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(i) * time.Microsecond)))
		record.SetSeverityNumber(plog.SeverityNumberInfo)
		text := fmt.Sprintf("request %d served", first+i)
		record.Body().SetStr(text + fmt.Sprintf("%*d", lineBytes-len(text), now.UnixNano()))
	}
	return all
}

// samples are one of each series in each second: as many series as samples a second.
func (t telemetry) samples(now time.Time, tick, n int) pmetric.Metrics {
	all := pmetric.NewMetrics()
	resource := all.ResourceMetrics().AppendEmpty()
	t.resource(resource.Resource())
	metric := resource.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	metric.SetName(sampleName)
	points := metric.SetEmptyGauge().DataPoints()
	share := tick % int(time.Second/sendEvery)
	for i := range n {
		point := points.AppendEmpty()
		point.SetTimestamp(pcommon.NewTimestampFromTime(now))
		point.SetIntValue(int64(tick))
		point.Attributes().PutInt("series", int64(share*n+i))
	}
	return all
}
