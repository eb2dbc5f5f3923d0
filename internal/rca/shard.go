package rca

import (
	"cmp"
	"math/bits"
	"slices"
)

// Sizes of what goes to the shards and of what they keep to use again.
const (
	batchSize     = 2048
	queuedBatches = 4
	freeBuffers   = 8192
)

// span is what the shards keep of a span; times in nanoseconds.
type span struct {
	id, parent   uint64
	start, dur   int64
	op, workload uint32
	err, dup     bool
}

// logLine is a log record that belongs to a span.
type logLine struct {
	span     uint64
	time     int64
	workload uint32
	pattern  int32
}

// batch carries spans and log lines to a shard in the order they came.
type batch struct {
	traces    [][16]byte
	spans     []span
	logTraces [][16]byte
	logs      []logLine
}

func (b *batch) empty() bool { return len(b.spans) == 0 && len(b.logs) == 0 }

func (b *batch) reset() {
	b.traces, b.spans, b.logTraces, b.logs = b.traces[:0], b.spans[:0], b.logTraces[:0], b.logs[:0]
}

type traceBuffer struct {
	id    [16]byte
	spans []span
	logs  []logLine
}

type linkKey struct{ caller, callee uint32 }

type linkState struct {
	key   linkKey
	index uint8 // position among the caller's links, 63 for all further ones
	slots []LinkStats
}

type shapeKey struct {
	op   uint32
	mask uint64
}

// flowKey names a flow; caller is the operation on whose behalf it ran plus one, 0 at an entry.
type flowKey struct {
	op, caller uint32
	from, to   int32
}

type opState struct {
	links  []*linkState
	slots  []CallStats
	shapes int
}

// shard assembles the traces of one share of the trace identifiers and adds them to its sketches.
type shard struct {
	layout  *Layout
	limit   int
	in      chan *batch
	back    chan *batch // emptied, to be filled again
	open    map[[16]byte]*traceBuffer
	queue   []*traceBuffer // by first sight
	head    int
	free    []*traceBuffer
	held    int
	dropped uint64
	ops     []opState
	links   map[linkKey]*linkState
	shapes  map[shapeKey][]uint64
	flows   map[flowKey][]uint64
	silent  map[flowKey][]uint64 // passes without any log line, of traces that have some
	byOp    map[uint32][]uint64  // masks of shapes, made at the end
	scratch scratch
}

// scratch is working memory of one trace.
type scratch struct {
	table   []int32 // open addressing, span id -> index+1
	order   []int32
	parent  []int32
	kids    []int32
	lastKid []int32
	covered []int64 // time covered by children
	until   []int64 // end of what is covered
	shape   []uint64
	seq     []logLine
	logged  []bool
}

func newShard(l *Layout, limit int) *shard {
	return &shard{
		layout: l, limit: limit, in: make(chan *batch, queuedBatches), back: make(chan *batch, queuedBatches+2), open: map[[16]byte]*traceBuffer{},
		links: map[linkKey]*linkState{}, shapes: map[shapeKey][]uint64{}, flows: map[flowKey][]uint64{},
		silent: map[flowKey][]uint64{},
	}
}

func (s *shard) run() {
	for b := range s.in {
		for i, sp := range b.spans {
			t := s.trace(b.traces[i])
			t.spans = append(t.spans, sp)
			s.held++
		}
		for i, l := range b.logs {
			t := s.trace(b.logTraces[i])
			t.logs = append(t.logs, l)
			s.held++
		}
		b.reset()
		select {
		case s.back <- b:
		default:
		}
		for s.held > s.limit && s.head < len(s.queue) {
			s.flushOldest()
		}
	}
	for s.head < len(s.queue) {
		s.flushOldest()
	}
}

func (s *shard) trace(id [16]byte) *traceBuffer {
	if t := s.open[id]; t != nil {
		return t
	}
	var t *traceBuffer
	if n := len(s.free); n > 0 {
		t, s.free = s.free[n-1], s.free[:n-1]
		t.spans, t.logs = t.spans[:0], t.logs[:0]
	} else {
		t = &traceBuffer{}
	}
	t.id = id
	s.open[id] = t
	s.queue = append(s.queue, t)
	return t
}

