package rca

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
)

// SnapshotVersion is the version of the serialised form that this package writes and reads.
const SnapshotVersion = 1

// MaxSnapshotBytes bounds what ReadSnapshot accepts.
const MaxSnapshotBytes = 256 << 20

// Window is the half-open time span [Start, End) in Unix nanoseconds.
type Window struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// Contains says whether t (Unix nanoseconds) lies in the window.
func (w Window) Contains(t int64) bool { return t >= w.Start && t < w.End }

// Target is the symptom that raised the alarm.
type Target struct {
	Workload string `json:"workload"`
	// Signal is SignalLatency or SignalAvailability.
	Signal string `json:"signal"`
}

// Signals a target or a series can carry.
const (
	SignalLatency      = "latency"
	SignalAvailability = "availability"
)

// Names of the series that detectors understand.
const (
	SeriesCPUUtilization    = "cpu.utilization"    // 1 = the limit
	SeriesCPUThrottled      = "cpu.throttled"      // 1 = throttled in every period
	SeriesMemoryUtilization = "memory.utilization" // 1 = the limit
	SeriesDiskUtilization   = "disk.utilization"   // 1 = full
	SeriesLatency           = "latency"            // seconds, mean
	SeriesLatencyP50        = "latency.p50"        // seconds
	SeriesLatencyP90        = "latency.p90"        // seconds
	SeriesLatencyP99        = "latency.p99"        // seconds
	SeriesAvailability      = "availability"       // 1 = every request succeeds
	SeriesRequests          = "requests"           // calls per sample
	SeriesRestarts          = "restarts"           // container restarts so far
	SeriesClientLatency     = "latency.client"     // seconds, an edge seen by its caller
	SeriesServerLatency     = "latency.server"     // seconds, an edge seen by its callee
)

// Snapshot is everything the engine sees of one incident. Counts and histograms are kept per slot: first
// one for each window of Baseline, then one for each of Steps.
type Snapshot struct {
	Version int `json:"version"`
	// Alarm is when the trouble was noticed, Unix nanoseconds.
	Alarm    int64    `json:"alarm"`
	Baseline []Window `json:"baseline"`
	// Steps are the consecutive windows from the look-back before the alarm to the end of what was recorded. The
	// true onset is somewhere in them.
	Steps  []Window `json:"steps"`
	Target *Target  `json:"target,omitempty"`
	// Candidates restricts whom the engine may blame; empty means every workload.
	Candidates []string   `json:"candidates,omitempty"`
	Workloads  []Workload `json:"workloads"`
	Links      []Link     `json:"links,omitempty"`
	Edges      []Edge     `json:"edges,omitempty"`
	Events     []Event    `json:"events,omitempty"`
	Changes    []Change   `json:"changes,omitempty"`
	// Missing names the sources that could not be read.
	Missing []string `json:"missing,omitempty"`
	// Dropped counts records that a bound of the Builder kept out.
	Dropped uint64 `json:"dropped,omitempty"`
}

// Names of the signals that a snapshot can hold.
const (
	SignalTraces  = "traces"
	SignalLogs    = "logs"
	SignalMetrics = "metrics"
)

// Holds says whether the snapshot holds anything of a signal (SignalTraces, SignalLogs or SignalMetrics).
func (s *Snapshot) Holds(signal string) bool {
	if signal == SignalTraces && len(s.Links) > 0 {
		return true
	}
	if signal == SignalMetrics && len(s.Edges) > 0 {
		return true
	}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		if signal == SignalTraces && len(w.Operations) > 0 || signal == SignalLogs && len(w.Patterns) > 0 || signal == SignalMetrics && len(w.Series) > 0 {
			return true
		}
	}
	return false
}

// Signals names the signals that the snapshot holds anything of, joined by +, such as logs+metrics+traces.
func (s *Snapshot) Signals() string {
	var held []string
	for _, signal := range []string{SignalLogs, SignalMetrics, SignalTraces} {
		if s.Holds(signal) {
			held = append(held, signal)
		}
	}
	return strings.Join(held, "+")
}

