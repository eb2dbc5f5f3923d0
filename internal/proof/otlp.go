package proof

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

const (
	// serviceName is the service of everything that proves. Dashboards and analysis leave it out.
	serviceName = "kubebot-proof"
	// attributeProof marks a trace, so that no sampling drops it.
	attributeProof = "kubebot.proof"
	// metricName is the gauge whose value is when it was sent, in seconds of Unix time.
	metricName = "kubebot_proof"
	// attributeKubeBot tells the proofs of several KubeBots in one store apart.
	attributeKubeBot = "kubebot_uid"
)

// Origin is who sends.
type Origin struct {
	// Namespace and Pod of the replica, UID of the KubeBot.
	Namespace, Pod, UID string
}

func (o Origin) resource(r pcommon.Resource) {
	for key, value := range map[string]string{
		"service.name": serviceName, "service.instance.id": o.Pod, "k8s.namespace.name": o.Namespace, "k8s.pod.name": o.Pod,
	} {
		r.Attributes().PutStr(key, value)
	}
	r.Attributes().PutBool(attributeProof, true)
}

// Metric proves metrics: a gauge to the collector, found in Prometheus.
type Metric struct {
	origin    Origin
	collector far
	store     far
}

// NewMetric returns the proof of metrics between two base URLs.
func NewMetric(client *http.Client, origin Origin, collector, prometheus string) *Metric {
	return &Metric{origin, newFar(client, "the collector", collector, ""), newFar(client, "Prometheus", prometheus, "")}
}

// Send implements Signal.
func (s *Metric) Send(ctx context.Context, m Mark) error {
	metrics := pmetric.NewMetrics()
	resource := metrics.ResourceMetrics().AppendEmpty()
	s.origin.resource(resource.Resource())
	metric := resource.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	metric.SetName(metricName)
	metric.SetDescription("When KubeBot sent this to prove that metrics flow, in seconds of Unix time.")
	point := metric.SetEmptyGauge().DataPoints().AppendEmpty()
	point.SetTimestamp(pcommon.NewTimestampFromTime(m.At))
	point.SetIntValue(m.At.Unix())
	point.Attributes().PutStr(attributeKubeBot, s.origin.UID)
	body, err := pmetricotlp.NewExportRequestFromMetrics(metrics).MarshalProto()
	if err != nil {
		return fmt.Errorf("a metric can't be written: %w", err)
	}
	_, err = s.collector.call(ctx, "/v1/metrics", body)
	return err
}

// Found implements Signal.
func (s *Metric) Found(ctx context.Context, m Mark) (bool, error) {
	query := fmt.Sprintf("max(%s{%s=%q}) >= %d", metricName, attributeKubeBot, s.origin.UID, m.At.Unix())
	answer, err := s.store.call(ctx, "/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return false, err
	}
	var body struct {
		Data struct {
			Result model.Vector `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		return false, s.store.nonsense()
	}
	return len(body.Data.Result) > 0, nil
}

// Trace proves traces: a span to the collector, found by Jaeger's query API.
type Trace struct {
	origin    Origin
	collector far
	store     far
}

// NewTrace returns the proof of traces between two base URLs.
func NewTrace(client *http.Client, origin Origin, collector, jaeger string) *Trace {
	return &Trace{origin, newFar(client, "the collector", collector, ""), newFar(client, "Jaeger", jaeger, "")}
}

// Send implements Signal.
func (s *Trace) Send(ctx context.Context, m Mark) error {
	id, err := traceID(m)
	if err != nil {
		return err
	}
	traces := ptrace.NewTraces()
	resource := traces.ResourceSpans().AppendEmpty()
	s.origin.resource(resource.Resource())
	span := resource.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetName("proof")
	span.SetKind(ptrace.SpanKindInternal)
	span.SetTraceID(id)
	span.SetSpanID(pcommon.SpanID(id[:8]))
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(m.At))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(m.At.Add(time.Millisecond)))
	span.Attributes().PutBool(attributeProof, true)
	body, err := ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
	if err != nil {
		return fmt.Errorf("a span can't be written: %w", err)
	}
	_, err = s.collector.call(ctx, "/v1/traces", body)
	return err
}

func traceID(m Mark) (pcommon.TraceID, error) {
	raw, err := hex.DecodeString(m.ID)
	if err != nil || len(raw) != 16 {
		return pcommon.TraceID{}, errors.New("its mark is no trace ID")
	}
	return pcommon.TraceID(raw), nil
}

// Found implements Signal.
func (s *Trace) Found(ctx context.Context, m Mark) (bool, error) {
	answer, err := s.store.call(ctx, "/api/traces/"+m.ID, nil)
	if err != nil || answer == nil {
		return false, err
	}
	var body struct {
		Data []struct {
			Spans []struct{} `json:"spans"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		return false, s.store.nonsense()
	}
	return len(body.Data) > 0 && len(body.Data[0].Spans) > 0, nil
}

// Line proves logs where no shipper runs on the nodes: a record to the collector, found in Loki.
type Line struct {
	origin    Origin
	collector far
	store     logs
}

// NewLine returns the proof of logs between two base URLs.
func NewLine(client *http.Client, origin Origin, collector, loki, tenant string) *Line {
	return &Line{origin, newFar(client, "the collector", collector, ""), logs{newFar(client, "Loki", loki, tenant)}}
}

// Send implements Signal.
func (s *Line) Send(ctx context.Context, m Mark) error {
	records := plog.NewLogs()
	resource := records.ResourceLogs().AppendEmpty()
	s.origin.resource(resource.Resource())
	record := resource.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	record.SetTimestamp(pcommon.NewTimestampFromTime(m.At))
	record.SetSeverityNumber(plog.SeverityNumberInfo)
	record.SetSeverityText("INFO")
	record.Body().SetStr(text + m.ID)
	body, err := plogotlp.NewExportRequestFromLogs(records).MarshalProto()
	if err != nil {
		return fmt.Errorf("a log record can't be written: %w", err)
	}
	_, err = s.collector.call(ctx, "/v1/logs", body)
	return err
}

// Found implements Signal.
func (s *Line) Found(ctx context.Context, m Mark) (bool, error) {
	return s.store.has(ctx, fmt.Sprintf("{service_name=%q}", serviceName), m)
}
