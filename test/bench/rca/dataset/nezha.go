package dataset

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/internal/rca"
)

// nezha makes the snapshot of a Nezha case. Nothing after the abnormal window is read but the reference minute.
func nezha(folder string, c Case) (*rca.Snapshot, error) {
	l := nezhaLayout(c)
	b := rca.NewBuilder(l, rca.BuilderOptions{})
	b.SetCandidates(c.Candidates)
	for _, s := range c.Candidates {
		b.AddWorkload(s)
	}
	traces := unique(c.TraceFiles)
	logs := unique(c.LogFiles)
	for _, name := range traces {
		if err := orMissing(b, "traces", readFile(folder, name, func(f string) error { return readTraces(f, b) })); err != nil {
			return nil, err
		}
	}
	if len(traces) == 0 {
		b.AddMissing("traces")
	}
	seen := map[uint64]bool{}
	for _, name := range logs {
		if err := orMissing(b, "logs", readFile(folder, name, func(f string) error { return readLogs(f, seen, b) })); err != nil {
			return nil, err
		}
	}
	if len(logs) == 0 {
		b.AddMissing("logs")
	}
	if err := orMissing(b, "metrics", readFile(folder, c.MetricDir, func(d string) error { return readMetricDir(d, c, b) })); err != nil {
		return nil, err
	}
	return b.Snapshot(), nil
}

func nezhaLayout(c Case) rca.Layout {
	from := c.AbnormalWindow[0] - 3600
	if len(c.NormalWindow) == 2 {
		from = c.NormalWindow[0]
	}
	var ex []rca.Window
	for _, w := range c.ExcludeWindows {
		ex = append(ex, rca.Window{Start: unix(w[0]).UnixNano(), End: unix(w[1]).UnixNano()})
	}
	l := rca.NewLayout(unix(from), unix(c.AbnormalWindow[0]), unix(c.AbnormalWindow[1]), ex)
	if len(c.Reference) == 2 {
		ref := rca.Window{Start: unix(c.Reference[0]).UnixNano(), End: unix(c.Reference[1]).UnixNano()}
		l.Baseline = append([]rca.Window{ref}, l.Baseline...)
	}
	return l
}

func readFile(folder, name string, fn func(string) error) error {
	p, err := path(folder, name)
	if err != nil {
		return err
	}
	if err := fn(p); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// orMissing notes a file that is not there and goes on: a partial answer beats none.
func orMissing(b *rca.Builder, source string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		b.AddMissing(source)
		return nil
	}
	return err
}

