package rca

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var alarm = time.Unix(1_700_000_000, 0)

func testLayout() Layout {
	return NewLayout(alarm.Add(-time.Hour), alarm, alarm.Add(3*time.Minute), nil)
}

type testSpan struct {
	service, name string
	id, parent    uint64
	start, dur    time.Duration // start after the alarm
}

func spans(trace byte, rows ...testSpan) ptrace.Traces {
	td := ptrace.NewTraces()
	for _, r := range rows {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", r.service)
		s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		var id, parent pcommon.SpanID
		binary.BigEndian.PutUint64(id[:], r.id)
		binary.BigEndian.PutUint64(parent[:], r.parent)
		s.SetTraceID(pcommon.TraceID{15: trace})
		s.SetSpanID(id)
		s.SetParentSpanID(parent)
		s.SetName(r.name)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(alarm.Add(r.start)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(alarm.Add(r.start + r.dur)))
	}
	return td
}

func operation(t *testing.T, s *Snapshot, service, name string) CallStats {
	t.Helper()
	v := NewView(s, len(s.Steps)-1)
	for _, o := range v.Service(service).Operations {
		if o.Name == name {
			all := o.Base
			all.Calls += o.Now.Calls
			all.Total.Merge(o.Now.Total)
			all.Self.Merge(o.Now.Self)
			return all
		}
	}
	t.Fatalf("no operation %s of %s", name, service)
	return CallStats{}
}

const millisecond = time.Millisecond

func TestSelfTimeLeavesOutChildren(t *testing.T) {
	for name, c := range map[string]struct {
		children []testSpan
		want     time.Duration
	}{
		"no child":               {nil, 100 * millisecond},
		"one child":              {[]testSpan{{"a", "x", 2, 1, 10 * millisecond, 30 * millisecond}}, 70 * millisecond},
		"overlap counted once":   {[]testSpan{{"a", "x", 2, 1, 10 * millisecond, 30 * millisecond}, {"a", "x", 3, 1, 20 * millisecond, 30 * millisecond}}, 60 * millisecond},
		"child ends after":       {[]testSpan{{"a", "x", 2, 1, 90 * millisecond, 50 * millisecond}}, 90 * millisecond},
		"remote clock is ahead":  {[]testSpan{{"b", "x", 2, 1, 500 * millisecond, 40 * millisecond}}, 60 * millisecond},
		"grandchild is no child": {[]testSpan{{"a", "x", 2, 1, 0, 20 * millisecond}, {"a", "y", 3, 2, 0, 10 * millisecond}}, 80 * millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder(testLayout(), BuilderOptions{})
			b.AddTraces(spans(1, c.children...)) // children come before their parent
			b.AddTraces(spans(1, testSpan{"a", "root", 1, 0, 0, 100 * millisecond}))
			got := operation(t, b.Snapshot(), "a", "root").Self.Sum
			if math.Abs(got-c.want.Seconds()) > 1e-9 {
				t.Errorf("self time %v s, want %v", got, c.want)
			}
		})
	}
}

// logs are one log line of a service for each span.
func logs(trace byte, rows ...testSpan) plog.Logs {
	ld := plog.NewLogs()
	for _, r := range rows {
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("service.name", r.service)
		l := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		var id pcommon.SpanID
		binary.BigEndian.PutUint64(id[:], r.id)
		l.SetTraceID(pcommon.TraceID{15: trace})
		l.SetSpanID(id)
		l.Body().SetStr("served " + r.name)
		l.SetTimestamp(pcommon.NewTimestampFromTime(alarm.Add(r.start)))
	}
	return ld
}