func (s *shard) flushOldest() {
	t := s.queue[s.head]
	s.queue[s.head] = nil
	s.head++
	if s.head > 4096 && s.head*2 > len(s.queue) {
		s.queue = append(s.queue[:0], s.queue[s.head:]...)
		s.head = 0
	}
	delete(s.open, t.id)
	s.held -= len(t.spans) + len(t.logs)
	s.count(t)
	if len(s.free) < freeBuffers {
		s.free = append(s.free, t)
	}
}

// count adds one trace to the sketches. A trace belongs to the slot in which its first span began.
func (s *shard) count(t *traceBuffer) {
	if len(t.spans) == 0 {
		return // lines without a span follow nothing
	}
	spans := t.spans
	first := spans[0].start
	for i := range spans {
		first = min(first, spans[i].start)
	}
	slot := s.layout.Slot(first)
	if slot < 0 {
		return
	}
	c := &s.scratch
	c.index(spans)
	c.relate(spans)
	s.countLinks(spans, slot)
	for i := range spans {
		sp := &spans[i]
		if sp.dup {
			continue
		}
		o := s.op(sp.op)
		st := &o.slots[slot]
		st.Calls++
		if sp.err {
			st.Errors++
		}
		st.Total.Add(float64(sp.dur) * 1e-9)
		st.Self.Add(float64(max(0, sp.dur-c.covered[i])) * 1e-9)
		s.countShape(o, sp.op, c.shape[i], slot)
	}
	s.countFlows(t, c)
}

// index makes the table from span identifier to index, and the order of starts.
func (c *scratch) index(spans []span) {
	n := len(spans)
	size := 1 << bits.Len(uint(2*n))
	c.table = grow(c.table, size)
	clear(c.table)
	c.order = grow(c.order, n)
	c.parent = grow(c.parent, n)
	c.kids = grow(c.kids, n)
	c.lastKid = grow(c.lastKid, n)
	c.covered = grow(c.covered, n)
	c.until = grow(c.until, n)
	c.shape = grow(c.shape, n)
	sorted := true
	for i := range spans {
		for p := slotOf(spans[i].id, size); ; p = (p + 1) & (size - 1) {
			if c.table[p] == 0 {
				c.table[p] = int32(i) + 1
				break
			}
			if spans[c.table[p]-1].id == spans[i].id { // delivered twice
				spans[i].dup = true
				break
			}
		}
		c.order[i] = int32(i)
		c.parent[i], c.kids[i], c.lastKid[i], c.covered[i], c.shape[i] = -1, 0, -1, 0, 0
		c.until[i] = spans[i].start
		sorted = sorted && (i == 0 || spans[i-1].start <= spans[i].start)
	}
	if !sorted {
		slices.SortStableFunc(c.order, func(a, b int32) int {
			return cmp.Compare(spans[a].start, spans[b].start)
		})
	}
}

func slotOf(id uint64, size int) int {
	return int((id*0x9E3779B97F4A7C15)>>32) & (size - 1)
}

func (c *scratch) find(spans []span, id uint64) int32 {
	size := len(c.table)
	for p := slotOf(id, size); c.table[p] != 0; p = (p + 1) & (size - 1) {
		if i := c.table[p] - 1; spans[i].id == id {
			return i
		}
	}
	return -1
}

// relate finds the parents and how much of each span its children cover, overlaps counted once.
func (c *scratch) relate(spans []span) {
	for _, i := range c.order {
		sp := &spans[i]
		if sp.parent == 0 || sp.dup {
			continue
		}
		p := c.find(spans, sp.parent)
		if p < 0 || p == i {
			continue
		}
		c.parent[i] = p
		c.kids[p]++
		c.lastKid[p] = i
		ps := &spans[p]
		from, to := max(sp.start, c.until[p]), min(sp.start+sp.dur, ps.start+ps.dur)
		if to > from {
			c.covered[p] += to - from
			c.until[p] = to
		}
	}
	// between two workloads clocks differ; a span with one remote child covers it by duration
	for i := range spans {
		if k := c.lastKid[i]; c.kids[i] == 1 && spans[k].workload != spans[i].workload {
			c.covered[i] = min(spans[i].dur, spans[k].dur)
		}
	}
}

func (s *shard) countLinks(spans []span, slot int) {
	c := &s.scratch
	for i := range spans {
		p := c.parent[i]
		if p < 0 {
			continue
		}
		l := s.link(spans[p].op, spans[i].op)
		if l == nil {
			continue
		}
		l.slots[slot].Calls++
		c.shape[p] |= 1 << l.index
		if c.kids[p] == 1 && spans[p].workload != spans[i].workload {
			l.slots[slot].Gap.Add(float64(max(0, spans[p].dur-spans[i].dur)) * 1e-9)
		}
	}
}