// unique lists the files of a case once each, in order.
func unique(f Files) []string {
	seen := map[string]bool{}
	var out []string
	for _, list := range [][]string{f.Reference, f.Normal, f.Abnormal} {
		for _, n := range list {
			if !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	sort.Strings(out)
	return out
}

// readTraces converts a trace file to OTLP spans, one resource per pod.
func readTraces(file string, b *rca.Builder) error {
	td := ptrace.NewTraces()
	pods := map[string]ptrace.SpanSlice{}
	var col []int
	err := eachRow(file, func(row []string) (err error) {
		if col == nil {
			col, err = columns(row, "TraceID", "SpanID", "ParentID", "PodName", "OperationName", "StartTimeUnixNano", "Duration")
			return err
		}
		start, err1 := strconv.ParseInt(row[col[5]], 10, 64)
		us, err2 := strconv.ParseInt(row[col[6]], 10, 64)
		if err1 != nil || err2 != nil || start <= 0 || us < 0 {
			return nil
		}
		ss, ok := pods[row[col[3]]]
		if !ok {
			rs := td.ResourceSpans().AppendEmpty()
			pod := strings.Clone(row[col[3]])
			rs.Resource().Attributes().PutStr("service.name", serviceOf(pod))
			rs.Resource().Attributes().PutStr("k8s.pod.name", pod)
			ss = rs.ScopeSpans().AppendEmpty().Spans()
			pods[pod] = ss
		}
		s := ss.AppendEmpty()
		s.SetTraceID(traceID(row[col[0]]))
		s.SetSpanID(spanID(row[col[1]]))
		s.SetParentSpanID(spanID(row[col[2]]))
		s.SetName(strings.Clone(row[col[4]]))
		s.SetStartTimestamp(pcommon.Timestamp(start))
		s.SetEndTimestamp(pcommon.Timestamp(start + us*1000))
		return nil
	})
	b.AddTraces(td)
	return err
}

func traceID(s string) (id pcommon.TraceID) {
	if len(s) == 2*len(id) {
		_, _ = hex.Decode(id[:], []byte(s))
	}
	return id
}

// spanID gives the zero identifier for "root".
func spanID(s string) (id pcommon.SpanID) {
	if len(s) == 2*len(id) {
		_, _ = hex.Decode(id[:], []byte(s))
	}
	return id
}

// readLogs converts a log file to OTLP log records.
func readLogs(file string, seen map[uint64]bool, b *rca.Builder) error {
	ld := plog.NewLogs()
	pods := map[string]plog.LogRecordSlice{}
	var col []int
	err := eachRow(file, func(row []string) (err error) {
		if col == nil {
			col, err = columns(row, "TimeUnixNano", "PodName", "TraceID", "SpanID", "Log")
			return err
		}
		t, err := strconv.ParseInt(row[col[0]], 10, 64)
		if err != nil || t <= 0 || repeated(seen, row) {
			return nil
		}
		rs, ok := pods[row[col[1]]]
		if !ok {
			rl := ld.ResourceLogs().AppendEmpty()
			pod := strings.Clone(row[col[1]])
			rl.Resource().Attributes().PutStr("service.name", serviceOf(pod))
			rl.Resource().Attributes().PutStr("k8s.pod.name", pod)
			rs = rl.ScopeLogs().AppendEmpty().LogRecords()
			pods[pod] = rs
		}
		text, severity := message(row[col[4]])
		r := rs.AppendEmpty()
		r.SetTimestamp(pcommon.Timestamp(t))
		r.SetTraceID(traceID(row[col[2]]))
		r.SetSpanID(spanID(row[col[3]]))
		r.SetSeverityText(severity)
		r.Body().SetStr(text)
		return nil
	})
	b.AddLogs(ld)
	return err
}

// repeated says whether an equal row was there before: files of adjacent minutes overlap.
func repeated(seen map[uint64]bool, row []string) bool {
	h := fnv.New64a()
	for _, f := range row {
		_, _ = h.Write([]byte(f))
		_, _ = h.Write([]byte{0})
	}
	k := h.Sum64()
	if seen[k] {
		return true
	}
	seen[k] = true
	return false
}

// message unwraps the container runtime's JSON, then the application's if it is JSON too, and cuts out the trace and
// span identifiers, which have columns of their own.
func message(line string) (text, severity string) {
	var outer struct {
		Log string `json:"log"`
	}
	if json.Unmarshal([]byte(line), &outer) == nil && outer.Log != "" {
		line = outer.Log
	}
	if strings.HasPrefix(line, "{") {
		var inner struct {
			Message  string `json:"message"`
			Severity string `json:"severity"`
		}
		if json.Unmarshal([]byte(line), &inner) == nil && inner.Message != "" {
			line, severity = inner.Message, inner.Severity
		}
	}
	for _, key := range []string{"TraceID: ", "SpanID: "} {
		if i := strings.Index(line, key); i >= 0 {
			rest := line[i+len(key):]
			if j := strings.IndexByte(rest, ' '); j >= 0 {
				line = line[:i] + rest[j+1:]
			} else {
				line = line[:i]
			}
		}
	}
	return strings.TrimSpace(line), severity
}

const metricTime = "2006-01-02 15:04:05.999999999 -0700 MST"

// rowTime reads the text time of a metric row, whose monotonic-clock suffix is cut.
func rowTime(s string) (time.Time, error) {
	if i := strings.Index(s, " m="); i >= 0 {
		s = s[:i]
	}
	t, err := time.Parse(metricTime, s)
	if err != nil {
		return t, fmt.Errorf("parse time: %w", err)
	}
	return t, nil
}

// podColumns maps columns of the pod files to metric names and factors to their units.
var podColumns = []struct {
	column, metric string
	factor         float64
}{
	{"CpuUsageRate(%)", "k8s.pod.cpu_limit_utilization", 0.01},
	{"MemoryUsageRate(%)", "k8s.pod.memory_limit_utilization", 0.01},
	{"PodServerLatencyP90(s)", "workload.latency.p90", 1},
	{"PodWorkload(Ops)", "workload.requests", 1},
}

// readMetricDir leaves dependency.csv out: it sums up the calls of the whole day and has no times, so that what lies past
// the abnormal window can't be told from what lies before. Spans and edge latencies within the windows tell who calls whom.
func readMetricDir(dir string, c Case, b *rca.Builder) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list metrics: %w", err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".csv")
		file := filepath.Join(dir, e.Name())
		switch {
		case strings.HasSuffix(name, "_metric"):
			err = readPodMetrics(file, c, b)
		case name == "source_50":
			err = readEdgeLatency(file, "edge.latency.client", c, b)
		case name == "destination_50":
			err = readEdgeLatency(file, "edge.latency.server", c, b)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
	}
	return nil
}

// usable says whether a metric row may be used: inside the case's windows and never past the abnormal one.
func usable(t time.Time, c Case) bool {
	s := float64(t.UnixNano()) * 1e-9
	from := c.AbnormalWindow[0] - 3600
	if len(c.NormalWindow) == 2 {
		from = c.NormalWindow[0]
	}
	if s >= c.AbnormalWindow[1] || s < from {
		return false
	}
	for _, w := range c.ExcludeWindows {
		if s >= w[0] && s < w[1]+60 { // a row covers the minute before it
			return false
		}
	}
	return true
}

func readPodMetrics(file string, c Case, b *rca.Builder) error {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	ms := rm.ScopeMetrics().AppendEmpty().Metrics()
	points := make([]pmetric.NumberDataPointSlice, len(podColumns))
	for i, pc := range podColumns {
		m := ms.AppendEmpty()
		m.SetName(pc.metric)
		points[i] = m.SetEmptyGauge().DataPoints()
	}
	var col, values []int
	err := eachRow(file, func(row []string) (err error) {
		if col == nil {
			names := make([]string, len(podColumns))
			for i, pc := range podColumns {
				names[i] = pc.column
			}
			if values, err = columns(row, names...); err != nil {
				return err
			}
			col, err = columns(row, "Time", "PodName")
			return err
		}
		t, err := rowTime(row[col[0]])
		if err != nil || !usable(t, c) {
			return nil
		}
		rm.Resource().Attributes().PutStr("service.name", serviceOf(row[col[1]]))
		for i, v := range values {
			addPoint(points[i], t, row[v], podColumns[i].factor)
		}
		return nil
	})
	b.AddMetrics(md)
	return err
}

func addPoint(to pmetric.NumberDataPointSlice, t time.Time, text string, factor float64) (p pmetric.NumberDataPoint, ok bool) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v != v {
		return p, false
	}
	p = to.AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(t))
	p.SetDoubleValue(v * factor)
	return p, true
}

func readEdgeLatency(file, metric string, c Case, b *rca.Builder) error {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metric)
	points := m.SetEmptyGauge().DataPoints()
	var header []string
	err := eachRow(file, func(row []string) error {
		if header == nil {
			header = append([]string(nil), row...)
			for i := range header {
				header[i] = strings.Clone(header[i])
			}
			return nil
		}
		t, err := rowTime(row[0])
		if err != nil || !usable(t, c) {
			return nil
		}
		for i := 2; i < len(row); i++ {
			caller, callee, ok := edgeOf(header[i], c.Candidates)
			if !ok {
				continue
			}
			if p, ok := addPoint(points, t, row[i], 1); ok {
				p.Attributes().PutStr("client", caller)
				p.Attributes().PutStr("server", callee)
			}
		}
		return nil
	})
	b.AddMetrics(md)
	return err
}

// edgeOf splits "caller_callee"; when names hold underscores themselves, where both sides are candidates.
func edgeOf(column string, candidates []string) (caller, callee string, ok bool) {
	for i := range len(column) {
		if column[i] == '_' && slices.Contains(candidates, column[:i]) && slices.Contains(candidates, column[i+1:]) {
			return column[:i], column[i+1:], true
		}
	}
	return strings.Cut(column, "_")
}
