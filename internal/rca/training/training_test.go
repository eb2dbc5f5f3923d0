package training

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/kubebot/kubebot/internal/rca"
)

var detectors = []rca.Detector{{Name: "d", Features: []rca.Feature{{Name: "good"}, {Name: "noise"}, {Name: "against", Against: true}}}}

// examples have a right candidate that is high in good; noise is as high elsewhere, against is high at wrong ones.
func examples(n int) []Example {
	var out []Example
	for i := range n {
		x := float64(i%5) / 5
		out = append(out, Example{
			ID: fmt.Sprint(i), Groups: []string{fmt.Sprintf("fold:%d", i%3)}, Weight: 1, Workload: "right", Kind: rca.KindCPU,
			Hypotheses: []rca.Hypothesis{{Candidates: []rca.Candidate{
				{Workload: "right", Kind: rca.KindCPU, Values: map[string]float64{"d.good": 0.6 + 0.4*x, "d.noise": 0.2}},
				{Workload: "right", Kind: rca.KindMemory, Values: map[string]float64{"d.noise": 0.1}},
				{Workload: "wrong", Kind: rca.KindCPU, Values: map[string]float64{"d.good": 0.2 * x, "d.noise": 0.9, "d.against": 0.5}},
			}}},
		})
	}
	return out
}

func TestFitFindsWhatMatters(t *testing.T) {
	w := Fit(examples(20), detectors, DefaultOptions)
	if w["d.good"] <= w["d.noise"] || w["d.noise"] < 0 || w["d.against"] > 0 {
		t.Errorf("weights %v", w)
	}
	if again := Fit(examples(20), detectors, DefaultOptions); !reflect.DeepEqual(w, again) {
		t.Errorf("other weights from the same examples: %v and %v", w, again)
	}
}

func TestFitKeepsThePriorWithoutData(t *testing.T) {
	o := DefaultOptions
	o.Prior = map[string]float64{"d.good": 5, "d.noise": 1, "d.against": -2}
	if w := Fit(nil, detectors, o); !reflect.DeepEqual(w, o.Prior) {
		t.Errorf("weights %v, want the prior %v", w, o.Prior)
	}
}

func TestLeaveOutRanksEveryExample(t *testing.T) {
	ex := examples(9)
	for i, o := range LeaveOut(ex, "fold:", detectors, DefaultOptions) {
		if o.Example != &ex[i] || o.ServiceRank != 1 || o.CauseRank != 1 {
			t.Errorf("example %d: %+v", i, o)
		}
	}
}

func TestTiesCountAgainst(t *testing.T) {
	e := Example{Workload: "b", Hypotheses: []rca.Hypothesis{{Candidates: []rca.Candidate{
		{Workload: "a", Kind: rca.KindCPU}, {Workload: "b", Kind: rca.KindCPU}, {Workload: "c", Kind: rca.KindCPU},
	}}}}
	if r := Rank(&e, map[string]float64{}).ServiceRank; r != 3 {
		t.Errorf("rank %d of three equal candidates, want 3", r)
	}
	e.Workload = "none"
	if r := Rank(&e, map[string]float64{}).ServiceRank; r != 0 {
		t.Errorf("rank %d of an absent workload, want 0", r)
	}
}

func TestRegionMustHoldTheKnownTexts(t *testing.T) {
	e := Example{Workload: "a", Region: []string{"Order#31", "Order#34"}, Hypotheses: []rca.Hypothesis{{Candidates: []rca.Candidate{
		{Workload: "a", Kind: rca.KindCode, Region: []string{"Order#31 begin", "Order#34 done"}},
	}}}}
	if r := Rank(&e, nil).RegionRank; r != 1 {
		t.Errorf("rank %d, want 1", r)
	}
	e.Region[1] = "Order#99"
	if o := Rank(&e, nil); o.RegionRank != 0 || o.CauseRank != 1 {
		t.Errorf("region rank %d, cause rank %d; want 0 and 1", o.RegionRank, o.CauseRank)
	}
}

func TestMeasure(t *testing.T) {
	f := Measure([]int{1, 1, 2, 4, 0})
	if f.N != 5 || f.AC1 != 0.4 || f.AC3 != 0.6 || f.AC5 != 0.8 || math.Abs(f.Avg5-0.64) > 1e-9 || math.Abs(f.MRR-0.55) > 1e-9 || f.Low > 0.4 || f.High < 0.4 {
		t.Errorf("figures %+v", f)
	}
}

func TestCalibrationIsHonest(t *testing.T) {
	// the leading candidate is right in three of four, whatever its score
	out := LeaveOut(examples(40), "fold:", detectors, DefaultOptions)
	for i := range out {
		if i%4 == 0 {
			e := *out[i].Example
			e.Workload = "elsewhere"
			out[i].Example = &e
		}
	}
	c := Calibrate(out)
	if r := Check(out, c); r.Error > 0.1 {
		t.Errorf("calibration error %v", r.Error)
	}
	if p := TopScore(out[1], c); math.Abs(p-0.75) > 0.15 {
		t.Errorf("score %v, want about 0.75", p)
	}
}
