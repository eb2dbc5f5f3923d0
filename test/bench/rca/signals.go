package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/training"
)

// lost are the signals that a cluster may not have, or that could not be read, in the order in which they are tried.
var lost = [][]string{
	{rca.SignalTraces}, {rca.SignalLogs}, {rca.SignalMetrics}, {rca.SignalTraces, rca.SignalLogs}, {rca.SignalLogs, rca.SignalMetrics},
	{rca.SignalTraces, rca.SignalMetrics},
}

const (
	// minOfSet is how many incidents a calibration of its own needs; with fewer the one of all counts.
	minOfSet = 20
	// setPull is how strongly the calibration of a set is pulled to that of all, as if by so many incidents.
	setPull = 0.5
)

// outcomes are those of incidents and of fault-free windows that hold one set of signals.
type outcomes struct{ faults, calm []training.Outcome }

// sets sorts outcomes by the signals that they were ranked by. Those of incidents are by weights that saw no incident of
// the same service.
func sets(unseen, still []training.Outcome, faults, poorer []training.Example, w map[string]float64) map[string]*outcomes {
	var less, calm []training.Example
	for _, e := range poorer {
		if e.Workload == "" {
			calm = append(calm, e)
		} else {
			less = append(less, e)
		}
	}
	out := map[string]*outcomes{}
	of := func(o training.Outcome) *outcomes {
		if out[o.Example.Signals] == nil {
			out[o.Example.Signals] = &outcomes{}
		}
		return out[o.Example.Signals]
	}
	for _, o := range append(slices.Clone(unseen), training.LeaveOutOf(faults, less, "service:", detectors.All(), training.DefaultOptions)...) {
		of(o).faults = append(of(o).faults, o)
	}
	for i := range calm {
		o := training.Rank(&calm[i], w)
		of(o).calm = append(of(o).calm, o)
	}
	for _, o := range still {
		of(o).calm = append(of(o).calm, o)
	}
	return out
}

// calibrateSets gives each set of signals a calibration of its own, and reports what that changes.
func calibrateSets(m *rca.Model, by map[string]*outcomes) {
	m.Calibrations = map[string]rca.Calibration{}
	fmt.Println("\nBy the signals that a snapshot holds (incidents left out by service; calibration error by the calibration of all, and by one of its own)")
	for _, signals := range slices.Sorted(maps.Keys(by)) {
		o := by[signals]
		all := append(slices.Clone(o.faults), o.calm...)
		own := m.Calibration
		incidents := distinctIDs(o.faults)
		if incidents >= minOfSet && unseenBrier(all, m.Calibration) < training.Check(all, m.Calibration).Brier {
			own = training.CalibrateOn(all, m.Calibration, setPull)
			m.Calibrations[signals] = own
		}
		f := training.Measure(ranks(o.faults, "", "service"))
		before, after := training.Check(all, m.Calibration), training.Check(all, own)
		fmt.Printf("  %-20s incidents %-3d AC@1 %.3f  calibration error %.3f -> %.3f  Brier %.3f -> %.3f  false alarms %d -> %d of %d  silent %d -> %d of %d\n",
			signals, incidents, f.AC1, before.Error, after.Error, before.Brier, after.Brier,
			said(o.calm, m.Calibration), said(o.calm, own), len(o.calm), len(o.faults)-said(o.faults, m.Calibration), len(o.faults)-said(o.faults, own), len(o.faults))
		m.Figures["calibration error, "+signals] = round3(after.Error)
	}
}

// unseenBrier is the Brier score of calibrations of a set that had not seen the service of the incident that they judge.
func unseenBrier(all []training.Outcome, center rca.Calibration) float64 {
	groups := map[string]bool{}
	for _, o := range all {
		groups[serviceGroup(o)] = true
	}
	var sum, weight float64
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		var others, these []training.Outcome
		var w float64
		for _, o := range all {
			if serviceGroup(o) != g {
				others = append(others, o)
			} else if these = append(these, o); len(o.Raw) > 0 {
				w += o.Example.Weight
			}
		}
		sum += training.Check(these, training.CalibrateOn(others, center, setPull)).Brier * max(1, w) // Check divides by that
		weight += w
	}
	return sum / max(1, weight)
}

// serviceGroup is what is left out together: the incidents of a service, or the fault-free windows of a data set.
func serviceGroup(o training.Outcome) string {
	for _, g := range o.Example.Groups {
		if strings.HasPrefix(g, "service:") {
			return g
		}
	}
	return o.Example.Groups[0]
}

// said counts the outcomes in which a cause stands out.
func said(list []training.Outcome, c rca.Calibration) int {
	n := 0
	for _, o := range list {
		if len(o.Raw) > 0 && training.TopScore(o, c) >= c.Abstain {
			n++
		}
	}
	return n
}
