package collector

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	plain "google.golang.org/grpc/credentials/insecure"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/component/prometheus"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/internal/testutil/otelcoltest"
)

// bad is a metric for which Prometheus refuses the whole request that it comes in.
type bad struct {
	make func(pcommon.Resource, pmetric.Metric)
	// stored says that it is taken without what was wrong.
	stored bool
}

var delta = bad{make: func(_ pcommon.Resource, m pmetric.Metric) {
	m.SetEmptySum().SetIsMonotonic(true)
	m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	point(m.Sum().DataPoints(), 0)
}, stored: true}

var bads = map[string]bad{
	"delta": delta,
	"ahead": {make: func(_ pcommon.Resource, m pmetric.Metric) { point(m.SetEmptyGauge().DataPoints(), 11*time.Minute) }},
	"old":   {make: func(_ pcommon.Resource, m pmetric.Metric) { point(m.SetEmptyGauge().DataPoints(), -2*time.Hour) }},
	"no_time": {make: func(_ pcommon.Resource, m pmetric.Metric) {
		point(m.SetEmptyGauge().DataPoints(), 0).SetTimestamp(0)
	}},
	"no_temporality": {make: func(_ pcommon.Resource, m pmetric.Metric) { point(m.SetEmptySum().DataPoints(), 0) }},
	"no_type":        {make: func(pcommon.Resource, pmetric.Metric) {}},
	"no_name": {make: func(_ pcommon.Resource, m pmetric.Metric) {
		m.SetName("请求")
		point(m.SetEmptyGauge().DataPoints(), 0)
	}},
	"coarse": {make: func(_ pcommon.Resource, m pmetric.Metric) {
		m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := m.ExponentialHistogram().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		p.SetScale(-5)
	}},
	"attribute": {make: func(_ pcommon.Resource, m pmetric.Metric) {
		point(m.SetEmptyGauge().DataPoints(), 0).Attributes().PutStr("用户", "x")
	}, stored: true},
	"empty_attribute": {make: func(_ pcommon.Resource, m pmetric.Metric) {
		point(m.SetEmptyGauge().DataPoints(), 0).Attributes().PutStr("", "x")
	}, stored: true},
	"resource": {make: func(r pcommon.Resource, m pmetric.Metric) {
		r.Attributes().PutStr("区域", "x")
		point(m.SetEmptyGauge().DataPoints(), 0)
	}, stored: true},
}

func point(points pmetric.NumberDataPointSlice, later time.Duration) pmetric.NumberDataPoint {
	p := points.AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(later)))
	p.SetIntValue(1)
	return p
}

func TestABadMetricKeepsNoOtherOutOfPrometheus(t *testing.T) {
	in := input(nil)
	spec := managedPrometheus(t)
	base := startPrometheus(t, spec, spec.EnableFeatures)
	client := metricsClient(t, in, base)
	for name, b := range bads {
		t.Run(name, func(t *testing.T) { keepsNoOtherOut(t, client, base, name, b) })
	}
}

func TestADeltaKeepsNoOtherOutOfAnExternalPrometheus(t *testing.T) {
	in := input(func(s *v1alpha1.KubeBotSpec) {
		s.Metrics.Prometheus.Mode = v1alpha1.ModeExternal
		s.Metrics.Prometheus.External = &v1alpha1.ExternalEndpoint{URL: "http://prometheus.example.com"}
	})
	base := startPrometheus(t, managedPrometheus(t), nil)
	keepsNoOtherOut(t, metricsClient(t, in, base), base, "delta", bad{make: delta.make})
}

func keepsNoOtherOut(t *testing.T, client pmetricotlp.GRPCClient, base, name string, b bad) {
	t.Helper()
	send(t, client, name, b)
	for deadline := time.Now().Add(time.Minute); !stored(t, base, "good_"+name); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what was beside it in the request is not stored")
		}
	}
	if got := stored(t, base, "bad_"+name); got != b.stored {
		t.Errorf("it is stored: %v, want %v", got, b.stored)
	}
}

// Samples come from our limit, wait, and are still within Prometheus's window before the newest one that it may have.
func TestWhatWaitsForPrometheusIsNotTooOldForIt(t *testing.T) {
	window, err := model.ParseDuration(string(*managedPrometheus(t).TSDB.OutOfOrderTimeWindow))
	if err != nil {
		t.Fatal(err)
	}
	if all := sampleAhead + sampleLate + metricsPatience; all > time.Duration(window) {
		t.Errorf("a sample may be %s behind the newest, and Prometheus takes %s", all, window)
	}
}