func TestSpansThatAreEachOthersParentsHaveNoCaller(t *testing.T) {
	for name, rows := range map[string][]testSpan{
		"in the service itself":     {{"a", "x", 1, 2, 0, millisecond}, {"a", "y", 2, 1, 0, millisecond}},
		"in the service that calls": {{"a", "x", 1, 2, 0, millisecond}, {"b", "y", 2, 3, 0, millisecond}, {"b", "z", 3, 2, 0, millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder(testLayout(), BuilderOptions{})
			b.AddTraces(spans(1, rows...))
			b.AddLogs(logs(1, rows[0]))
			flows := 0
			for _, w := range b.Snapshot().Workloads {
				for _, f := range w.Flows {
					if f.Operation == "x" {
						flows++
						if f.Caller != "" {
							t.Errorf("the caller is %q", f.Caller)
						}
					}
				}
			}
			if flows == 0 {
				t.Error("the log lines were not counted")
			}
		})
	}
}

// FuzzTrace builds traces whose spans name any other as their parent, themselves too.
func FuzzTrace(f *testing.F) {
	f.Add([]byte{1, 2, 0, 2, 1, 0})
	f.Add([]byte{1, 2, 0, 2, 3, 1, 3, 2, 1, 3, 3, 7})
	f.Fuzz(func(t *testing.T, data []byte) {
		var rows []testSpan
		distinct := map[uint64]bool{}
		for ; len(data) >= 3; data = data[3:] {
			x := testSpan{[]string{"a", "b"}[data[2]&1], "serve", uint64(data[0]), uint64(data[1]), time.Duration(data[2]) * millisecond, millisecond}
			rows, distinct[x.id] = append(rows, x), true
		}
		b := NewBuilder(testLayout(), BuilderOptions{})
		b.AddTraces(spans(1, rows...))
		b.AddLogs(logs(1, rows...))
		s := b.Snapshot()
		var calls uint64
		for _, w := range s.Workloads {
			for _, o := range w.Operations {
				for _, slot := range o.Slots {
					calls += slot.Calls
				}
			}
		}
		if calls != uint64(len(distinct)) {
			t.Errorf("%d calls of %d spans", calls, len(distinct))
		}
	})
}

func TestPanicOfAShardIsOneOfTheCaller(t *testing.T) {
	b := NewBuilder(testLayout(), BuilderOptions{})
	b.shards[shardOf([16]byte{15: 1})].links = nil // a link can't be noted
	for range batchSize * (queuedBatches + 2) {
		b.AddTraces(spans(1, testSpan{"a", "call", 1, 0, 0, millisecond}, testSpan{"b", "serve", 2, 1, 0, millisecond}))
	}
	defer func() {
		if recover() == nil {
			t.Error("Snapshot said nothing of it")
		}
	}()
	b.Snapshot()
}

func TestGapIsCallerMinusCallee(t *testing.T) {
	b := NewBuilder(testLayout(), BuilderOptions{})
	b.AddTraces(spans(1, testSpan{"a", "call", 1, 0, 0, 100 * millisecond}, testSpan{"b", "serve", 2, 1, 5 * millisecond, 60 * millisecond}))
	s := b.Snapshot()
	if len(s.Links) != 1 {
		t.Fatalf("%d links, want 1", len(s.Links))
	}
	_, now := NewView(s, 0).SplitGap(&s.Links[0])
	if now.N != 1 || math.Abs(now.Sum-0.04) > 1e-9 {
		t.Errorf("gap %+v, want one of 40 ms", now)
	}
}

