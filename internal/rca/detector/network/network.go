// Package network finds workloads whose calls take long on the way rather than in a process.
package network

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/kubebot/kubebot/internal/rca"
)

// fewCalls is how many calls before an edge needs to be its own measure; with fewer the whole system's edges are.
const fewCalls = 3

// Detector compares, per edge, the caller's duration minus the callee's with the time before. A delay at one workload
// shows on all of its edges: coverage and purity tell it from its neighbours.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "network",
		Doc:  "Caller-minus-callee latency risen on the edges of a workload.",
		Features: []rca.Feature{
			{Name: "delay", Doc: "typical extra delay per call on the workload's edges; 1/2 at 50 ms"},
			{Name: "coverage", Doc: "share of the whole system's extra delay that touches the workload, times delay"},
			{Name: "inbound", Doc: "share of it on calls that the workload answers, times delay; its own calls may be measured inside it"},
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
	weight         float64 // 0..1, trust by the number of calls
	resent         resent
}

// retransmission is how long a sender waits at least before it sends again what was lost: TCP_RTO_MIN of Linux, 200 ms
// (RFC 6298 asks for 1 s). What histograms round is left to it.
const retransmission = 0.19

// resent says which share of an edge's calls waits for a retransmission or longer, before and since.
type resent struct{ base, now float64 }

// few calls say little about a share.
const enoughForShares = 8

// lossOn reads lost packets from the gaps of an edge: some calls wait for a retransmission while the others are as fast as
// before, which a busy process or a longer way would slow too. The excess is the wait that this adds to a call on average.
func lossOn(base, now rca.Histogram) (resent, float64) {
	r := resent{base.ShareAbove(retransmission), now.ShareAbove(retransmission)}
	if base.N < enoughForShares || now.N < enoughForShares || now.Quantile(0.25) > 2*base.Quantile(0.5)+0.005 {
		return r, 0
	}
	// The share of a few calls varies: two standard errors, with one call more on either side.
	p := (r.now*float64(now.N) + 1) / (float64(now.N) + 2)
	room := 2 * math.Sqrt(p*(1-p)/float64(now.N))
	return r, max(0, r.now-r.base-room) * max(retransmission, now.Mean()/max(r.now, 0.01))
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
		total += e.excess * e.weight
		most = max(most, e.excess*e.weight)
	}
	if most < 0.002 {
		return nil
	}
	var out []rca.Finding
	for _, s := range v.Services {
		if f, ok := judge(s.Name, list, total, most); ok {
			idle := 1 - queueing*saturation(v, s)
			for n := range f.Values {
				f.Values[n] *= idle
			}
			out = append(out, f)
		}
	}
	return out
}

// queueing is how much of a delay a saturated processor explains: calls wait before their span begins.
const queueing = 0.6

// saturation says how far the workload's processor is at its limit, if that is new.
func saturation(v *rca.View, s *rca.Service) float64 {
	u := v.ShiftUp(s.Series, rca.SeriesCPUUtilization)
	if !u.OK || u.Now < u.Base+max(0.03, 3*u.Spread) {
		return 0
	}
	return rca.Clamp((u.Now - 0.6) / 0.4)
}

func judge(name string, list []edge, total, most float64) (rca.Finding, bool) {
	var mine []edge
	var sum, inbound, pure, weights float64
	for _, e := range list {
		if e.caller == name || e.callee == name {
			mine = append(mine, e)
			sum += e.excess * e.weight
			if e.callee == name {
				inbound += e.excess * e.weight
			}
			pure += e.weight * min(1, e.excess/(0.5*most))
			weights += e.weight
		}
	}
	if len(mine) == 0 || sum <= 0 {
		return rca.Finding{}, false
	}
	slices.SortStableFunc(mine, func(a, b edge) int { return -cmp.Compare(a.excess*a.weight, b.excess*b.weight) })
	top := rca.Squash(mine[0].excess*mine[0].weight, halfDelay)
	f := rca.Finding{Workload: name, Kind: rca.KindNetwork, Values: map[string]float64{
		"delay": rca.Squash(sum/weights, halfDelay), "coverage": top * sum / total, "inbound": top * inbound / total,
		"purity": top * pure / weights,
	}}
	for _, e := range mine[:min(3, len(mine))] {
		if e.resent.now > 0 {
			f.Evidence = append(f.Evidence, rca.Evidence{
				Text: fmt.Sprintf("%.0f %% of %d calls %s to %s wait for 0.2 s or longer on the way, as for lost packets, before %.0f %%",
					100*e.resent.now, e.calls, e.caller, e.callee, 100*e.resent.base),
				Before: e.resent.base, Now: e.resent.now, Unit: "1",
			})
		} else if e.excess > 0.001 {
			f.Evidence = append(f.Evidence, rca.Evidence{
				Text: fmt.Sprintf("calls %s to %s spend %.0f ms on the way, before %.0f ms%s",
					e.caller, e.callee, 1e3*e.now, 1e3*e.base, counted(e.calls)),
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
	var all rca.Histogram
	for _, p := range sums {
		all.Merge(p.base)
	}
	out := map[[2]string]edge{}
	for k, p := range sums {
		base := p.base
		if base.N < fewCalls {
			base = all
		}
		if base.N < fewCalls || p.now.N == 0 {
			continue
		}
		e := edge{caller: k[0], callee: k[1], base: base.Quantile(0.5), now: p.now.Quantile(0.5), calls: p.now.N}
		// the lower quartile must rise too: a delay hits every call, queueing only some
		low := p.now.Quantile(0.25) - base.Quantile(0.25)
		e.excess = max(0, min(e.now-e.base, 2*low))
		if r, wait := lossOn(base, p.now); wait > e.excess {
			e.excess, e.resent = wait, r
		}
		e.weight = float64(p.now.N) / float64(p.now.N+1)
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
		s := v.ShiftPoints(difference(client, server))
		if !s.OK {
			continue
		}
		out[[2]string{e.Caller, e.Callee}] = edge{
			caller: e.Caller, callee: e.Callee, base: s.Base, now: s.Now, weight: 0.75,
			excess: max(0, s.Now-s.Base-2*s.Spread-bucketError*level(v, server)),
		}
	}
	return out
}

// bucketError is how far a median may be off that was interpolated in histogram buckets.
const bucketError = 0.15

// level gives the median of the samples since the onset.
func level(v *rca.View, points []rca.Point) float64 {
	var since []float64
	for _, p := range points {
		if p.T > v.From && p.T <= v.Until {
			since = append(since, p.V)
		}
	}
	if len(since) == 0 {
		return 0
	}
	m, _ := rca.MedianSpread(since)
	return m
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

func counted(calls uint64) string {
	if calls == 0 { // medians from metrics
		return ""
	}
	return fmt.Sprintf(" (median of %d calls)", calls)
}