func send(t *testing.T, client pmetricotlp.GRPCClient, name string, b bad) {
	t.Helper()
	all := pmetric.NewMetrics()
	metric := func(name string) (pcommon.Resource, pmetric.Metric) {
		of := all.ResourceMetrics().AppendEmpty()
		of.Resource().Attributes().PutStr("service.name", name)
		of.Resource().Attributes().PutStr("k8s.pod.name", name)
		m := of.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName(name)
		return of.Resource(), m
	}
	_, good := metric("good_" + name)
	point(good.SetEmptyGauge().DataPoints(), 0)
	b.make(metric("bad_" + name))
	if _, err := client.Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(all), grpc.WaitForReady(true)); err != nil {
		t.Fatalf("send metrics: %v", err)
	}
}

func stored(t *testing.T, base, service string) bool {
	t.Helper()
	vector, err := observe.Vector(golden.Ask(t, base+"/api/v1/query?query="+url.QueryEscape(`group({service_name="`+service+`"})`)))
	if err != nil {
		t.Fatal(err)
	}
	return len(vector) > 0
}

func managedPrometheus(t *testing.T) monitoringv1.PrometheusSpec {
	t.Helper()
	objects, err := prometheus.Component{}.Build(input(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if p, ok := o.(*monitoringv1.Prometheus); ok {
			return p.Spec
		}
	}
	t.Fatal("there is no managed Prometheus")
	return monitoringv1.PrometheusSpec{}
}

// startPrometheus runs a real one that takes OTLP as spec says.
func startPrometheus(t *testing.T, spec monitoringv1.PrometheusSpec, features []monitoringv1.EnableFeature) string {
	t.Helper()
	var names []string
	for _, f := range features {
		names = append(names, string(f))
	}
	dir := t.TempDir()
	config, err := yaml.Marshal(map[string]any{
		"storage": map[string]any{"tsdb": map[string]any{"out_of_order_time_window": string(*spec.TSDB.OutOfOrderTimeWindow)}},
		"otlp":    map[string]any{"promote_resource_attributes": spec.OTLP.PromoteResourceAttributes, "translation_strategy": string(*spec.OTLP.TranslationStrategy)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yaml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	return golden.Start(t, dir, golden.Program(t, "prometheus"), "/-/ready", func(address string) []string {
		return []string{"--config.file=prometheus.yaml", "--storage.tsdb.path=" + dir, "--web.listen-address=" + address,
			"--web.enable-otlp-receiver", "--enable-feature=" + strings.Join(names, ",")}
	})
}

// metricsClient sends to a sampler that writes to a Prometheus.
func metricsClient(t *testing.T, in component.Input, prometheus string) pmetricotlp.GRPCClient {
	t.Helper()
	c, err := samplerConfig(in.KubeBot, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	exporter := c.Exporters[idPrometheus].(otelcol.OTLPHTTPExporter)
	exporter.MetricsEndpoint = prometheus + "/api/v1/otlp/v1/metrics"
	c.Exporters[idPrometheus] = exporter
	c.Service.Pipelines = map[string]otelcol.Pipeline{"metrics": c.Service.Pipelines["metrics"]}
	return pmetricotlp.NewGRPCClient(startSampler(t, c))
}

// startSampler runs the real collector with a sampler's configuration, and returns a connection to it.
func startSampler(t *testing.T, c otelcol.Config) *grpc.ClientConn {
	t.Helper()
	dir, otlp := t.TempDir(), golden.FreeAddress(t)
	storage := c.Extensions[idStorage].(otelcol.FileStorage)
	storage.Directory, storage.Compaction.Directory = dir, dir
	c.Extensions[idStorage] = storage
	c.Receivers[otelcol.OTLPID].(otelcol.OTLPReceiver).Protocols.GRPC.Endpoint = otlp
	startCollector(t, dir, c)
	conn, err := grpc.NewClient(otlp, grpc.WithTransportCredentials(plain.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// startCollector runs the real collector until the test ends.
func startCollector(t *testing.T, dir string, c otelcol.Config) {
	t.Helper()
	_, port, err := net.SplitHostPort(golden.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Service.Telemetry.Metrics.Readers[0].Pull.Exporter.Prometheus.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	t.Setenv(otelcol.VariablePodIP, "127.0.0.1")
	t.Setenv(otelcol.VariablePodName, "test-0")
	golden.Start(t, dir, golden.Program(t, otelcoltest.Program), "", func(address string) []string {
		c.Extensions[otelcol.HealthCheckID] = otelcol.HealthCheck{Endpoint: address}
		text, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"--config=config.yaml"}
	})
}
