package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"reflect"
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
	first, second := time.Unix(100, 0), time.Unix(104, 0)
	got := podUse(map[string]podUsage{"a": {cpu: 1e9, at: first}, "b": {cpu: 1e9, at: first}, "gone": {}},
		map[string]podUsage{"a": {cpu: 3e9, memory: 7, at: second}, "b": {cpu: 1e9, memory: 8, at: first}, "new": {cpu: 9e9, at: second}})
	if want := []PodUse{{Pod: "a", Cores: 0.5, WorkingSet: 7}, {Pod: "b", WorkingSet: 8}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestPodsOfTheNodesArePartOfTheStack(t *testing.T) {
	var s summary
	if err := json.Unmarshal([]byte(`{"pods":[
	  {"podRef":{"name":"loki","namespace":"kubebot"},"containers":[
	    {"cpu":{"time":"2026-01-02T03:04:05Z","usageCoreNanoSeconds":5},"memory":{"workingSetBytes":1}},
	    {"cpu":{"time":"2026-01-02T03:04:01Z","usageCoreNanoSeconds":6},"memory":{"workingSetBytes":2}}]},
	  {"podRef":{"name":"fluent-bit","namespace":"kubebot-nodes"},"containers":[{"cpu":{"usageCoreNanoSeconds":9}}]},
	  {"podRef":{"name":"alien","namespace":"shop"},"containers":[{"cpu":{"usageCoreNanoSeconds":9}}]}]}`), &s); err != nil {
		t.Fatal(err)
	}
	want := map[string]podUsage{"loki": {cpu: 11, memory: 3, at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, "fluent-bit": {cpu: 9}}
	if got := usageOf([]summary{s}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestARateIsCarriedWhenAllOfItIsFound(t *testing.T) {
	all := &taken{Spans: signalTaken{Sent: 10}, Lines: signalTaken{Sent: 10}, Samples: signalTaken{Sent: 10}, Failed: 1}
	refused := &taken{Spans: signalTaken{Sent: 10, Refused: 1}}
	for name, c := range map[string]struct {
		held Held
		want bool
	}{
		"all found":                     {Held{Taken: all, Lost: map[string]int{"spans": 0, "lines": 0, "samples": 0, failedTraces: 0}}, true},
		"traces too many to be counted": {Held{Taken: all, Lost: map[string]int{"spans": 0, "lines": 0, "samples": 0}}, true},
		"some came twice":               {Held{Taken: all, Lost: map[string]int{"spans": -2, "lines": 0, "samples": 0}}, true},
		"a line lost":                   {Held{Taken: all, Lost: map[string]int{"spans": 0, "lines": 1, "samples": 0}}, false},
		"a failed trace lost":           {Held{Taken: all, Lost: map[string]int{"spans": 0, "lines": 0, "samples": 0, failedTraces: 1}}, false},
		"lines not counted":             {Held{Taken: all, Lost: map[string]int{"spans": 0, "samples": 0}}, false},
		"refused":                       {Held{Taken: refused, Lost: map[string]int{"spans": 0, "lines": 0, "samples": 0}}, false},
	} {
		if got := c.held.carried(); got != c.want {
			t.Errorf("%s: carried is %t", name, got)
		}
	}
}

// What is refused is not looked for, and neither are more traces than can be asked for at once.
func TestWantedIsWhatWasTaken(t *testing.T) {
	some := taken{Spans: signalTaken{Sent: 10, Refused: 4}, Lines: signalTaken{Sent: 10}, Samples: signalTaken{Sent: 9}, Failed: tracesAtMost}
	if got, want := some.wanted(), map[string]int{"spans": 6, "lines": 10, "samples": 9, failedTraces: tracesAtMost}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	some.Failed++
	if got := some.wanted(); len(got) != 3 {
		t.Errorf("%v", got)
	}
}

func TestStoresThatHadAllAreNotAskedAgain(t *testing.T) {
	asked := map[string]int{}
	answer := func(name string, answers ...int) counter {
		return func(context.Context) (int, error) {
			n := answers[min(asked[name], len(answers)-1)]
			if asked[name]++; n < 0 {
				return 0, errors.New("too busy")
			}
			return n, nil
		}
	}
	counters := map[string]counter{"spans": answer("spans", 10), "lines": answer("lines", -1, 7, 10), "samples": answer("samples", 11)}
	wanted, lost := map[string]int{"spans": 10, "lines": 10, "samples": 10}, map[string]int{}
	for round, want := range []map[string]int{{"spans": 0, "samples": -1}, {"spans": 0, "samples": -1, "lines": 3}, {"spans": 0, "samples": -1, "lines": 0}} {
		if err := count(t.Context(), wanted, counters, lost); (err == nil) != (round == 2) || !maps.Equal(lost, want) {
			t.Errorf("round %d: %v, %v; want %v", round, lost, err, want)
		}
	}
	if want := map[string]int{"spans": 1, "samples": 1, "lines": 3}; !maps.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}
