package rca

import (
	"sync"

	"github.com/kubebot/kubebot/internal/rca/pattern"
)

// Bounds of the Builder. What goes beyond them is counted in Snapshot.Dropped.
const (
	shardCount       = 4       // fixed, so that sums are added in the same order on every machine
	maxWorkloads     = 5_000   // workloads
	maxOperations    = 500     // per workload; later ones share one operation
	maxLinks         = 50_000  // per shard
	maxShapes        = 128     // per operation and shard
	maxFlows         = 20_000  // per shard
	maxSeriesPoints  = 20_000  // per series
	defaultSpanLimit = 200_000 // buffered spans, all shards together
	otherOperation   = "(other operations)"
)

// BuilderOptions tune a Builder; the zero value is good.
type BuilderOptions struct {
	// BufferedSpans bounds how many spans wait for the rest of their trace; the oldest traces are counted as they are
	// when it is reached. Default 200,000, about 20 MB.
	BufferedSpans int
}

// Builder makes a Snapshot from telemetry in one pass. Memory grows with operations, links and patterns, not with the
// number of spans: spans wait for the rest of their trace in a bounded buffer and then only add to sketches. Its methods
// must not be called concurrently.
type Builder struct {
	layout    Layout
	workloads map[string]uint32
	names     []*workloadState
	ops       []opName
	shards    [shardCount]*shard
	batches   [shardCount]*batch
	wait      sync.WaitGroup
	broken    [shardCount]any // what shards panicked with
	dropped   uint64
	edges     map[[2]string]*edgeState
	events    []Event
	changes   []Change
	missing   []string
	target    *Target
	only      []string
}

type opName struct {
	workload uint32
	name     string
}

type workloadState struct {
	name     string
	ops      map[string]uint32
	series   map[string]*seriesState
	patterns *pattern.Table
	counts   [][]uint64 // pattern, slot
}

type edgeState struct{ series map[string]*seriesState }

// NewBuilder starts a snapshot of the given layout.
func NewBuilder(l Layout, o BuilderOptions) *Builder {
	if o.BufferedSpans <= 0 {
		o.BufferedSpans = defaultSpanLimit
	}
	b := &Builder{layout: l, workloads: map[string]uint32{}, edges: map[[2]string]*edgeState{}}
	for i := range b.shards {
		s := newShard(&b.layout, max(1, o.BufferedSpans/shardCount))
		b.shards[i] = s
		b.batches[i] = &batch{}
		b.wait.Add(1)
		go func() {
			defer b.wait.Done()
			defer func() {
				if b.broken[i] = recover(); b.broken[i] != nil {
					for range s.in { // nobody must wait for a place in it
					}
				}
			}()
			s.run()
		}()
	}
	return b
}

// SetTarget says what raised the alarm.
func (b *Builder) SetTarget(t Target) { b.target = &t }

// SetCandidates restricts whom the engine may blame.
func (b *Builder) SetCandidates(names []string) { b.only = append([]string(nil), names...) }

// AddMissing names a source that could not be read.
func (b *Builder) AddMissing(source string) { b.missing = append(b.missing, source) }

// AddEvent records an event of a platform.
func (b *Builder) AddEvent(e Event) { b.events = append(b.events, e) }

// AddChange records a change.
func (b *Builder) AddChange(c Change) { b.changes = append(b.changes, c) }

// AddEdge records that one workload calls another.
func (b *Builder) AddEdge(caller, callee string) { b.edge(caller, callee) }

// AddWorkload makes sure that a workload is in the snapshot, even without any signal.
func (b *Builder) AddWorkload(name string) { b.workload(name) }

func (b *Builder) edge(caller, callee string) *edgeState {
	k := [2]string{caller, callee}
	e := b.edges[k]
	if e == nil {
		e = &edgeState{series: map[string]*seriesState{}}
		b.edges[k] = e
	}
	return e
}

func (b *Builder) workload(name string) (uint32, *workloadState) {
	if id, ok := b.workloads[name]; ok {
		return id, b.names[id]
	}
	if len(b.names) >= maxWorkloads {
		b.dropped++
		return b.workload(b.names[0].name)
	}
	id := uint32(len(b.names))
	w := &workloadState{name: name, ops: map[string]uint32{}, series: map[string]*seriesState{}, patterns: pattern.NewTable()}
	b.workloads[name] = id
	b.names = append(b.names, w)
	return id, w
}

func (b *Builder) operation(wid uint32, w *workloadState, name string) uint32 {
	if id, ok := w.ops[name]; ok {
		return id
	}
	if len(w.ops) >= maxOperations && name != otherOperation {
		b.dropped++
		return b.operation(wid, w, otherOperation)
	}
	id := uint32(len(b.ops))
	w.ops[name] = id
	b.ops = append(b.ops, opName{wid, name})
	return id
}

func shardOf(trace [16]byte) int { return int(trace[15]^trace[7]) & (shardCount - 1) }

// send hands a batch to its shard.
func (b *Builder) send(i int) {
	if !b.batches[i].empty() {
		b.shards[i].in <- b.batches[i]
		select {
		case b.batches[i] = <-b.shards[i].back:
		default:
			b.batches[i] = &batch{}
		}
	}
}
