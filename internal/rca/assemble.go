package rca

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Snapshot ends the building and gives the result. The Builder can't be used afterwards. A panic of what the Builder runs
// beside its caller is one of Snapshot, so that a caller can recover from it.
func (b *Builder) Snapshot() *Snapshot {
	for i := range b.shards {
		b.send(i)
		close(b.shards[i].in)
	}
	b.wait.Wait()
	for _, v := range b.broken {
		if v != nil {
			panic(v)
		}
	}
	s := &Snapshot{
		Version: SnapshotVersion, Alarm: b.layout.Alarm.UnixNano(), Baseline: b.layout.Baseline, Steps: b.layout.Steps,
		Target: b.target, Candidates: b.only, Events: b.events, Changes: b.changes, Missing: b.missing, Dropped: b.dropped,
	}
	for _, sh := range b.shards {
		s.Dropped += sh.dropped
	}
	for k, e := range b.edges {
		s.Edges = append(s.Edges, Edge{Caller: k[0], Callee: k[1], Series: finishSeries(e.series)})
		b.workload(k[0])
		b.workload(k[1])
	}
	s.Workloads = make([]Workload, len(b.names))
	for i, w := range b.names {
		s.Workloads[i] = Workload{Name: w.name, Series: finishSeries(w.series)}
		for p, c := range w.counts {
			s.Workloads[i].Patterns = append(s.Workloads[i].Patterns, Pattern{w.patterns.Text(p), w.patterns.Severity(p), c})
		}
	}
	links := b.assembleLinks(s)
	b.assembleOperations(s, links)
	b.assembleFlows(s)
	slices.Sort(s.Missing)
	slices.SortStableFunc(s.Events, func(a, c Event) int {
		return cmp.Or(cmp.Compare(a.Time, c.Time), cmp.Compare(a.Workload, c.Workload), cmp.Compare(a.Reason, c.Reason))
	})
	slices.SortStableFunc(s.Changes, func(a, c Change) int {
		return cmp.Or(cmp.Compare(a.Time, c.Time), cmp.Compare(a.Workload, c.Workload), cmp.Compare(a.Kind, c.Kind))
	})
	s.sortSnapshot()
	return s
}