func (s *shard) op(id uint32) *opState {
	for int(id) >= len(s.ops) {
		s.ops = append(s.ops, opState{})
	}
	o := &s.ops[id]
	if o.slots == nil {
		o.slots = make([]CallStats, s.layout.Slots())
	}
	return o
}

func (s *shard) link(caller, callee uint32) *linkState {
	k := linkKey{caller, callee}
	if int(caller) < len(s.ops) {
		for _, l := range s.ops[caller].links {
			if l.key.callee == callee {
				return l
			}
		}
	}
	if len(s.links) >= maxLinks {
		s.dropped++
		return nil
	}
	o := s.op(caller)
	l := &linkState{key: k, index: uint8(min(63, len(o.links))), slots: make([]LinkStats, s.layout.Slots())}
	o.links = append(o.links, l)
	s.links[k] = l
	return l
}

func (s *shard) countShape(o *opState, op uint32, mask uint64, slot int) {
	k := shapeKey{op, mask}
	sh := s.shapes[k]
	if sh == nil {
		if o.shapes >= maxShapes {
			return
		}
		o.shapes++
		sh = make([]uint64, s.layout.Slots())
		s.shapes[k] = sh
	}
	sh[slot]++
}

// countFlows counts which log statement follows which inside each span of the trace.
func (s *shard) countFlows(t *traceBuffer, c *scratch) {
	if len(t.logs) == 0 {
		return
	}
	c.seq = append(c.seq[:0], t.logs...)
	slices.SortStableFunc(c.seq, func(a, b logLine) int {
		switch { // not cmp.Or, which is slower here by a third: it compares all three
		case a.span != b.span:
			return cmp.Compare(a.span, b.span)
		case a.workload != b.workload:
			return cmp.Compare(a.workload, b.workload)
		}
		return cmp.Compare(a.time, b.time)
	})
	c.logged = grow(c.logged, len(t.spans))
	clear(c.logged)
	for i := 0; i < len(c.seq); {
		j := i
		for j < len(c.seq) && c.seq[j].span == c.seq[i].span && c.seq[j].workload == c.seq[i].workload {
			j++
		}
		if sp := c.find(t.spans, c.seq[i].span); sp >= 0 && t.spans[sp].workload == c.seq[i].workload {
			c.logged[sp] = true
			s.countSequence(t.spans[sp].op, c.callerOf(t.spans, sp), c.seq[i:j])
		}
		i = j
	}
	for i := range t.spans {
		if sp := &t.spans[i]; !c.logged[i] && !sp.dup {
			if slot := s.layout.Slot(sp.start); slot >= 0 {
				s.flow(s.silent, flowKey{sp.op, c.callerOf(t.spans, int32(i)), -1, -1}, slot)
			}
		}
	}
}

// maxClimb is how many spans callerOf climbs; real traces are far less deep.
const maxClimb = 1024

// callerOf climbs to the workload that called and gives its first operation in the trace plus one, or 0. Spans whose
// parents go round in a circle, which broken propagation makes, have no caller.
func (c *scratch) callerOf(spans []span, i int32) uint32 {
	own, left := spans[i].workload, maxClimb
	for ; i >= 0 && spans[i].workload == own; i = c.parent[i] {
		if left--; left < 0 {
			return 0
		}
	}
	if i < 0 {
		return 0
	}
	for p := c.parent[i]; p >= 0 && spans[p].workload == spans[i].workload; p = c.parent[i] {
		if left--; left < 0 {
			return 0
		}
		i = p
	}
	return spans[i].op + 1
}

func (s *shard) countSequence(op, caller uint32, seq []logLine) {
	slot := s.layout.Slot(seq[0].time)
	if slot < 0 {
		return
	}
	prev := int32(-1)
	for _, l := range seq {
		s.flow(s.flows, flowKey{op, caller, prev, l.pattern}, slot)
		prev = l.pattern
	}
	s.flow(s.flows, flowKey{op, caller, prev, -1}, slot)
}

func (s *shard) flow(flows map[flowKey][]uint64, k flowKey, slot int) {
	f := flows[k]
	if f == nil {
		if len(flows) >= maxFlows {
			s.dropped++
			return
		}
		f = make([]uint64, s.layout.Slots())
		flows[k] = f
	}
	f[slot]++
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, 2*n)
	}
	return s[:n]
}
