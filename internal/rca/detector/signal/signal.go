// Package signal follows the symptom that raised the alarm (latency or availability) down the call graph.
package signal

import (
	"fmt"
	"math"
	"slices"

	"github.com/kubebot/kubebot/internal/rca"
)

// Detector compares the alarm's signal at every workload that the target calls, directly or not, with the time before:
// who moves with the target, and whose share is not passed on from its own callees.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "signal",
		Doc:  "The alarm's signal followed down the call graph to where it comes from.",
		Features: []rca.Feature{
			{Name: "follows", Doc: "how well the workload's deviation follows the target's over the steps (cosine), times own"},
			{Name: "surprise", Doc: "deviation against the spread before; 1/2 at four standard deviations, times own"},
			{Name: "impact", Doc: "extra seconds or errors in all its calls against the target's, times own"},
			{Name: "shadow", Doc: "a leaf that a calling workload's other, deeper callee accounts for", Against: true},
		},
		Detect: detect,
	}
}

const halfZ = 4

// node is one workload's deviation.
type node struct {
	service  *rca.Service
	excess   []float64 // per step, towards the bad side, relative to before
	base     float64
	now      float64
	surprise float64
	follows  float64
	impact   float64 // seconds or errors per step
	alone    float64 // 0..1, part of the impact that no callee accounts for
	own      float64 // the same, less when the target hardly deviates
}

func detect(v *rca.View) []rca.Finding {
	if v.Target == nil {
		return nil
	}
	nodes := measure(v)
	target := nodes[v.Target.Workload]
	if target == nil || target.surprise <= 0 {
		return nil
	}
	below := v.Downstream(v.Target.Workload)
	below[v.Target.Workload] = true
	for _, n := range nodes {
		n.follows = cosine(n.excess, target.excess)
	}
	for _, n := range nodes {
		n.alone = own(nodes, n)
		n.own = n.alone * rca.Clamp(2*target.surprise) // without trouble at the target there is nothing to explain
	}
	var out []rca.Finding
	for _, s := range v.Services {
		n := nodes[s.Name]
		if n == nil || !below[s.Name] || n.follows <= 0 || n.surprise <= 0 {
			continue
		}
		impact := rca.Clamp(n.impact / max(1e-12, target.impact))
		f := rca.Finding{Workload: s.Name, Kind: rca.KindCode, Values: map[string]float64{
			"follows": n.follows * n.own, "surprise": n.surprise * n.follows * n.own, "impact": impact * n.follows * n.own,
			"shadow": n.follows * n.own * shadow(v, nodes, n),
		}}
		if len(s.Callees) == 0 {
			f.Kind = rca.KindDependency
		}
		f.Evidence = []rca.Evidence{evidence(v, n)}
		out = append(out, f)
	}
	return out
}

func evidence(v *rca.View, n *node) rca.Evidence {
	if v.Target.Signal == rca.SignalAvailability {
		return rca.Evidence{
			Text:   fmt.Sprintf("availability fell from %.2f %% to %.2f %%, %.0f %% of it not passed on from callees", 100*n.base, 100*n.now, 100*n.alone),
			Before: n.base, Now: n.now, Unit: "1",
		}
	}
	return rca.Evidence{
		Text:   fmt.Sprintf("latency rose from %.1f ms to %.1f ms, %.0f %% of it not passed on from callees", 1e3*n.base, 1e3*n.now, 100*n.alone),
		Before: n.base, Now: n.now, Unit: "s",
	}
}

// measure computes the deviation of every workload that has the signal.
func measure(v *rca.View) map[string]*node {
	name, sign := rca.SeriesLatency, 1.0
	if v.Target.Signal == rca.SignalAvailability {
		name, sign = rca.SeriesAvailability, -1
	}
	out := map[string]*node{}
	for _, s := range v.Services {
		points := series(s.Series, name)
		if n := deviation(v, points, sign); n != nil {
			n.service = s
			calls := 1.0
			if req := v.ShiftPoints(series(s.Series, rca.SeriesRequests)); req.OK {
				calls = max(1, req.Now)
			}
			n.impact = calls * math.Abs(n.now-n.base)
			out[s.Name] = n
		}
	}
	return out
}

