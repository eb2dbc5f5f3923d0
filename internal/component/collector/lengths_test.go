package collector

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"

	"github.com/kubebot/kubebot/internal/component/otelcol"
)

// taker takes traces as Jaeger does, whatever is in them.
type taker struct {
	ptraceotlp.UnimplementedGRPCServer
	taken chan ptrace.Traces
}

func (s *taker) Export(_ context.Context, request ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	s.taken <- request.Traces()
	return ptraceotlp.NewExportResponse(), nil
}

func startTaker(t *testing.T) (address string, taken <-chan ptrace.Traces) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &taker{taken: make(chan ptrace.Traces, 1)}
	server := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(server, s)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	return listener.Addr().String(), s.taken
}

// throughSampler returns what Jaeger is sent of a trace.
func throughSampler(t *testing.T, sent ptrace.Traces) ptrace.Traces {
	t.Helper()
	c, err := samplerConfig(input(nil).KubeBot, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	address, taken := startTaker(t)
	exporter, sampling := c.Exporters[idJaeger].(otelcol.OTLPExporter), c.Processors[idSampling].(tailSampling)
	exporter.Endpoint, sampling.DecisionWait = address, time.Second
	c.Exporters[idJaeger], c.Processors[idSampling] = exporter, sampling
	sampled := c.Service.Pipelines["traces/sampled"]
	sampled.Exporters = []string{idJaeger}
	c.Service.Pipelines = map[string]otelcol.Pipeline{"traces/sampled": sampled}
	client := ptraceotlp.NewGRPCClient(startSampler(t, c))
	if _, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(sent), grpc.WaitForReady(true)); err != nil {
		t.Fatalf("send a trace: %v", err)
	}
	select {
	case all := <-taken:
		return all
	case <-time.After(time.Minute):
		t.Fatal("the trace does not come")
		return sent
	}
}

func TestNoTextOfASpanIsTooLongForJaeger(t *testing.T) {
	of := throughSampler(t, longTrace()).ResourceSpans().At(0)
	span := of.ScopeSpans().At(0).Spans().At(0)
	event := span.Events().At(0)
	kept := map[string]string{"span's name": span.Name(), "status message": span.Status().Message(), "event's name": event.Name()}
	for what, attributes := range map[string]pcommon.Map{"resource": of.Resource().Attributes(), "span": span.Attributes(), "event": event.Attributes()} {
		value, _ := attributes.Get("long")
		kept[what] = value.Str()
		if short, _ := attributes.Get("short"); short.Str() != "short" {
			t.Errorf("the short attribute of the %s is %q", what, short.Str())
		}
	}
	for what, text := range kept {
		if len(text) != longestValue {
			t.Errorf("%s has %d bytes, want %d", what, len(text), longestValue)
		}
	}
}

func longTrace() ptrace.Traces {
	long := strings.Repeat("at com.example.Shop.buy(Shop.java:42)\n", 2000)
	all := ptrace.NewTraces()
	of := all.ResourceSpans().AppendEmpty()
	span := of.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID([16]byte{1})
	span.SetSpanID([8]byte{1})
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	span.SetEndTimestamp(span.StartTimestamp())
	span.SetName(long)
	span.Status().SetCode(ptrace.StatusCodeError)
	span.Status().SetMessage(long)
	event := span.Events().AppendEmpty()
	event.SetName(long)
	for _, attributes := range []pcommon.Map{of.Resource().Attributes(), span.Attributes(), event.Attributes()} {
		attributes.PutStr("long", long)
		attributes.PutStr("short", "short")
	}
	return all
}

