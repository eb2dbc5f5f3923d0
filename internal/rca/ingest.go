package rca

import (
	"encoding/binary"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/internal/rca/pattern"
)

// workloadKeys are the resource attributes that name a workload, the best first.
var workloadKeys = []string{
	"service.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.job.name", "k8s.cronjob.name",
}

// WorkloadOf names the workload of a resource: its service, else its owner, else its pod without the generated suffix.
func WorkloadOf(attrs pcommon.Map) string {
	for _, k := range workloadKeys {
		if v, ok := attrs.Get(k); ok && v.Str() != "" && !strings.HasPrefix(v.Str(), "unknown_service") {
			return v.Str()
		}
	}
	if v, ok := attrs.Get("k8s.pod.name"); ok {
		return WorkloadOfPod(v.Str())
	}
	return ""
}

// WorkloadOfPod cuts the two generated parts off the name of a Deployment's pod.
func WorkloadOfPod(pod string) string {
	s := pod
	for range 2 {
		i := strings.LastIndexByte(s, '-')
		if i <= 0 {
			return pod
		}
		s = s[:i]
	}
	return s
}

// AddTraces adds spans. Spans of one trace may come in any order and in several calls.
func (b *Builder) AddTraces(td ptrace.Traces) {
	rss := td.ResourceSpans()
	for i := range rss.Len() {
		rs := rss.At(i)
		name := WorkloadOf(rs.Resource().Attributes())
		if name == "" {
			b.dropped++
			continue
		}
		wid, w := b.workload(name)
		for j := range rs.ScopeSpans().Len() {
			spans := rs.ScopeSpans().At(j).Spans()
			for k := range spans.Len() {
				b.addSpan(wid, w, spans.At(k))
			}
		}
	}
}

func (b *Builder) addSpan(wid uint32, w *workloadState, s ptrace.Span) {
	trace := [16]byte(s.TraceID())
	id, parent := s.SpanID(), s.ParentSpanID()
	i := shardOf(trace)
	bt := b.batches[i]
	start, end := int64(s.StartTimestamp()), int64(s.EndTimestamp())
	bt.traces = append(bt.traces, trace)
	bt.spans = append(bt.spans, span{
		id: binary.BigEndian.Uint64(id[:]), parent: binary.BigEndian.Uint64(parent[:]),
		start: start, dur: max(0, end-start), workload: wid, op: b.operation(wid, w, s.Name()),
		err: s.Status().Code() == ptrace.StatusCodeError,
	})
	if len(bt.spans) >= batchSize {
		b.send(i)
	}
}

// AddLogs adds log records. Records that carry a span are also put in the order of their span.
func (b *Builder) AddLogs(ld plog.Logs) {
	rls := ld.ResourceLogs()
	for i := range rls.Len() {
		rl := rls.At(i)
		name := WorkloadOf(rl.Resource().Attributes())
		if name == "" {
			b.dropped++
			continue
		}
		wid, w := b.workload(name)
		for j := range rl.ScopeLogs().Len() {
			recs := rl.ScopeLogs().At(j).LogRecords()
			for k := range recs.Len() {
				b.addLog(wid, w, recs.At(k))
			}
		}
	}
}

func (b *Builder) addLog(wid uint32, w *workloadState, r plog.LogRecord) {
	t := int64(r.Timestamp())
	if t == 0 {
		t = int64(r.ObservedTimestamp())
	}
	slot := b.layout.Slot(t)
	if slot < 0 {
		return
	}
	sev := r.SeverityText()
	if sev == "" && r.SeverityNumber() != plog.SeverityNumberUnspecified {
		sev = r.SeverityNumber().String()
	}
	p := w.patterns.Match(r.Body().AsString(), pattern.NormalSeverity(sev))
	for p >= len(w.counts) {
		w.counts = append(w.counts, make([]uint64, b.layout.Slots()))
	}
	w.counts[p][slot]++
	id := r.SpanID()
	if id.IsEmpty() || r.TraceID().IsEmpty() {
		return
	}
	trace := [16]byte(r.TraceID())
	i := shardOf(trace)
	bt := b.batches[i]
	bt.logTraces = append(bt.logTraces, trace)
	bt.logs = append(bt.logs, logLine{span: binary.BigEndian.Uint64(id[:]), time: t, workload: wid, pattern: int32(p)})
	if len(bt.logs) >= batchSize {
		b.send(i)
	}
}

