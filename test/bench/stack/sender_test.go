package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// taker counts what it takes and refuses every line.
type taker struct {
	mu      sync.Mutex
	spans   map[string]bool
	samples int
}

type (
	traceTaker struct {
		ptraceotlp.UnimplementedGRPCServer
		*taker
	}
	logTaker struct {
		plogotlp.UnimplementedGRPCServer
	}
	metricTaker struct {
		pmetricotlp.UnimplementedGRPCServer
		*taker
	}
)

func (s *traceTaker) Export(_ context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans := r.Traces().ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	for i := range spans.Len() {
		s.spans[spans.At(i).TraceID().String()+spans.At(i).SpanID().String()] = true
	}
	return ptraceotlp.NewExportResponse(), nil
}

func (*logTaker) Export(context.Context, plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	return plogotlp.NewExportResponse(), status.Error(codes.ResourceExhausted, "too much")
}

func (s *metricTaker) Export(_ context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples += r.Metrics().DataPointCount()
	return pmetricotlp.NewExportResponse(), nil
}

func TestTheSenderCountsWhatIsTakenAndWhatIsRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, seen := grpc.NewServer(), &taker{spans: map[string]bool{}}
	ptraceotlp.RegisterGRPCServer(server, &traceTaker{taker: seen})
	plogotlp.RegisterGRPCServer(server, &logTaker{})
	pmetricotlp.RegisterGRPCServer(server, &metricTaker{taker: seen})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	got, err := telemetry{Service: "s", PerSecond: 500, For: 3 * sendEvery, Within: time.Minute}.send(t.Context(), []*grpc.ClientConn{conn})
	if err != nil {
		t.Fatal(err)
	}
	if got.Spans.Sent != 150 || got.Spans.Refused != 0 || len(seen.spans) != 150 {
		t.Errorf("of 150 spans %d were sent, %d refused, %d different ones taken", got.Spans.Sent, got.Spans.Refused, len(seen.spans))
	}
	if got.Samples.Sent != 150 || seen.samples != 150 {
		t.Errorf("of 150 samples %d were sent, %d taken", got.Samples.Sent, seen.samples)
	}
	if got.Lines.Refused != 150 || !strings.Contains(got.Lines.Why, "too much") {
		t.Errorf("of 150 lines %d were refused, for %q", got.Lines.Refused, got.Lines.Why)
	}
	if _, err := (telemetry{PerSecond: 1}).send(t.Context(), nil); err == nil {
		t.Error("a rate at which nothing is sent is taken")
	}
}

func TestFailedTracesAreCountedOnce(t *testing.T) {
	all, failed := telemetry{Service: "s"}.spans(time.Unix(1, 0), 0, 2*failedEvery*spansPerTrace)
	spans, traces := all.ResourceSpans().At(0).ScopeSpans().At(0).Spans(), map[string]bool{}
	for i := range spans.Len() {
		if spans.At(i).Status().Code() == ptrace.StatusCodeError {
			traces[spans.At(i).TraceID().String()] = true
		}
	}
	if failed != 2 || len(traces) != failed {
		t.Errorf("%d failed traces are told of, %d are there; want 2", failed, len(traces))
	}
}

func TestPodsThatBeganMeanwhileHaveNoUse(t *testing.T) {
	got := podUse(map[string]podUsage{"a": {cpu: 1e9}, "gone": {}}, map[string]podUsage{"a": {cpu: 3e9, memory: 7}, "new": {cpu: 9e9}}, 4*time.Second)
	if len(got) != 1 || got[0] != (PodUse{Pod: "a", Cores: 0.5, WorkingSet: 7}) {
		t.Errorf("%+v", got)
	}
}
