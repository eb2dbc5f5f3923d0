package train

import (
	"cmp"
	"fmt"
	"maps"
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
	// priorIncidents is how many incidents the scores given before count for in the new calibration: its three numbers
	// need about ten incidents each. Those that the scores were learned from since are added, up to mostPrior.
	priorIncidents = 10
	mostPrior      = 50
)

// attempt fits new weights on top of the old ones and compares both on incidents that neither had seen: the old ones not
// in their own fit (seen, by ID), the new ones not in the folds that judge them. It returns nil weights when they are not
// better. Incidents whose cause is no candidate teach the weights nothing, but count as wrong for both.
func attempt(examples []training.Example, old *rca.Model, seen map[string]bool, now time.Time) (*rca.Model, weights.Refit) {
	r := weights.Refit{At: now.UTC().Truncate(time.Second), Usable: len(examples)}
	group(examples)
	var learned []training.Example
	fresh := 0
	for i := range examples {
		e := &examples[i]
		if e.Shown() {
			learned = append(learned, *e)
		}
		if !seen[e.ID] {
			r.HeldBack++
			if e.Shown() {
				fresh++
			}
		}
	}
	if fresh < MinIncidents {
		r.Reason = fmt.Sprintf("Fewer than %d judged incidents (%d) whose cause telemetry shows and the weights in use have not learned from",
			MinIncidents, fresh)
		r.HeldBack = 0
		return nil, r
	}
	ds, opts := detectors.All(), training.DefaultOptions
	opts.Prior = old.Weights // learn on top of what is known
	unseen := training.LeaveOutOf(learned, examples, foldPrefix, ds, opts)
	var before, after []int
	var heldBack []training.Outcome
	for i := range examples {
		if !seen[examples[i].ID] {
			before = append(before, training.Rank(&examples[i], old.Weights).CauseRank)
			after = append(after, unseen[i].CauseRank)
			heldBack = append(heldBack, unseen[i])
		}
	}
	was, is := training.Measure(before), training.Measure(after)
	r.Before, r.After = was.AC1, is.AC1
	if is.AC1 <= was.AC1 || is.MRR < was.MRR {
		r.Reason = "Not better on held-back incidents than the weights in use, which stay"
		return nil, r
	}
	r.Adopted, r.Reason = true, "Better on held-back incidents than the weights in use before"
	made := &rca.Model{
		Version: rca.ModelVersion, Command: "kubebot train", Weights: training.Fit(learned, ds, opts),
		Figures: map[string]float64{"incidents": float64(len(examples)), "held back": float64(r.HeldBack), "AC@1 before": r.Before, "AC@1 after": r.After},
	}
	calibrate(made, heldBack, old, min(priorIncidents+float64(len(seen)), mostPrior))
	return made, r
}

// foldPrefix begins the groups of examples that are held back together.
const foldPrefix = "fold:"

// group puts examples into folds of about the same size. Those of one workload and kind of cause share a fold, as they may
// be the same incident come back.
func group(examples []training.Example) {
	alike := map[string][]int{}
	for i := range examples {
		key := examples[i].Workload + "\x00" + string(examples[i].Kind)
		alike[key] = append(alike[key], i)
	}
	keys := slices.SortedFunc(maps.Keys(alike), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(alike[b]), len(alike[a])), cmp.Compare(a, b))
	})
	var size [folds]int
	for _, key := range keys {
		fold := 0
		for f := range size {
			if size[f] < size[fold] {
				fold = f
			}
		}
		for _, i := range alike[key] {
			examples[i].Groups = []string{fmt.Sprint(foldPrefix, fold)}
		}
		size[fold] += len(alike[key])
	}
}

// calibrate gives new weights their calibrations: for all snapshots, and for each set of signals that had one of its own.
// It learns from incidents that neither model had learned from; what the old one's scores say of them is the prior, which
// counts for so many incidents. A set of signals that no incident had keeps what it has.
func calibrate(made *rca.Model, heldBack []training.Outcome, old *rca.Model, prior float64) {
	one := func(known []training.Outcome, was rca.Calibration) rca.Calibration {
		c := training.Recalibrate(known, known, training.Belief(&rca.Model{Weights: old.Weights, Calibration: was}), prior)
		c.Abstain = was.Abstain
		return c
	}
	made.Calibration = one(heldBack, old.Calibration)
	for signals, was := range old.Calibrations {
		if made.Calibrations == nil {
			made.Calibrations = map[string]rca.Calibration{}
		}
		of := slices.DeleteFunc(slices.Clone(heldBack), func(o training.Outcome) bool { return o.Example.Signals != signals })
		if len(of) == 0 {
			made.Calibrations[signals] = was
			continue
		}
		made.Calibrations[signals] = one(of, was)
	}
}
