package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

// Shape of the generated load.
const (
	speedServices  = 50
	speedBatch     = 1000 // spans per message, as collectors send them
	speedFanout    = 4
	speedDepth     = 4
	speedRuns      = 5
	speedPerSecond = 2000 // traces per second of the simulated time
)

// measurement is one line of the speed report; times are medians of the runs, in milliseconds.
type measurement struct {
	Spans          int     `json:"spans"`
	Services       int     `json:"services"`
	BuildMS        float64 `json:"build_ms"`   // pdata in memory to snapshot
	AnalyseMS      float64 `json:"analyse_ms"` // snapshot to ranked causes
	TotalMS        float64 `json:"total_ms"`
	SpansPerSecond float64 `json:"spans_per_second"` // of the total
	DecodeMS       float64 `json:"decode_ms"`        // OTLP protobuf to pdata, not in the total
	PeakMiB        float64 `json:"peak_mib"`         // heap above what the input takes
	Top            string  `json:"top"`
}

// speed measures the engine on generated spans with a fault in one service, and writes JSON.
func speed(out string) error {
	model, err := weights.Default()
	if err != nil {
		return err
	}
	engine, err := rca.NewEngine(detectors.All(), model)
	if err != nil {
		return fmt.Errorf("make engine: %w", err)
	}
	report := struct {
		CPUs    int           `json:"cpus"`
		Go      string        `json:"go"`
		Results []measurement `json:"results"`
	}{CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version()}
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		m, err := measure(engine, n)
		if err != nil {
			return err
		}
		report.Results = append(report.Results, m)
		fmt.Fprintf(os.Stderr, "%8d spans: %7.1f ms (build %.1f, analyse %.1f), %.2f M spans/s, decoding %.1f ms, peak %.1f MiB\n",
			n, m.TotalMS, m.BuildMS, m.AnalyseMS, m.SpansPerSecond/1e6, m.DecodeMS, m.PeakMiB)
	}
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if out == "" {
		_, err = os.Stdout.Write(append(b, '\n'))
	} else {
		err = os.WriteFile(out, append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func measure(engine *rca.Engine, n int) (measurement, error) {
	alarm := time.Unix(1_700_000_000, 0)
	length := time.Duration(n/20/speedPerSecond+60) * time.Second
	batches := generate(n, alarm.Add(-length), alarm, length)
	m := measurement{Spans: n, Services: speedServices}
	var build, analyse, decode []float64
	for range speedRuns {
		runtime.GC()
		stop := watchHeap(&m.PeakMiB)
		start := time.Now()
		b := rca.NewBuilder(rca.NewLayout(alarm.Add(-length), alarm, alarm.Add(length), nil), rca.BuilderOptions{})
		for _, td := range batches {
			b.AddTraces(td)
		}
		s := b.Snapshot()
		build = append(build, ms(time.Since(start)))
		start = time.Now()
		r, err := engine.Analyse(s)
		if err != nil {
			return m, err
		}
		analyse = append(analyse, ms(time.Since(start)))
		stop()
		if len(r.Causes) > 0 {
			m.Top = r.Causes[0].Workload
		}
	}
	enc, dec := ptrace.ProtoMarshaler{}, ptrace.ProtoUnmarshaler{}
	var wire [][]byte
	for _, td := range batches {
		b, err := enc.MarshalTraces(td)
		if err != nil {
			return m, fmt.Errorf("encode spans: %w", err)
		}
		wire = append(wire, b)
	}
	clear(batches) // so that the spans are not in the memory that decoding is measured with
	runtime.GC()
	start := time.Now()
	for _, b := range wire {
		if _, err := dec.UnmarshalTraces(b); err != nil {
			return m, fmt.Errorf("decode spans: %w", err)
		}
	}
	decode = append(decode, ms(time.Since(start)))
	m.BuildMS, m.AnalyseMS, m.DecodeMS = median(build), median(analyse), median(decode)
	m.TotalMS = m.BuildMS + m.AnalyseMS
	m.SpansPerSecond = float64(n) / m.TotalMS * 1e3
	return m, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// watchHeap samples the live heap until stop is called and keeps the highest rise in MiB.
func watchHeap(peak *float64) (stop func()) {
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	var done atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !done.Load() {
			runtime.ReadMemStats(&now)
			if d := float64(now.HeapAlloc) - float64(before.HeapAlloc); d/(1<<20) > *peak {
				*peak = d / (1 << 20)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return func() { done.Store(true); <-ended }
}

// generate makes traces over a tree of services; from the alarm on, service 7 is slow.
func generate(n int, from, alarm time.Time, length time.Duration) []ptrace.Traces {
	g := &generator{rng: rand.New(rand.NewSource(1)), alarm: alarm.UnixNano()}
	total := 2 * length.Nanoseconds()
	for g.count < n {
		at := from.UnixNano() + int64(float64(total)*float64(g.count)/float64(n))
		binary.BigEndian.PutUint64(g.trace[:8], g.rng.Uint64())
		binary.BigEndian.PutUint64(g.trace[8:], g.rng.Uint64())
		g.call(pcommon.NewSpanIDEmpty(), 0, at, 0, n)
	}
	g.flush()
	return g.out
}

type generator struct {
	rng   *rand.Rand
	alarm int64
	trace pcommon.TraceID
	count int
	open  ptrace.Traces
	rows  map[int]ptrace.SpanSlice
	held  int
	out   []ptrace.Traces
}

func (g *generator) flush() {
	if g.held > 0 {
		g.out = append(g.out, g.open)
	}
	g.held, g.rows = 0, nil
}

// span appends a span to the message under way.
func (g *generator) span(service int) ptrace.Span {
	if g.held >= speedBatch {
		g.flush()
	}
	if g.rows == nil {
		g.open, g.rows = ptrace.NewTraces(), map[int]ptrace.SpanSlice{}
	}
	if _, ok := g.rows[service]; !ok {
		rs := g.open.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", fmt.Sprintf("service-%02d", service))
		g.rows[service] = rs.ScopeSpans().AppendEmpty().Spans()
	}
	g.held++
	g.count++
	return g.rows[service].AppendEmpty()
}

// call adds the server span of a service with its calls (a client and a server span each) and gives its duration in ns.
func (g *generator) call(parent pcommon.SpanID, service int, start int64, depth, n int) int64 {
	s := g.span(service)
	var id pcommon.SpanID
	binary.BigEndian.PutUint64(id[:], g.rng.Uint64())
	own := int64(1e6 * (1 + g.rng.ExpFloat64()))
	if service == 7 && start >= g.alarm {
		own += 50e6
	}
	end := start + own
	if depth < speedDepth && g.count < n {
		for i := range 1 + g.rng.Intn(speedFanout-1) {
			callee := (service*speedFanout + 1 + i) % speedServices
			c := g.span(service)
			var cid pcommon.SpanID
			binary.BigEndian.PutUint64(cid[:], g.rng.Uint64())
			d := g.call(cid, callee, end+1e5, depth+1, n)
			fill(c, g.trace, cid, id, fmt.Sprintf("call service-%02d", callee), end, d+2e5)
			end += d + 2e5
		}
	}
	fill(s, g.trace, id, parent, "serve", start, end-start)
	return end - start
}

func fill(s ptrace.Span, trace pcommon.TraceID, id, parent pcommon.SpanID, name string, start, dur int64) {
	s.SetTraceID(trace)
	s.SetSpanID(id)
	s.SetParentSpanID(parent)
	s.SetName(name)
	s.SetStartTimestamp(pcommon.Timestamp(start))
	s.SetEndTimestamp(pcommon.Timestamp(start + dur))
}
