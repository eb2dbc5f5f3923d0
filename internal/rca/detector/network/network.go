// Package network finds workloads whose calls take long on the way rather than in a process.
package network

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kubebot/kubebot/internal/rca"
)

// minCalls is how many calls an edge needs on both sides of the onset for its traces to be trusted.
const minCalls = 5

// Detector compares, per edge, the caller's duration minus the callee's with the time before. A delay at one workload
// shows on all of its edges: coverage and purity tell it from its neighbours.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "network",
		Doc:  "Caller-minus-callee latency risen on the edges of a workload.",
		Features: []rca.Feature{
			{Name: "delay", Doc: "typical extra delay per call on the workload's edges; 1/2 at 50 ms"},
			{Name: "coverage", Doc: "share of the whole system's extra delay that touches the workload, times delay"},
			{Name: "purity", Doc: "share of the workload's edges that are delayed, times delay"},
		},
		Detect: detect,
	}
}

// halfDelay is the delay per call in seconds that gives a feature of one half.
const halfDelay = 0.05

type edge struct {
	caller, callee string
	excess         float64 // seconds per call
	base, now      float64
	calls          uint64
}

func detect(v *rca.View) []rca.Finding {
	edges := fromTraces(v)
	for k, e := range fromSeries(v) {
		if _, ok := edges[k]; !ok {
			edges[k] = e
		}
	}
	list := make([]edge, 0, len(edges))
	var total, most float64
	for _, e := range edges {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b edge) int { return cmp.Or(cmp.Compare(a.caller, b.caller), cmp.Compare(a.callee, b.callee)) })
	for _, e := range list {
		total += e.excess
		most = max(most, e.excess)
	}
	if most < 0.002 {
		return nil
	}
	var out []rca.Finding
	for _, s := range v.Services {
		if f, ok := judge(s.Name, list, total, most); ok {
			out = append(out, f)
		}
	}
	return out
}

func judge(name string, list []edge, total, most float64) (rca.Finding, bool) {
	var mine []edge
	var sum, pure float64
	for _, e := range list {
		if e.caller == name || e.callee == name {
			mine = append(mine, e)
			sum += e.excess
			pure += min(1, e.excess/(0.5*most))
		}
	}
	if len(mine) == 0 || sum <= 0 {
		return rca.Finding{}, false
	}
	slices.SortStableFunc(mine, func(a, b edge) int { return -cmp.Compare(a.excess, b.excess) })
	delay := rca.Squash(mine[len(mine)/2].excess, halfDelay)
	top := rca.Squash(mine[0].excess, halfDelay)
	f := rca.Finding{Workload: name, Kind: rca.KindNetwork, Values: map[string]float64{
		"delay": delay, "coverage": top * sum / total, "purity": top * pure / float64(len(mine)),
	}}
	for _, e := range mine[:min(3, len(mine))] {
		if e.excess > 0.001 {
			f.Evidence = append(f.Evidence, rca.Evidence{
				Text: fmt.Sprintf("calls %s to %s spend %.0f ms on the way, before %.0f ms (%d calls)",
					e.caller, e.callee, 1e3*e.now, 1e3*e.base, e.calls),
				Before: e.base, Now: e.now, Unit: "s",
			})
		}
	}
	return f, true
}

func fromTraces(v *rca.View) map[[2]string]edge {
	type pair struct{ base, now rca.Histogram }
	sums := map[[2]string]*pair{}
	for i := range v.Links {
		l := &v.Links[i]
		if l.Caller == l.Callee {
			continue
		}
		b, n := v.SplitGap(l)
		k := [2]string{l.Caller, l.Callee}
		if sums[k] == nil {
			sums[k] = &pair{}
		}
		sums[k].base.Merge(b)
		sums[k].now.Merge(n)
	}
	out := map[[2]string]edge{}
	for k, p := range sums {
		if p.base.N < minCalls || p.now.N < minCalls {
			continue
		}
		e := edge{caller: k[0], callee: k[1], base: p.base.Quantile(0.5), now: p.now.Quantile(0.5), calls: p.now.N}
		// the lower quartile must rise too: a delay hits every call, queueing only some
		low := p.now.Quantile(0.25) - p.base.Quantile(0.25)
		e.excess = max(0, min(e.now-e.base, 2*low))
		out[k] = e
	}
	return out
}

// fromSeries reads the medians that caller and callee report of an edge.
func fromSeries(v *rca.View) map[[2]string]edge {
	out := map[[2]string]edge{}
	for _, e := range v.Edges {
		var client, server []rca.Point
		for _, s := range e.Series {
			switch s.Name {
			case rca.SeriesClientLatency:
				client = s.Points
			case rca.SeriesServerLatency:
				server = s.Points
			}
		}
		s := v.ShiftPoints(difference(client, server), 1)
		if !s.OK {
			continue
		}
		out[[2]string{e.Caller, e.Callee}] = edge{
			caller: e.Caller, callee: e.Callee, base: s.Base, now: s.Now, excess: max(0, s.Now-s.Base-2*s.Spread),
		}
	}
	return out
}

// difference subtracts b from a at times that lie within half a minute of each other.
func difference(a, b []rca.Point) []rca.Point {
	var out []rca.Point
	j := 0
	for _, p := range a {
		for j < len(b) && b[j].T < p.T-30 {
			j++
		}
		if j < len(b) && b[j].T <= p.T+30 {
			out = append(out, rca.Point{T: p.T, V: p.V - b[j].V})
		}
	}
	return out
}