func series(all []rca.Series, name string) []rca.Point {
	for i := range all {
		if all[i].Name == name {
			return all[i].Points
		}
	}
	return nil
}

// deviation compares with the older baseline and with the steps just before the onset, and trusts the smaller.
func deviation(v *rca.View, points []rca.Point, sign float64) *node {
	var old, recent []float64
	perStep := make([]float64, len(v.Steps))
	have := make([]bool, len(v.Steps))
	for _, p := range points {
		i := stepOf(v, p.T)
		switch {
		case i < 0:
			old = append(old, p.V)
		default:
			perStep[i], have[i] = p.V, true
			if i < v.Onset {
				recent = append(recent, p.V)
			}
		}
	}
	if len(old) == 0 && len(recent) == 0 {
		return nil
	}
	n := &node{excess: make([]float64, len(v.Steps))}
	ref, spread := rca.MedianSpread(old)
	if len(old) == 0 {
		ref, spread = rca.MedianSpread(recent)
	} else if len(recent) > 0 {
		r, _ := rca.MedianSpread(recent)
		// the level just before counts when it was already worse, or when the older one is from another time
		if sign*r > sign*ref || math.Abs(r-ref) > 3*spread {
			ref = r
		}
	}
	// healthy signals have a tail on their bad side that the median deviation does not see
	spread = max(spread, tail(old, sign)/1.645)
	n.base = ref
	worst, second := 0.0, 0.0
	var seen int
	for i := range perStep {
		if !have[i] {
			continue
		}
		d := sign * (perStep[i] - ref)
		if i >= v.Onset {
			seen++
			n.excess[i] = max(0, d)
			if d > worst {
				worst, second = d, worst
			} else if d > second {
				second = d
			}
		} else {
			n.excess[i] = max(0, d)
		}
	}
	if seen == 0 {
		return nil
	}
	level := worst
	if seen > 1 {
		level = (worst + second) / 2
	}
	n.now = ref + sign*level
	floor := 0.002
	if sign > 0 {
		floor = 0.02 * math.Abs(ref)
	}
	n.surprise = rca.Squash(level/(spread+floor), halfZ)
	return n
}

// tail gives how far the worst twentieth of the values lies from the median, towards the bad side.
func tail(values []float64, sign float64) float64 {
	if len(values) < 20 {
		return 0
	}
	s := slices.Clone(values)
	slices.Sort(s)
	i := len(s) / 20
	if sign > 0 {
		i = len(s) - 1 - i
	}
	return sign * (s[i] - s[len(s)/2])
}

func stepOf(v *rca.View, t float64) int {
	ns := int64(t * 1e9)
	return slices.IndexFunc(v.Steps, func(w rca.Window) bool { return w.Contains(ns) })
}

func cosine(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// own gives the part of a workload's impact that its callees do not account for. A callee accounts for it as far as it
// moves the same way.
func own(nodes map[string]*node, n *node) float64 {
	if n.impact <= 0 {
		return 0
	}
	var passed float64
	for _, c := range n.service.Callees {
		if k := nodes[c]; k != nil {
			passed = max(passed, k.impact*rca.Squash(k.surprise, 0.2)*1.2*max(0, cosine(k.excess, n.excess)))
		}
	}
	return rca.Clamp(1 - passed/n.impact)
}

// shadow says how far a leaf is the view that a caller has of another of its callees: something that itself calls on.
func shadow(v *rca.View, nodes map[string]*node, n *node) float64 {
	if len(n.service.Callees) > 0 {
		return 0
	}
	var most float64
	for _, c := range n.service.Callers {
		caller := v.Service(c)
		if caller == nil {
			continue
		}
		for _, sibling := range caller.Callees {
			k := nodes[sibling]
			if k == nil || k == n || len(k.service.Callees) == 0 {
				continue
			}
			most = max(most, cosine(k.excess, n.excess)*min(1, k.surprise/max(1e-9, n.surprise)))
		}
	}
	return most
}