type seriesState struct {
	merge  func(a, b float64) float64
	points []Point
}

func larger(a, b float64) float64  { return max(a, b) }
func smaller(a, b float64) float64 { return min(a, b) }
func sum(a, b float64) float64     { return a + b }

// seriesRole says which series a metric feeds, the factor to its unit, and how values of several pods at one time merge.
type seriesRole struct {
	series string
	factor float64
	merge  func(a, b float64) float64
}

var seriesRoles = map[string]seriesRole{
	"k8s.pod.cpu_limit_utilization":          {SeriesCPUUtilization, 1, larger},
	"k8s.container.cpu_limit_utilization":    {SeriesCPUUtilization, 1, larger},
	"container.cpu.throttled":                {SeriesCPUThrottled, 1, larger},
	"k8s.pod.memory_limit_utilization":       {SeriesMemoryUtilization, 1, larger},
	"k8s.container.memory_limit_utilization": {SeriesMemoryUtilization, 1, larger},
	"k8s.volume.utilization":                 {SeriesDiskUtilization, 1, larger},
	"k8s.container.restarts":                 {SeriesRestarts, 1, larger},
	"workload.latency":                       {SeriesLatency, 1, larger},
	"workload.latency.p50":                   {SeriesLatencyP50, 1, larger},
	"workload.latency.p90":                   {SeriesLatencyP90, 1, larger},
	"workload.latency.p99":                   {SeriesLatencyP99, 1, larger},
	"workload.availability":                  {SeriesAvailability, 1, smaller},
	"workload.requests":                      {SeriesRequests, 1, sum},
	"edge.latency.client":                    {SeriesClientLatency, 1, larger},
	"edge.latency.server":                    {SeriesServerLatency, 1, larger},
}

// AddMetrics adds gauges and sums whose names it knows: the Kubernetes semantic conventions for resource use against
// limits, and workload.* and edge.* (attributes client and server name the edge). Others are ignored.
func (b *Builder) AddMetrics(md pmetric.Metrics) {
	rms := md.ResourceMetrics()
	for i := range rms.Len() {
		rm := rms.At(i)
		name := WorkloadOf(rm.Resource().Attributes())
		for j := range rm.ScopeMetrics().Len() {
			ms := rm.ScopeMetrics().At(j).Metrics()
			for k := range ms.Len() {
				b.addMetric(name, ms.At(k))
			}
		}
	}
}

func (b *Builder) addMetric(workload string, m pmetric.Metric) {
	role, ok := seriesRoles[m.Name()]
	if !ok {
		return
	}
	var points pmetric.NumberDataPointSlice
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		points = m.Gauge().DataPoints()
	case pmetric.MetricTypeSum:
		points = m.Sum().DataPoints()
	default:
		return
	}
	for i := range points.Len() {
		p := points.At(i)
		if b.layout.Slot(int64(p.Timestamp())) < 0 {
			continue
		}
		v := p.DoubleValue()
		if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
			v = float64(p.IntValue())
		}
		if st := b.seriesOf(workload, role, p.Attributes()); st != nil && len(st.points) < maxSeriesPoints {
			st.points = append(st.points, Point{float64(p.Timestamp()) * 1e-9, v * role.factor})
		} else {
			b.dropped++
		}
	}
}

func (b *Builder) seriesOf(workload string, role seriesRole, attrs pcommon.Map) *seriesState {
	var all map[string]*seriesState
	client, ok1 := attrs.Get("client")
	server, ok2 := attrs.Get("server")
	switch {
	case ok1 && ok2:
		all = b.edge(client.Str(), server.Str()).series
	case workload == "":
		return nil
	default:
		_, w := b.workload(workload)
		all = w.series
	}
	st := all[role.series]
	if st == nil {
		st = &seriesState{merge: role.merge}
		all[role.series] = st
	}
	return st
}