// Without returns the snapshot as it would be if nothing were known of a signal. What is left is shared.
func (s *Snapshot) Without(signal string) *Snapshot {
	out := *s
	out.Workloads = slices.Clone(s.Workloads)
	for i := range out.Workloads {
		w := &out.Workloads[i]
		switch signal {
		case SignalTraces:
			w.Operations, w.Flows = nil, nil
		case SignalLogs:
			w.Patterns, w.Flows = nil, nil
		case SignalMetrics:
			w.Series = nil
		}
	}
	switch signal {
	case SignalTraces:
		out.Links = nil
	case SignalMetrics:
		out.Edges = nil
	}
	return &out
}

// Workload is one service or deployment.
type Workload struct {
	Name       string      `json:"name"`
	Operations []Operation `json:"operations,omitempty"`
	Series     []Series    `json:"series,omitempty"`
	Patterns   []Pattern   `json:"patterns,omitempty"`
	Flows      []Flow      `json:"flows,omitempty"`
}

// Operation is one kind of span of a workload.
type Operation struct {
	Name  string      `json:"name"`
	Slots []CallStats `json:"slots"`
	// Shapes count which sets of child operations the calls had.
	Shapes []Shape `json:"shapes,omitempty"`
}

// CallStats are the calls of an operation in one slot. Durations are in seconds.
type CallStats struct {
	Calls  uint64 `json:"calls,omitempty"`
	Errors uint64 `json:"errors,omitempty"`
	// Total is the duration of the span; Self is what no child span covers.
	Total Histogram `json:"total,omitzero"`
	Self  Histogram `json:"self,omitzero"`
}

// Shape is a set of child links of an operation and how often a call had just these, per slot.
type Shape struct {
	// Children are indices into Snapshot.Links.
	Children []int    `json:"children,omitempty"`
	Slots    []uint64 `json:"slots"`
}

// Link is a parent-child relation of two operations, inside a workload or between two.
type Link struct {
	Caller          string      `json:"caller"`
	CallerOperation string      `json:"callerOperation"`
	Callee          string      `json:"callee"`
	CalleeOperation string      `json:"calleeOperation"`
	Slots           []LinkStats `json:"slots"`
}

// LinkStats are the calls over a link in one slot.
type LinkStats struct {
	Calls uint64 `json:"calls,omitempty"`
	// Gap is the caller's duration minus the callee's in seconds: transport and queueing. It needs no clock agreement
	// and is kept only between workloads, where the caller's span has just this one child.
	Gap Histogram `json:"gap,omitzero"`
}

// Edge is a caller-callee pair of workloads known from elsewhere than spans, with what was measured on it.
type Edge struct {
	Caller string   `json:"caller"`
	Callee string   `json:"callee"`
	Series []Series `json:"series,omitempty"`
}

// Series is a sampled metric; a sample describes the time up to it.
type Series struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is one sample: time in Unix seconds and value.
type Point struct {
	T float64 `json:"t"`
	V float64 `json:"v"`
}

// Pattern is a log statement mined from the lines of a workload.
type Pattern struct {
	Text string `json:"text"`
	// Severity is one of trace, debug, info, warn, error, fatal or empty.
	Severity string   `json:"severity,omitempty"`
	Slots    []uint64 `json:"slots"`
}

// Flow counts that, within the spans of an operation, the log statement To came directly after From. From is -1 at the
// start of the span and To is -1 at its end; else they are indices into the workload's Patterns.
type Flow struct {
	Operation string `json:"operation"`
	// Caller is the workload and operation on whose behalf the span ran, as "workload operation"; empty at an entry.
	Caller string   `json:"caller,omitempty"`
	From   int      `json:"from"`
	To     int      `json:"to"`
	Slots  []uint64 `json:"slots"`
}

// Event is something a platform reported about a workload.
type Event struct {
	Time     int64  `json:"time"`
	Workload string `json:"workload"`
	Reason   string `json:"reason"`
	Message  string `json:"message,omitempty"`
	Warning  bool   `json:"warning,omitempty"`
}

// Change is something somebody altered: a rollout, an image, a configuration.
type Change struct {
	Time     int64  `json:"time"`
	Workload string `json:"workload"`
	// Kind is config, image, scale or other.
	Kind    string `json:"kind"`
	Summary string `json:"summary,omitempty"`
}

