package prometheus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/enrich/enrichtest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// recorded writes an hour of samples in the form of OpenMetrics: a pod that uses 20 % of its processor, and 90 % since
// the alarm, and a service whose requests fail since then.
func recorded(t *testing.T, alarm time.Time) string {
	t.Helper()
	var b strings.Builder
	series := func(name, kind, labels string, value func(s float64, during bool) float64) {
		fmt.Fprintf(&b, "# TYPE %s %s\n", strings.TrimSuffix(name, "_total"), kind)
		for s := -3700.0; s <= 300; s += 15 {
			fmt.Fprintf(&b, "%s{%s} %g %d\n", name, labels, value(s, s > 0), alarm.Unix()+int64(s))
		}
	}
	sum := func(before, since float64) func(float64, bool) float64 {
		return func(s float64, during bool) float64 {
			if during {
				return before*3700 + since*s
			}
			return before * (3700 + s)
		}
	}
	constant := func(v float64) func(float64, bool) float64 { return func(float64, bool) float64 { return v } }
	pod := `namespace="shop",pod="catalog-5d9f8-x2k"`
	series("container_cpu_usage_seconds_total", "counter", pod+`,container="app"`, sum(0.1, 0.45))
	series("kube_pod_container_resource_limits", "gauge", pod+`,container="app",resource="cpu"`, constant(0.5))
	series("kubebot:pod:workload", "gauge", pod+`,workload_kind="Deployment",workload="catalog"`, constant(1))
	series("traces_span_metrics_calls_total", "counter", `service_name="catalog",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",collector="a"`, sum(5, 1))
	fmt.Fprintln(&b, "# EOF")
	file := filepath.Join(t.TempDir(), "metrics.txt")
	require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	return file
}

// point returns the last value of a metric.
func last(md pmetric.Metrics, name, attribute, value string) (float64, bool) {
	for _, rm := range md.ResourceMetrics().All() {
		if v, ok := rm.Resource().Attributes().Get(attribute); !ok || v.Str() != value {
			continue
		}
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if points := m.Gauge().DataPoints(); m.Name() == name && points.Len() > 0 {
				return points.At(points.Len() - 1).DoubleValue(), true
			}
		}
	}
	return 0, false
}

func TestRealPrometheusAnswersEveryQuery(t *testing.T) {
	dir := t.TempDir()
	alarm := time.Now().Add(-5 * time.Minute).Truncate(time.Second)
	out, err := exec.Command(golden.Program(t, "promtool"), "tsdb", "create-blocks-from", "openmetrics", recorded(t, alarm), filepath.Join(dir, "data")).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte("global: {}\n"), 0o600))
	base := golden.Start(t, dir, golden.Program(t, "prometheus"), "/-/ready", func(address string) []string {
		return []string{"--config.file=" + filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address}
	})
	q := enrich.Question{Subject: diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "catalog"}, Alarm: alarm, Now: alarm.Add(4 * time.Minute)}
	got, err := Source{enrich.Store{URL: base}}.Read(t.Context(), q)
	require.NoError(t, err, "a query that Prometheus can't run")
	cpu, ok := last(got.Metrics, "k8s.pod.cpu_limit_utilization", "k8s.deployment.name", "catalog")
	require.True(t, ok)
	assert.InDelta(t, 0.9, cpu, 0.02)
	served, ok := last(got.Metrics, "workload.requests", "service.name", "catalog")
	require.True(t, ok)
	assert.InDelta(t, 30, served, 1)
	assert.Equal(t, diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "catalog"}, got.Homes["catalog"])
}

func TestQueriesThatFailLeaveTheOthers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.FormValue("query"), "traces_") {
			http.Error(w, "secret words", http.StatusUnprocessableEntity)
			return
		}
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"namespace":"shop","pod":"a-1-2"},"values":[[1,"0.5"]]}]}}`))
	}))
	defer server.Close()
	got, err := Source{enrich.Store{URL: server.URL}}.Read(t.Context(), enrich.Question{Subject: diagnosis.Object{Namespace: "shop"}, Alarm: time.Unix(9000, 0), Now: time.Unix(9100, 0)})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret words")
	assert.Positive(t, got.Metrics.DataPointCount())
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`[{"metric":{"namespace":"shop","pod":"a"},"values":[[1,"0.5"],[2,"NaN"]]}]`))
	f.Add([]byte(`[{"metric":{"client":"a","server":"b"},"values":[[1e300,"1"]]}]`))
	f.Add([]byte(`[null]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m model.Matrix
		if decode(data, &m) != nil {
			return
		}
		for i := range m {
			if m[i] == nil {
				return
			}
		}
		md := pmetric.NewMetrics()
		for _, x := range []series{{by: byPod}, {by: byService}, {by: byEdge}, {by: byClaim}} {
			add(md, x, m, homes{})
		}
		if _, err := json.Marshal(md.DataPointCount()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAPanicOverAnAnswerIsAnError(t *testing.T) {
	enrichtest.PanicIsAnError(t, "/api/v1/query", func(store enrich.Store) enrich.Source { return Source{store} })
}
