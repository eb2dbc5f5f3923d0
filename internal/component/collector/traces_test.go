package collector

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
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

func TestNoTextOfASpanIsTooLongForJaeger(t *testing.T) {
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
	if _, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(longTrace()), grpc.WaitForReady(true)); err != nil {
		t.Fatalf("send a trace: %v", err)
	}
	select {
	case all := <-taken:
		of := all.ResourceSpans().At(0)
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
	case <-time.After(time.Minute):
		t.Fatal("the trace does not come")
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