// ReadSnapshot parses and validates a serialised snapshot of at most MaxSnapshotBytes, or that of an Example.
func ReadSnapshot(r io.Reader) (*Snapshot, error) {
	e, err := readEither(r)
	if err != nil {
		return nil, err
	}
	return e.Snapshot, nil
}

func parseSnapshot(r io.Reader) (*Snapshot, error) {
	var s Snapshot
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return nil, fmt.Errorf("parse snapshot: %w", err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("validate snapshot: %w", err)
	}
	return &s, nil
}

// Write serialises the snapshot as JSON.
func (s *Snapshot) Write(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(s); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

// Validate checks the version, the windows and that every index and slot list fits.
func (s *Snapshot) Validate() error {
	if s.Version != SnapshotVersion {
		return fmt.Errorf("version %d, this program reads %d", s.Version, SnapshotVersion)
	}
	if len(s.Steps) == 0 {
		return errors.New("no steps")
	}
	for i, w := range s.Steps {
		if w.End <= w.Start || i > 0 && w.Start < s.Steps[i-1].End {
			return fmt.Errorf("step %d is empty or out of order", i)
		}
	}
	slots := len(s.Baseline) + len(s.Steps)
	for i := range s.Workloads {
		if err := s.Workloads[i].validate(slots, len(s.Links)); err != nil {
			return fmt.Errorf("workload %q: %w", s.Workloads[i].Name, err)
		}
	}
	for i, l := range s.Links {
		if len(l.Slots) != slots {
			return fmt.Errorf("link %d has %d slots, want %d", i, len(l.Slots), slots)
		}
		for _, st := range l.Slots {
			if err := st.Gap.validate(); err != nil {
				return fmt.Errorf("link %d: %w", i, err)
			}
		}
	}
	return nil
}

func (w *Workload) validate(slots, links int) error {
	if w.Name == "" {
		return errors.New("no name")
	}
	for _, o := range w.Operations {
		if err := o.validate(slots, links); err != nil {
			return fmt.Errorf("operation %q: %w", o.Name, err)
		}
	}
	for _, p := range w.Patterns {
		if len(p.Slots) != slots {
			return fmt.Errorf("pattern %q has %d slots, want %d", p.Text, len(p.Slots), slots)
		}
	}
	for _, f := range w.Flows {
		if len(f.Slots) != slots || f.From < -1 || f.To < -1 || f.From >= len(w.Patterns) || f.To >= len(w.Patterns) {
			return fmt.Errorf("flow %d to %d of %q does not fit", f.From, f.To, f.Operation)
		}
	}
	return nil
}

func (o *Operation) validate(slots, links int) error {
	if len(o.Slots) != slots {
		return fmt.Errorf("%d slots, want %d", len(o.Slots), slots)
	}
	for _, st := range o.Slots {
		if err := errors.Join(st.Total.validate(), st.Self.validate()); err != nil {
			return err
		}
	}
	for _, sh := range o.Shapes {
		if len(sh.Slots) != slots {
			return fmt.Errorf("a shape has %d slots, want %d", len(sh.Slots), slots)
		}
		for _, c := range sh.Children {
			if c < 0 || c >= links {
				return fmt.Errorf("a shape names link %d of %d", c, links)
			}
		}
	}
	return nil
}

// sortSnapshot brings every list into its one order, so that equal content gives equal bytes.
func (s *Snapshot) sortSnapshot() {
	sort.Slice(s.Workloads, func(i, j int) bool { return s.Workloads[i].Name < s.Workloads[j].Name })
	for i := range s.Workloads {
		w := &s.Workloads[i]
		sort.Slice(w.Operations, func(a, b int) bool { return w.Operations[a].Name < w.Operations[b].Name })
		sort.Slice(w.Series, func(a, b int) bool { return w.Series[a].Name < w.Series[b].Name })
	}
	sort.Slice(s.Edges, func(i, j int) bool {
		if s.Edges[i].Caller != s.Edges[j].Caller {
			return s.Edges[i].Caller < s.Edges[j].Caller
		}
		return s.Edges[i].Callee < s.Edges[j].Callee
	})
	for i := range s.Edges {
		e := &s.Edges[i]
		sort.Slice(e.Series, func(a, b int) bool { return e.Series[a].Name < e.Series[b].Name })
	}
}
