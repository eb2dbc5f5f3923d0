package train

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/training"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

const (
	// MinIncidents is how many judged incidents a refit needs that the weights in use have not seen; with fewer those
	// stay. With ten, one more that is right is ten points.
	MinIncidents = 10
	// folds is how many parts the incidents are split into; each part is judged by weights that never saw it.
	folds = 5
	// minCalibrating is how many incidents with a known cause the calibration is made anew from: its three numbers need
	// about ten each.
	minCalibrating = 30
)

// attempt fits new weights on top of the old ones and compares both on incidents that neither had seen: the old ones not
// in their own fit (seen, by ID), the new ones not in the folds that judge them. It returns nil weights when they are not
// better.
func attempt(examples []training.Example, old *rca.Model, seen map[string]bool, now time.Time) (*rca.Model, weights.Refit) {
	r := weights.Refit{At: now.UTC().Truncate(time.Second), Usable: len(examples)}
	for i := range examples {
		examples[i].Groups = []string{fmt.Sprintf("fold:%d", i%folds)}
		if !seen[examples[i].ID] {
			r.HeldBack++
		}
	}
	if r.HeldBack < MinIncidents {
		r.Reason = fmt.Sprintf("Fewer than %d judged incidents (%d) that the weights in use have not learned from", MinIncidents, r.HeldBack)
		r.HeldBack = 0
		return nil, r
	}
	ds, opts := detectors.All(), training.DefaultOptions
	opts.Prior = old.Weights // learn on top of what is known
	unseen := training.LeaveOut(examples, "fold:", ds, opts)
	var before, after []int
	for i := range examples {
		if !seen[examples[i].ID] {
			before = append(before, training.Rank(&examples[i], old.Weights).CauseRank)
			after = append(after, unseen[i].CauseRank)
		}
	}
	was, is := training.Measure(before), training.Measure(after)
	r.Before, r.After = was.AC1, is.AC1
	if is.AC1 <= was.AC1 || is.MRR < was.MRR {
		r.Reason = "Not better on held-back incidents than the weights in use, which stay"
		return nil, r
	}
	r.Adopted, r.Reason = true, "Better on held-back incidents than the weights in use before"
	return &rca.Model{
		Version: rca.ModelVersion, Command: "kubebot train", Weights: training.Fit(examples, ds, opts),
		Calibration: calibrate(unseen, old.Calibration), Calibrations: calibrateSets(unseen, old),
		Figures: map[string]float64{"incidents": float64(len(examples)), "held back": float64(r.HeldBack), "AC@1 before": r.Before, "AC@1 after": r.After},
	}, r
}

// calibrateSets does the same for each set of signals that has a calibration of its own.
func calibrateSets(unseen []training.Outcome, old *rca.Model) map[string]rca.Calibration {
	var out map[string]rca.Calibration
	for signals, c := range old.Calibrations {
		if out == nil {
			out = map[string]rca.Calibration{}
		}
		out[signals] = calibrate(slices.DeleteFunc(slices.Clone(unseen), func(o training.Outcome) bool { return o.Example.Signals != signals }), c)
	}
	return out
}

// calibrate makes the calibration anew where enough incidents tell how often the leading cause is right.
func calibrate(unseen []training.Outcome, old rca.Calibration) rca.Calibration {
	var known []training.Outcome
	for _, o := range unseen {
		if !o.Example.Wrong {
			known = append(known, o)
		}
	}
	if len(known) < minCalibrating {
		return old
	}
	c := training.Calibrate(known)
	c.Abstain = old.Abstain
	return c
}