func TestSpanDeliveredTwiceCountsOnce(t *testing.T) {
	b := NewBuilder(testLayout(), BuilderOptions{})
	for range 2 {
		b.AddTraces(spans(1, testSpan{"a", "root", 1, 0, 0, millisecond}))
	}
	if n := operation(t, b.Snapshot(), "a", "root").Calls; n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestFullBufferCountsTheOldestTraces(t *testing.T) {
	b := NewBuilder(testLayout(), BuilderOptions{BufferedSpans: 8})
	const n = 3 * batchSize
	for i := range n {
		b.AddTraces(spans(byte(i), testSpan{"a", "root", uint64(i + 1), 0, 0, millisecond}))
	}
	if got := operation(t, b.Snapshot(), "a", "root").Calls; got != n {
		t.Errorf("%d calls, want %d", got, n)
	}
}

func TestTooManyOperationsShareOne(t *testing.T) {
	b := NewBuilder(testLayout(), BuilderOptions{})
	for i := range maxOperations + 50 {
		b.AddTraces(spans(byte(i), testSpan{"a", time.Duration(i).String(), uint64(i + 1), 0, 0, millisecond}))
	}
	s := b.Snapshot()
	if n := len(s.Workloads[0].Operations); n != maxOperations+1 {
		t.Errorf("%d operations, want %d", n, maxOperations+1)
	}
	if s.Dropped != 50 {
		t.Errorf("%d dropped, want 50", s.Dropped)
	}
}

func TestMetricsOfPodsMerge(t *testing.T) {
	b := NewBuilder(testLayout(), BuilderOptions{})
	for _, pod := range []struct {
		name string
		v    float64
	}{{"web-5f585d649-aaaaa", 0.3}, {"web-5f585d649-bbbbb", 0.8}} {
		md := pmetric.NewMetrics()
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("k8s.pod.name", pod.name)
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("k8s.pod.cpu_limit_utilization")
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(alarm))
		p.SetDoubleValue(pod.v)
		b.AddMetrics(md)
	}
	s := b.Snapshot()
	if s.Workloads[0].Name != "web" || len(s.Workloads[0].Series) != 1 {
		t.Fatalf("workloads %+v, want web with one series", s.Workloads)
	}
	if ps := s.Workloads[0].Series[0].Points; len(ps) != 1 || ps[0].V != 0.8 {
		t.Errorf("points %v, want the busiest pod's 0.8", ps)
	}
}

func TestLayoutLeavesOutEarlierIncidents(t *testing.T) {
	ex := Window{alarm.Add(-30 * time.Minute).UnixNano(), alarm.Add(-20 * time.Minute).UnixNano()}
	l := NewLayout(alarm.Add(-time.Hour), alarm, alarm.Add(3*time.Minute), []Window{ex})
	for name, c := range map[string]struct {
		at   time.Duration
		want int
	}{
		"before the earlier incident": {-40 * time.Minute, 0},
		"during it":                   {-25 * time.Minute, -1},
		"after it":                    {-10 * time.Minute, 1},
		"first step":                  {-DefaultLookback, 2},
		"last step":                   {3*time.Minute - 1, 2 + 11},
		"after the end":               {3 * time.Minute, -1},
	} {
		if got := l.Slot(alarm.Add(c.at).UnixNano()); got != c.want {
			t.Errorf("%s: slot %d, want %d", name, got, c.want)
		}
	}
}

func TestHistogramQuantilesAreClose(t *testing.T) {
	var a, b, all Histogram
	for i := 1; i <= 1000; i++ {
		h := &a
		if i%2 == 0 {
			h = &b
		}
		h.Add(float64(i) * 1e-3)
		all.Add(float64(i) * 1e-3)
	}
	a.Merge(b)
	for _, q := range []float64{0.01, 0.25, 0.5, 0.9, 0.99} {
		if got := a.Quantile(q); math.Abs(got-q)/q > 0.1 {
			t.Errorf("quantile %v is %v", q, got)
		}
		if a.Quantile(q) != all.Quantile(q) {
			t.Errorf("merged quantile %v differs", q)
		}
	}
	if !math.IsNaN((Histogram{}).Quantile(0.5)) {
		t.Error("the empty histogram has a median")
	}
	var odd Histogram
	for _, v := range []float64{0, -1, math.NaN(), 1e300} {
		odd.Add(v)
	}
	if err := odd.validate(); odd.N != 4 || err == nil && math.IsNaN(odd.Sum) {
		t.Errorf("odd values: %+v, %v", odd, err)
	}
}

func TestWorkloadOfPod(t *testing.T) {
	for pod, want := range map[string]string{"web-5f585d649-aaaaa": "web", "a-b-c-d": "a-b", "web": "web", "web-0": "web-0", "": ""} {
		if got := WorkloadOfPod(pod); got != want {
			t.Errorf("%q: %q, want %q", pod, got, want)
		}
	}
}
