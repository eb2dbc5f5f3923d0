package rca_test

import (
	"testing"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestSignalsOfASnapshot(t *testing.T) {
	s := rcatest.Scenario{StockReturns: true}.Snapshot()
	s.Workloads[0].Series = []rca.Series{{Name: rca.SeriesCPUUtilization, Points: []rca.Point{{T: 1, V: 0.5}}}}
	s.Edges = []rca.Edge{{Caller: "front", Callee: "cart"}}
	for _, c := range []struct {
		lost []string
		want string
	}{
		{nil, "logs+metrics+traces"},
		{[]string{rca.SignalTraces}, "logs+metrics"},
		{[]string{rca.SignalLogs}, "metrics+traces"},
		{[]string{rca.SignalMetrics}, "logs+traces"},
		{[]string{rca.SignalTraces, rca.SignalLogs}, "metrics"},
		{[]string{rca.SignalTraces, rca.SignalLogs, rca.SignalMetrics}, ""},
	} {
		less := s
		for _, signal := range c.lost {
			less = less.Without(signal)
		}
		if got := less.Signals(); got != c.want {
			t.Errorf("without %v: %q, want %q", c.lost, got, c.want)
		}
	}
	if got := s.Signals(); got != "logs+metrics+traces" {
		t.Errorf("what was left out of a copy is gone from the snapshot: %s", got)
	}
}

func TestScoresAreCalibratedForWhatWasSeen(t *testing.T) {
	all := map[string]float64{}
	for _, d := range detectors.All() {
		for _, f := range d.Features {
			all[d.Name+"."+f.Name] = 1
		}
	}
	m := &rca.Model{
		Version: rca.ModelVersion, Weights: all, Calibration: rca.Calibration{Bias: 0},
		Calibrations: map[string]rca.Calibration{"traces": {Bias: -3, Abstain: 0.2}},
	}
	engine, err := rca.NewEngine(detectors.All(), m)
	if err != nil {
		t.Fatal(err)
	}
	whole := rcatest.Scenario{StockReturns: true}.Snapshot()
	for _, c := range []struct {
		snapshot  *rca.Snapshot
		score     float64
		abstained bool
	}{{whole, 0.5, false}, {whole.Without(rca.SignalLogs).Without(rca.SignalMetrics), 0.047426, true}} {
		r, err := engine.Analyse(c.snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if r.Causes[0].Score != c.score || r.Abstained != c.abstained {
			t.Errorf("with %s: score %v, abstained %v; want %v and %v", c.snapshot.Signals(), r.Causes[0].Score, r.Abstained, c.score, c.abstained)
		}
	}
}
