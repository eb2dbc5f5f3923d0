package loki

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/sdk/freeport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/enrich/enrichtest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

const settings = `auth_enabled: true
server: {http_listen_address: 127.0.0.1, http_listen_port: PORT, grpc_listen_address: 127.0.0.1, grpc_listen_port: GRPC}
common:
  path_prefix: DIR
  replication_factor: 1
  instance_addr: 127.0.0.1
  ring: {instance_addr: 127.0.0.1, kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: DIR/chunks, rules_directory: DIR/rules}}
frontend: {address: 127.0.0.1}
schema_config: {configs: [{from: "2024-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]}
limits_config: {allow_structured_metadata: true, otlp_config: {resource_attributes: {attributes_config: [{action: index_label, attributes: [service.name, k8s.namespace.name]}]}}}
`

func start(t *testing.T) string {
	t.Helper()
	program, dir := golden.Program(t, "loki"), t.TempDir()
	return golden.Start(t, dir, program, "/ready", func(address string) []string {
		_, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		grpc := strconv.Itoa(freeport.GetOne(t))
		file := filepath.Join(dir, "loki.yaml")
		text := strings.NewReplacer("PORT", port, "GRPC", grpc, "DIR", dir).Replace(settings)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return []string{"-config.file=" + file}
	})
}

// push sends lines by OTLP, as the collector does.
func push(t *testing.T, base string, at time.Time, lines ...string) {
	t.Helper()
	logs := plog.NewLogs()
	resource := logs.ResourceLogs().AppendEmpty()
	for key, value := range map[string]string{"service.name": "catalog", "k8s.namespace.name": "shop", "k8s.deployment.name": "catalog"} {
		resource.Resource().Attributes().PutStr(key, value)
	}
	scope := resource.ScopeLogs().AppendEmpty()
	for i, line := range lines {
		r := scope.LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Duration(i) * time.Millisecond)))
		r.SetTraceID(pcommon.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
		r.SetSpanID(pcommon.SpanID{1, 2, 3, 4, 5, 6, 7, 8})
		r.Body().SetStr(line)
	}
	body, err := plogotlp.NewExportRequestFromLogs(logs).MarshalProto()
	require.NoError(t, err)
	req, err := http.NewRequest(http.MethodPost, base+"/otlp/v1/logs", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("X-Scope-OrgID", "team")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 2, resp.StatusCode/100)
}

func TestRealLokiGivesTheLinesBeforeAndDuring(t *testing.T) {
	base := start(t)
	alarm := time.Now().Add(-2 * time.Minute)
	push(t, base, alarm.Add(-7*time.Minute-30*time.Second), "list items", "list items")
	push(t, base, alarm.Add(30*time.Second), `{"severity":"ERROR","message":"list items","error":"price format \"EUR\" has no decimals","password":"hunter2hunter2"}`,
		"connect with password=hunter2hunter2")
	q := enrich.Question{Subject: diagnosis.Object{Namespace: "shop", Name: "catalog"}, Alarm: alarm, Now: time.Now()}
	var got enrich.Telemetry
	require.Eventually(t, func() bool {
		var err error
		got, err = New(base, nil, "team").Read(t.Context(), q)
		require.NoError(t, err)
		return got.Logs.LogRecordCount() == 4
	}, 20*time.Second, 200*time.Millisecond, "lines")
	var texts []string
	for _, rl := range got.Logs.ResourceLogs().All() {
		for _, r := range rl.ScopeLogs().At(0).LogRecords().All() {
			texts = append(texts, r.SeverityText()+" "+r.Body().Str())
			assert.Equal(t, "0102030405060708", r.SpanID().String())
		}
	}
	all := strings.Join(texts, "\n")
	assert.Contains(t, all, `ERROR list items: price format "EUR" has no decimals`)
	assert.NotContains(t, all, "hunter2")
	assert.Equal(t, "Deployment", got.Homes["catalog"].Kind)
}

func TestRefusalIsAnErrorWithoutItsWords(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no org id", http.StatusUnauthorized) }))
	defer server.Close()
	_, err := New(server.URL, nil, "").Read(t.Context(), enrich.Question{Subject: diagnosis.Object{Namespace: "shop"}, Alarm: time.Now(), Now: time.Now()})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "org id")
	assert.Equal(t, "it answered with HTTP status 401 Unauthorized", enrich.Explain(err, time.Second))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"data":{"resultType":"streams","result":[{"stream":{"service_name":"a","trace_id":"00"},"values":[["1","{\"msg\":\"x\"}"],["2","y",{"a":"b"}]]}]}}`))
	f.Add([]byte(`{"data":{"resultType":"streams","result":[{"values":[["x","y"]]}]}}`))
	f.Add([]byte(`{"data":{"resultType":"matrix"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Parse(data)
		if err != nil {
			return
		}
		out := enrich.NewTelemetry()
		a.addTo(&out)
		want := 0
		for _, s := range a.Data.Result {
			want += len(s.Values)
		}
		if got := out.Logs.LogRecordCount(); got != want {
			t.Errorf("%d of %d lines", got, want)
		}
	})
}

func TestAPanicOverAnAnswerIsAnError(t *testing.T) {
	enrichtest.PanicIsAnError(t, "/loki/", func(store enrich.Store) enrich.Source { return Source{store} })
}