// finishSeries sorts the points and merges those of one time.
func finishSeries(in map[string]*seriesState) []Series {
	var out []Series
	for name, st := range in {
		sort.SliceStable(st.points, func(i, j int) bool { return st.points[i].T < st.points[j].T })
		var ps []Point
		for _, p := range st.points {
			if math.IsNaN(p.V) || math.IsInf(p.V, 0) {
				continue
			}
			if n := len(ps); n > 0 && ps[n-1].T == p.T {
				ps[n-1].V = st.merge(ps[n-1].V, p.V)
				continue
			}
			ps = append(ps, p)
		}
		out = append(out, Series{Name: name, Points: ps})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// assembleLinks merges the shards' links in the order of their names and gives the index of each.
func (b *Builder) assembleLinks(s *Snapshot) map[linkKey]int {
	var keys []linkKey
	merged := map[linkKey][]LinkStats{}
	for _, sh := range b.shards {
		for k, l := range sh.links {
			to := merged[k]
			if to == nil {
				keys = append(keys, k)
				to = make([]LinkStats, len(l.slots))
				merged[k] = to
			}
			for i := range l.slots {
				to[i].Calls += l.slots[i].Calls
				to[i].Gap.Merge(l.slots[i].Gap)
			}
		}
	}
	name := func(op uint32) (string, string) { return b.names[b.ops[op].workload].name, b.ops[op].name }
	slices.SortFunc(keys, func(x, y linkKey) int {
		return cmp.Or(b.compareOps(x.caller, y.caller), b.compareOps(x.callee, y.callee))
	})
	index := map[linkKey]int{}
	for _, k := range keys {
		index[k] = len(s.Links)
		l := Link{Slots: merged[k]}
		l.Caller, l.CallerOperation = name(k.caller)
		l.Callee, l.CalleeOperation = name(k.callee)
		s.Links = append(s.Links, l)
	}
	return index
}

func (b *Builder) compareOps(x, y uint32) int {
	ox, oy := b.ops[x], b.ops[y]
	return cmp.Or(cmp.Compare(b.names[ox.workload].name, b.names[oy.workload].name), cmp.Compare(ox.name, oy.name))
}

func (b *Builder) assembleOperations(s *Snapshot, links map[linkKey]int) {
	for id, o := range b.ops {
		op := Operation{Name: o.name, Slots: make([]CallStats, b.layout.Slots())}
		shapes := map[string]*Shape{}
		var order []string
		for _, sh := range b.shards {
			if id >= len(sh.ops) || sh.ops[id].slots == nil {
				continue
			}
			for i, st := range sh.ops[id].slots {
				op.Slots[i].Calls += st.Calls
				op.Slots[i].Errors += st.Errors
				op.Slots[i].Total.Merge(st.Total)
				op.Slots[i].Self.Merge(st.Self)
			}
		}
		for _, sh := range b.shards {
			if id >= len(sh.ops) {
				continue
			}
			order = sh.mergeShapes(uint32(id), links, shapes, order)
		}
		slices.Sort(order)
		for _, k := range order {
			op.Shapes = append(op.Shapes, *shapes[k])
		}
		w := &s.Workloads[o.workload]
		w.Operations = append(w.Operations, op)
	}
}

// mergeShapes adds the shapes of an operation; their keys are the sorted link indices as text.
func (s *shard) mergeShapes(op uint32, links map[linkKey]int, shapes map[string]*Shape, order []string) []string {
	if s.byOp == nil {
		s.byOp = map[uint32][]uint64{}
		for k := range s.shapes {
			s.byOp[k.op] = append(s.byOp[k.op], k.mask)
		}
	}
	for _, mask := range s.byOp[op] {
		var kids []int
		for _, l := range s.ops[op].links {
			if mask&(1<<l.index) != 0 && l.index < 63 {
				kids = append(kids, links[l.key])
			}
		}
		slices.Sort(kids)
		k := shapeText(kids)
		sh := shapes[k]
		if sh == nil {
			sh = &Shape{Children: kids, Slots: make([]uint64, s.layout.Slots())}
			shapes[k] = sh
			order = append(order, k)
		}
		for i, n := range s.shapes[shapeKey{op, mask}] {
			sh.Slots[i] += n
		}
	}
	return order
}

func shapeText(kids []int) string {
	out := make([]byte, 0, 4*len(kids))
	for _, k := range kids {
		out = append(out, byte(k>>24), byte(k>>16), byte(k>>8), byte(k))
	}
	return string(out)
}

func (b *Builder) assembleFlows(s *Snapshot) {
	merged := map[flowKey][]uint64{}
	logs := map[[2]uint32]bool{} // operation and caller that log at all
	add := func(k flowKey, f []uint64) {
		to := merged[k]
		if to == nil {
			to = make([]uint64, len(f))
			merged[k] = to
		}
		for i := range f {
			to[i] += f[i]
		}
	}
	for _, sh := range b.shards {
		for k, f := range sh.flows {
			add(k, f)
			logs[[2]uint32{k.op, k.caller}] = true
		}
	}
	for _, sh := range b.shards {
		for k, f := range sh.silent {
			if logs[[2]uint32{k.op, k.caller}] {
				add(k, f)
			}
		}
	}
	for k, f := range merged {
		w := &s.Workloads[b.ops[k.op].workload]
		fl := Flow{Operation: b.ops[k.op].name, From: int(k.from), To: int(k.to), Slots: f}
		if k.caller > 0 {
			c := b.ops[k.caller-1]
			fl.Caller = b.names[c.workload].name + " " + c.name
		}
		w.Flows = append(w.Flows, fl)
	}
	for i := range s.Workloads {
		slices.SortFunc(s.Workloads[i].Flows, func(x, y Flow) int {
			return cmp.Or(cmp.Compare(x.Operation, y.Operation), cmp.Compare(x.Caller, y.Caller), cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To))
		})
	}
}
