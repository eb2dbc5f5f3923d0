package jaeger

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/enrich/enrichtest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

const settings = `extensions:
  jaeger_storage: {backends: {memory: {memory: {max_traces: 1000}}}}
  jaeger_query: {storage: {traces: memory}, http: {endpoint: "HTTP"}, grpc: {endpoint: "GRPC"}}
receivers: {otlp: {protocols: {http: {endpoint: "OTLP"}}}}
exporters: {jaeger_storage_exporter: {trace_storage: memory}}
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: {traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}}
  telemetry: {metrics: {level: none}}
`

// start runs Jaeger with a store in memory and returns the addresses of its API and of OTLP.
func start(t *testing.T) (query, otlp string) {
	t.Helper()
	program, dir := golden.Program(t, "jaeger"), t.TempDir()
	otlp = golden.FreeAddress(t)
	query = golden.Start(t, dir, program, "/api/v3/services", func(address string) []string {
		file := filepath.Join(dir, "jaeger.yaml")
		text := strings.NewReplacer("HTTP", address, "GRPC", golden.FreeAddress(t), "OTLP", otlp).Replace(settings)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return []string{"--config=" + file}
	})
	return query, "http://" + otlp
}

// send sends traces from frontend to catalog.
func send(t *testing.T, otlp string, at time.Time, from, count byte) {
	t.Helper()
	td := ptrace.NewTraces()
	for i := range count {
		trace := pcommon.TraceID{1, from + i, 15: 1}
		for j, service := range []string{"frontend", "catalog"} {
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", service)
			rs.Resource().Attributes().PutStr("k8s.namespace.name", "shop")
			rs.Resource().Attributes().PutStr("k8s.deployment.name", service)
			s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			s.SetTraceID(trace)
			s.SetSpanID(pcommon.SpanID{from + i, byte(j + 1)})
			if j > 0 {
				s.SetParentSpanID(pcommon.SpanID{from + i, byte(j)})
			}
			s.SetName("GET /" + service)
			s.SetKind(ptrace.SpanKindServer)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(20 * time.Millisecond)))
		}
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	require.NoError(t, err)
	resp, err := http.Post(otlp+"/v1/traces", "application/x-protobuf", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestRealJaegerGivesTheTracesBeforeAndDuring(t *testing.T) {
	query, otlp := start(t)
	alarm := time.Now().Add(-2 * time.Minute)
	send(t, otlp, alarm.Add(-20*time.Minute), 0, 3)
	send(t, otlp, alarm.Add(30*time.Second), 100, 4)
	q := enrich.Question{Subject: diagnosis.Object{Namespace: "shop", Name: "catalog"}, Alarm: alarm, Now: time.Now()}
	var got enrich.Telemetry
	require.Eventually(t, func() bool {
		var err error
		got, err = Source{enrich.Store{URL: query}}.Read(t.Context(), q)
		require.NoError(t, err)
		return got.Traces.SpanCount() == 14
	}, 20*time.Second, 200*time.Millisecond, "two spans of each of seven traces")
	assert.Equal(t, diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "frontend"}, got.Homes["frontend"])
}

func TestSubjectsOwnServiceIsAskedFor(t *testing.T) {
	assert.Equal(t, []string{"catalog"}, choose([]string{"cart", "catalog"}, "catalog"))
	assert.Equal(t, []string{"a", "b", "c"}, choose([]string{"d", "c", "b", "a"}, "catalog"))
	assert.Empty(t, choose(strings.Split("abcdefghijkl", ""), "catalog"), "any few of many say nothing")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":[{"spans":[{"traceId":"01020304050607080910111213141516","spanId":"0102030405060708","name":"x"}]}]}]}}`))
	f.Add([]byte(`{"result":{"resourceSpans":[null]}}`))
	f.Add([]byte(`{"error":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		td, err := Parse(data)
		if err != nil {
			return
		}
		out := enrich.NewTelemetry()
		add(&out, td, map[[24]byte]bool{})
		if out.Traces.SpanCount() > td.SpanCount() {
			t.Errorf("%d of %d spans", out.Traces.SpanCount(), td.SpanCount())
		}
	})
}

func TestAPanicOverAnAnswerIsAnError(t *testing.T) {
	enrichtest.PanicIsAnError(t, "/api/v3/traces", func(store enrich.Store) enrich.Source { return Source{store} })
}
