// Package rcatest makes small snapshots with known faults for the tests of the engine and its detectors.
package rcatest

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/internal/rca"
)

// Alarm is when every scenario's alarm fires.
var Alarm = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Scenario is a shop of three services (front calls cart and stock) with one fault that begins a minute before the alarm.
type Scenario struct {
	// StockDelay is added to the time that stock itself takes, CartNetwork to the way between front and cart.
	StockDelay, CartNetwork time.Duration
	// StockReturns makes stock return before its query and its last log statement.
	StockReturns bool
	// CPU of stock against its limit since the fault began; before it is 0.2. 0 leaves it there.
	CPU float64
	// Memory of cart against its limit since the fault began; before it is 0.4. 0 leaves it there.
	Memory float64
	// Disk of stock since the fault began; before it is 0.5. 0 leaves it there.
	Disk float64
}

// onset is when the fault begins, relative to the alarm.
const onset = -60 * time.Second

// Layout is the layout of every scenario.
func Layout() rca.Layout {
	return rca.NewLayout(Alarm.Add(-20*time.Minute), Alarm, Alarm.Add(3*time.Minute), nil)
}

// Snapshot runs the scenario and builds its snapshot.
func (s Scenario) Snapshot() *rca.Snapshot {
	b := rca.NewBuilder(Layout(), rca.BuilderOptions{})
	s.Feed(b)
	return b.Snapshot()
}

// Feed gives the scenario's telemetry to a builder: a request every two seconds, a metric sample every half minute.
func (s Scenario) Feed(b *rca.Builder) {
	n := 0
	for at := Alarm.Add(-20 * time.Minute); at.Before(Alarm.Add(3 * time.Minute)); at = at.Add(2 * time.Second) {
		n++
		r := &request{faulty: !at.Before(Alarm.Add(onset)), n: n}
		r.run(s, at)
		b.AddTraces(r.traces())
		b.AddLogs(r.logs())
		if n%15 == 0 {
			b.AddMetrics(s.metrics(at, r.faulty))
		}
	}
}

// Telemetry gives the scenario's spans and logs, one message a request.
func (s Scenario) Telemetry() (traces []ptrace.Traces, logs []plog.Logs) {
	n := 0
	for at := Alarm.Add(-20 * time.Minute); at.Before(Alarm.Add(3 * time.Minute)); at = at.Add(2 * time.Second) {
		n++
		r := &request{faulty: !at.Before(Alarm.Add(onset)), n: n}
		r.run(s, at)
		traces, logs = append(traces, r.traces()), append(logs, r.logs())
	}
	return traces, logs
}

type spanRow struct {
	service, name string
	id, parent    byte
	start         time.Time
	dur           time.Duration
}

type logRow struct {
	service, text string
	span          byte
	at            time.Time
}

type request struct {
	n      int
	faulty bool
	spans  []spanRow
	lines  []logRow
}

func (r *request) run(s Scenario, at time.Time) {
	jitter := time.Duration(r.n%7) * 100 * time.Microsecond
	cart, stock, way := 4*time.Millisecond+jitter, 6*time.Millisecond+jitter, time.Millisecond
	query := true
	if r.faulty {
		stock += s.StockDelay
		way += s.CartNetwork
		query = !s.StockReturns
	}
	total := 2*time.Millisecond + cart + way + stock + 2*time.Millisecond
	r.add("front", "GET /", 1, 0, at, total)
	r.add("front", "cart.Get", 2, 1, at.Add(time.Millisecond), cart+way)
	r.add("cart", "cart.Get", 3, 2, at.Add(time.Millisecond+way/2), cart)
	from := at.Add(time.Millisecond + cart + way)
	r.add("front", "stock.Check", 4, 1, from, stock+time.Millisecond)
	r.add("stock", "stock.Check", 5, 4, from.Add(time.Millisecond/2), stock)
	r.log("stock", "INFO StockService#10 check item 4711", 5, from.Add(time.Millisecond))
	if query {
		r.add("stock", "SELECT stock", 6, 5, from.Add(2*time.Millisecond), time.Millisecond)
		r.log("stock", "INFO StockService#20 found 3 items", 5, from.Add(4*time.Millisecond))
	} else {
		r.log("stock", "ERROR StockService#15 no connection", 5, from.Add(2*time.Millisecond))
	}
	r.log("front", "INFO Front#5 served request", 1, at.Add(total))
}

func (r *request) add(service, name string, id, parent byte, start time.Time, dur time.Duration) {
	r.spans = append(r.spans, spanRow{service, name, id, parent, start, dur})
}

func (r *request) log(service, text string, span byte, at time.Time) {
	r.lines = append(r.lines, logRow{service, text, span, at})
}

func (r *request) trace() (id pcommon.TraceID) {
	binary.BigEndian.PutUint64(id[8:], uint64(r.n)*0x9E3779B97F4A7C15)
	id[0] = 1
	return id
}

func (r *request) span(id byte) (out pcommon.SpanID) {
	if id != 0 {
		binary.BigEndian.PutUint64(out[:], uint64(r.n)<<8|uint64(id))
	}
	return out
}

func (r *request) traces() ptrace.Traces {
	td := ptrace.NewTraces()
	for _, row := range r.spans {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", row.service)
		s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID(r.trace())
		s.SetSpanID(r.span(row.id))
		s.SetParentSpanID(r.span(row.parent))
		s.SetName(row.name)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(row.start))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(row.start.Add(row.dur)))
	}
	return td
}

func (r *request) logs() plog.Logs {
	ld := plog.NewLogs()
	for _, row := range r.lines {
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("k8s.pod.name", fmt.Sprintf("%s-5f585d649-fnmft", row.service))
		l := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		l.SetTimestamp(pcommon.NewTimestampFromTime(row.at))
		l.SetTraceID(r.trace())
		l.SetSpanID(r.span(row.span))
		l.Body().SetStr(row.text)
	}
	return ld
}

func (s Scenario) metrics(at time.Time, faulty bool) pmetric.Metrics {
	md := pmetric.NewMetrics()
	cpu, memory, disk := 0.2, 0.4, 0.5
	if faulty {
		set := func(v *float64, to float64) {
			if to > 0 {
				*v = to
			}
		}
		set(&cpu, s.CPU)
		set(&memory, s.Memory)
		set(&disk, s.Disk)
	}
	put := func(service, name string, v float64) {
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("service.name", service)
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName(name)
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.SetDoubleValue(v)
	}
	put("stock", "k8s.pod.cpu_limit_utilization", cpu)
	put("cart", "k8s.pod.memory_limit_utilization", memory)
	put("stock", "k8s.volume.utilization", disk)
	return md
}

// View is the scenario's view for the right onset.
func (s Scenario) View() *rca.View {
	snap := s.Snapshot()
	for i, w := range snap.Steps {
		if w.Start >= Alarm.Add(onset).UnixNano() {
			return rca.NewView(snap, i)
		}
	}
	return rca.NewView(snap, 0)
}

// Find gives a detector's finding about a workload, or nil.
func Find(d rca.Detector, v *rca.View, workload string) *rca.Finding {
	for _, f := range d.Detect(v) {
		if f.Workload == workload {
			return &f
		}
	}
	return nil
}
