package main

import (
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

// calibrateSets gives a set of signals a calibration of its own where that is better for services that it had not seen.
func calibrateSets(center rca.Calibration, by map[string]*outcomes) map[string]rca.Calibration {
	out := map[string]rca.Calibration{}
	for signals, o := range by {
		all := slices.Concat(o.faults, o.calm)
		own := func(of []training.Outcome) rca.Calibration { return training.CalibrateOn(of, center, setPull) }
		if distinct(o.faults) >= minOfSet && leftOut(all, serviceGroup, own).Brier < training.Check(all, center).Brier {
			out[signals] = own(all)
		}
	}
	return out
}

// Signals are the figures of incidents of which no other signals are known, by weights that saw none of the service.
// OfAll is by the calibration of all incidents, the others by the one that such snapshots get.
type Signals struct {
	Signals          string  `json:"signals"`
	Incidents        int     `json:"incidents"`
	N                int     `json:"n"`
	AC1              float64 `json:"serviceAC1"`
	ErrorOfAll       float64 `json:"calibrationErrorOfAll"`
	Error            float64 `json:"calibrationError"`
	BrierOfAll       float64 `json:"brierOfAll"`
	Brier            float64 `json:"brier"`
	Windows          int     `json:"windows"`
	FalseAlarmsOfAll int     `json:"falseAlarmsOfAll"`
	FalseAlarms      int     `json:"falseAlarms"`
	SilentOfAll      int     `json:"silentOfAll"`
	Silent           int     `json:"silent"`
}

func signals(f *fitting) []Signals {
	var out []Signals
	for _, signals := range slices.Sorted(maps.Keys(f.signals)) {
		o, center, own := f.signals[signals], f.model.Calibration, f.model.CalibrationOf(signals)
		all := slices.Concat(o.faults, o.calm)
		before, after := training.Check(all, center), training.Check(all, own)
		out = append(out, Signals{
			Signals: signals, Incidents: distinct(o.faults), N: len(o.faults), AC1: round3(training.Measure(ranks(o.faults, "service")).AC1),
			ErrorOfAll: round3(before.Error), Error: round3(after.Error), BrierOfAll: round3(before.Brier), Brier: round3(after.Brier),
			Windows: len(o.calm), FalseAlarmsOfAll: said(o.calm, center), FalseAlarms: said(o.calm, own),
			SilentOfAll: len(o.faults) - said(o.faults, center), Silent: len(o.faults) - said(o.faults, own),
		})
	}
	return out
}

// leftOut measures calibrations that had not seen what is grouped with the incident that they judge.
func leftOut(all []training.Outcome, group func(training.Outcome) string, calibrate func(others []training.Outcome) rca.Calibration) training.Reliability {
	by := map[string]rca.Calibration{}
	for _, o := range all {
		g := group(o)
		if _, ok := by[g]; !ok {
			by[g] = calibrate(slices.DeleteFunc(slices.Clone(all), func(o training.Outcome) bool { return group(o) == g }))
		}
	}
	return training.CheckEach(all, func(o *training.Outcome) rca.Calibration { return by[group(*o)] })
}

// incidentOf is what an incident with its moved alarms, or a fault-free window, is counted and left out by. The strengths of a
// simulated fault, and the snapshots of a live one, are one incident, as they weigh in training.
func incidentOf(o training.Outcome) string {
	if slices.Contains(o.Example.Groups, simulatedSet) || slices.Contains(o.Example.Groups, liveSet) {
		for _, g := range o.Example.Groups {
			if strings.HasPrefix(g, "fault:") {
				return g
			}
		}
	}
	id := o.Example.ID
	return id[:strings.LastIndexAny(id, "+-")]
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
