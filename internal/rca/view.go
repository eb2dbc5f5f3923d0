package rca

import (
	"math"
	"slices"
	"sort"
)

// View is a snapshot under the assumption that the trouble began with a certain step: what was before is normal, what
// came since is abnormal. Detectors read it; they must not change it.
type View struct {
	*Snapshot
	// Onset is the index in Steps of the first abnormal step.
	Onset int
	// From and Until bound the abnormal time in Unix seconds.
	From, Until float64
	Services    []*Service // by name
	byName      map[string]*Service
	first       int // slot of the onset
}

// Service is a workload in a view.
type Service struct {
	*Workload
	Operations []*Op
	// Callers and Callees are the neighbours in the call graph, by name.
	Callers, Callees []string
	// Flows of the workload, grouped by what they follow.
	Branches []Branch
}

// Op is an operation with its calls before and since the onset.
type Op struct {
	*Operation
	Base, Now CallStats
	// Client says that the operation only carries a call to another workload.
	Client bool
}

// Branch is a point in a workload's logs: after From, in an operation and for a caller, came one of several statements.
type Branch struct {
	Operation, Caller string
	From              int
	Next              []Flow
}

// NewView builds the view for an onset.
func NewView(s *Snapshot, onset int) *View {
	v := &View{Snapshot: s, Onset: onset, byName: map[string]*Service{}, first: len(s.Baseline) + onset}
	v.From = float64(s.Steps[onset].Start) * 1e-9
	v.Until = float64(s.Steps[len(s.Steps)-1].End) * 1e-9
	client := map[[2]string]bool{}
	callers, callees := map[string]map[string]bool{}, map[string]map[string]bool{}
	relate := func(a, b string) {
		if a == b {
			return
		}
		put(callees, a, b)
		put(callers, b, a)
	}
	for i := range s.Links {
		l := &s.Links[i]
		relate(l.Caller, l.Callee)
		for _, st := range l.Slots {
			if st.Gap.N > 0 {
				client[[2]string{l.Caller, l.CallerOperation}] = true
				break
			}
		}
	}
	for _, e := range s.Edges {
		relate(e.Caller, e.Callee)
	}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		sv := &Service{Workload: w, Callers: sortedKeys(callers[w.Name]), Callees: sortedKeys(callees[w.Name]), Branches: branches(w)}
		for j := range w.Operations {
			o := &w.Operations[j]
			op := &Op{Operation: o, Client: client[[2]string{w.Name, o.Name}]}
			for k := range o.Slots {
				to := &op.Base
				if k >= v.first {
					to = &op.Now
				}
				to.Calls += o.Slots[k].Calls
				to.Errors += o.Slots[k].Errors
				to.Total.Merge(o.Slots[k].Total)
				to.Self.Merge(o.Slots[k].Self)
			}
			sv.Operations = append(sv.Operations, op)
		}
		v.Services = append(v.Services, sv)
		v.byName[w.Name] = sv
	}
	return v
}

func put(m map[string]map[string]bool, k, v string) {
	if m[k] == nil {
		m[k] = map[string]bool{}
	}
	m[k][v] = true
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func branches(w *Workload) []Branch {
	var out []Branch
	for _, f := range w.Flows {
		n := len(out)
		if n == 0 || out[n-1].Operation != f.Operation || out[n-1].Caller != f.Caller || out[n-1].From != f.From {
			out = append(out, Branch{Operation: f.Operation, Caller: f.Caller, From: f.From})
			n++
		}
		out[n-1].Next = append(out[n-1].Next, f)
	}
	return out
}

// Service gives a workload of the view, or nil.
func (v *View) Service(name string) *Service { return v.byName[name] }

// Split adds up a list of slots before and since the onset.
func (v *View) Split(slots []uint64) (base, now uint64) {
	for i, n := range slots {
		if i < v.first {
			base += n
		} else {
			now += n
		}
	}
	return base, now
}

// SlotOf gives the slot of a time in Unix seconds, or -1. Samples describe the time up to them, so the window's end
// counts and its start does not.
func (v *View) SlotOf(t float64) int {
	ns := int64(t*1e9) - 1
	for i, w := range v.Steps {
		if w.Contains(ns) {
			return len(v.Baseline) + i
		}
	}
	return slices.IndexFunc(v.Baseline, func(w Window) bool { return w.Contains(ns) })
}

// SplitGap merges the gaps of a link before and since the onset.
func (v *View) SplitGap(l *Link) (base, now Histogram) {
	for i := range l.Slots {
		if i < v.first {
			base.Merge(l.Slots[i].Gap)
		} else {
			now.Merge(l.Slots[i].Gap)
		}
	}
	return base, now
}

// Downstream gives every workload that the named one calls, directly or not, without itself.
func (v *View) Downstream(name string) map[string]bool {
	seen := map[string]bool{name: true}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		if s := v.byName[queue[0]]; s != nil {
			for _, c := range s.Callees {
				if !seen[c] {
					seen[c] = true
					queue = append(queue, c)
				}
			}
		}
	}
	delete(seen, name)
	return seen
}