func TestALongListIsNoValueTooLongForJaeger(t *testing.T) {
	all := longTrace()
	of := all.ResourceSpans().At(0)
	of.Resource().Attributes().PutStr("service.name", "shop")
	embedding := of.ScopeSpans().At(0).Spans().At(0).Attributes().PutEmptySlice("embedding")
	arguments := of.Resource().Attributes().PutEmptySlice("process.command_args")
	for i := range 100_000 {
		embedding.AppendEmpty().SetInt(int64(i))
		if i%100 == 0 {
			arguments.AppendEmpty().SetStr("-Dshop.currency=EUR -Xmx512m -cp /app/lib/shop.jar")
		}
	}
	second := of.ScopeSpans().At(0).Spans().AppendEmpty()
	of.ScopeSpans().At(0).Spans().At(0).CopyTo(second)
	second.Attributes().Clear()
	second.Attributes().PutEmptySlice("short").AppendEmpty().SetInt(1)
	got := throughSampler(t, all).ResourceSpans().At(0)
	spans := got.ScopeSpans().At(0).Spans()
	if spans.Len() != 2 {
		t.Fatalf("%d spans came", spans.Len())
	}
	for _, attributes := range []pcommon.Map{got.Resource().Attributes(), spans.At(0).Attributes(), spans.At(1).Attributes()} {
		for name, value := range attributes.All() {
			if n := len(value.AsString()); n > longestList {
				t.Errorf("%s has %d bytes", name, n)
			}
		}
	}
	if name, _ := got.Resource().Attributes().Get("service.name"); name.AsString() != "shop" {
		t.Errorf("the resource has %v", got.Resource().Attributes().AsRaw())
	}
	if short, _ := spans.At(1).Attributes().Get("short"); short.AsString() != "[1]" {
		t.Errorf("the second span has %v", spans.At(1).Attributes().AsRaw())
	}
}

func TestACutTextStaysText(t *testing.T) {
	all := longTrace()
	long := strings.Repeat("é", longestValue) + "x"
	span := all.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	span.SetName("x" + long)
	span.Attributes().PutStr("db.statement", "x"+long)
	span = throughSampler(t, all).ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	statement, _ := span.Attributes().Get("db.statement")
	for what, text := range map[string]string{"name": span.Name(), "attribute": statement.Str()} {
		if !utf8.ValidString(text) || len(text) != longestValue-1 {
			t.Errorf("the %s has %d bytes, as text: %v", what, len(text), utf8.ValidString(text))
		}
	}
}

// A line that is larger than a request to Loki may be must not take those with it that are in the same request.
func TestALongLineDropsNoOther(t *testing.T) {
	c, err := samplerConfig(input(nil).KubeBot, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan plog.Logs, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request := plogotlp.NewExportRequest()
		if err := request.UnmarshalProto(body); err != nil {
			t.Errorf("read a request: %v", err)
		}
		lines <- request.Logs()
	}))
	t.Cleanup(server.Close)
	exporter := c.Exporters[idLoki].(otelcol.OTLPHTTPExporter)
	exporter.Endpoint = server.URL
	c.Exporters[idLoki] = exporter
	c.Service.Pipelines = map[string]otelcol.Pipeline{"logs": c.Service.Pipelines["logs"]}
	sent := plog.NewLogs()
	records := sent.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	records.AppendEmpty().Body().SetStr(strings.Repeat("x", 700<<10))
	object := records.AppendEmpty().Body().SetEmptyMap()
	object.PutStr("text", strings.Repeat("y", 700<<10))
	records.AppendEmpty()
	records.AppendEmpty().Body().SetStr("last")
	client := plogotlp.NewGRPCClient(startSampler(t, c))
	if _, err := client.Export(t.Context(), plogotlp.NewExportRequestFromLogs(sent), grpc.WaitForReady(true)); err != nil {
		t.Fatalf("send lines: %v", err)
	}
	var got []int
	for deadline := time.After(time.Minute); len(got) < records.Len(); {
		select {
		case all := <-lines:
			for _, of := range all.ResourceLogs().All() {
				for _, record := range of.ScopeLogs().At(0).LogRecords().All() {
					got = append(got, len(record.Body().AsString()))
				}
			}
		case <-deadline:
			t.Fatalf("of %d lines these came, by their lengths: %v", records.Len(), got)
		}
	}
	if slices.Sort(got); !slices.Equal(got, []int{0, len("last"), longestLine, longestLine}) {
		t.Errorf("lengths of the lines: %v", got)
	}
}