// Proportion compares how often something happened (k of n) before and since the onset.
type Proportion struct {
	Base, Now   float64 // shares
	NBase, NNow uint64
	// Z is the difference in standard deviations; it allows for the variation between the baseline's windows.
	Z float64
}

// priorSpread is how much a share p varies between healthy windows before any is seen, in units of sqrt(p(1-p)), with the
// weight of two windows.
const priorSpread = 0.25

// Compare compares the shares k/n before and since the onset, slot by slot.
func (v *View) Compare(k, n []uint64) Proportion {
	var p Proportion
	var kb, kn uint64
	for i := range n {
		if i < v.first {
			p.NBase += n[i]
			kb += k[i]
		} else {
			p.NNow += n[i]
			kn += k[i]
		}
	}
	if p.NBase == 0 || p.NNow == 0 {
		return p
	}
	p.Base, p.Now = float64(kb)/float64(p.NBase), float64(kn)/float64(p.NNow)
	// between-window variance beyond the binomial one, shrunk towards the prior
	pool := (float64(kb+kn) + 0.5) / (float64(p.NBase+p.NNow) + 1)
	over, windows := 2*priorSpread*priorSpread*pool*(1-pool), 2.0
	for i := range min(v.first, len(n)) {
		if n[i] < 4 {
			continue
		}
		d := float64(k[i])/float64(n[i]) - p.Base
		over += max(0, d*d-p.Base*(1-p.Base)/float64(n[i]))
		windows++
	}
	over /= windows
	sd := math.Sqrt(pool*(1-pool)*(1/float64(p.NBase)+1/float64(p.NNow)) + over)
	// half a pass on either side keeps small numbers from looking sure
	p.Z = ((float64(kn)+0.5)/(float64(p.NNow)+1) - (float64(kb)+0.5)/(float64(p.NBase)+1)) / sd
	return p
}

// Shift is how a series moved at the onset.
type Shift struct {
	Base   float64 // median before
	Spread float64 // robust standard deviation before
	Now    float64 // mean of the most deviating sample and the most deviating pair of neighbours since
	OK     bool    // there were samples on both sides
}

// ShiftUp finds the highest level of a series since the onset, beside its median before.
func (v *View) ShiftUp(all []Series, name string) Shift {
	for i := range all {
		if all[i].Name == name {
			return v.ShiftPoints(all[i].Points)
		}
	}
	return Shift{}
}

// ShiftPoints does the same for bare points.
func (v *View) ShiftPoints(points []Point) Shift {
	var before, since []float64
	for _, p := range points {
		// a sample describes the time up to it, so one just after the onset says little
		if p.T > v.From+5 && p.T <= v.Until {
			since = append(since, p.V)
		} else if p.T <= v.From || p.T > v.Until {
			before = append(before, p.V)
		}
	}
	if len(since) == 0 || len(before) == 0 {
		return Shift{}
	}
	s := Shift{OK: true}
	s.Base, s.Spread = MedianSpread(before)
	single, pair := since[0], since[0]
	for i, x := range since {
		if x > single {
			single = x
		}
		if i == 0 {
			continue
		}
		if m := (since[i-1] + x) / 2; i == 1 || m > pair {
			pair = m
		}
	}
	s.Now = (single + pair) / 2
	return s
}

// MedianSpread gives the median and 1.4826 times the median absolute deviation, which estimates the standard deviation
// of a normal distribution and ignores outliers.
func MedianSpread(x []float64) (median, spread float64) {
	if len(x) == 0 {
		return math.NaN(), math.NaN()
	}
	s := slices.Clone(x)
	slices.Sort(s)
	median = s[len(s)/2]
	if len(s)%2 == 0 {
		median = (s[len(s)/2-1] + median) / 2
	}
	for i := range s {
		s[i] = math.Abs(s[i] - median)
	}
	slices.Sort(s)
	return median, 1.4826 * s[len(s)/2]
}

// Squash maps x >= 0 to 0..1, with 1/2 at half.
func Squash(x, half float64) float64 {
	if !(x > 0) {
		return 0
	}
	return x / (x + half)
}

// Clamp limits x to 0..1; NaN becomes 0.
func Clamp(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1)
}
