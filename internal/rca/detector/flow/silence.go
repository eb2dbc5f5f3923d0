package flow

import (
	"fmt"
	"math"

	"github.com/kubebot/kubebot/internal/rca"
)

// silence finds edges that a workload no longer uses while it still uses others: seen in metrics, without any trace.
func silence(v *rca.View, s *rca.Service) []change {
	slots := len(v.Baseline) + len(v.Steps)
	half := halfSpacing(v, s.Name)
	present := map[string][]uint64{}
	var order []string
	seen := make([]map[int64]bool, slots)
	for _, e := range v.Edges {
		if e.Caller != s.Name {
			continue
		}
		for _, sr := range e.Series {
			if sr.Name != rca.SeriesClientLatency {
				continue
			}
			k := make([]uint64, slots)
			for _, p := range sr.Points {
				if i := v.SlotOf(p.T - half); i >= 0 {
					k[i]++
					if seen[i] == nil {
						seen[i] = map[int64]bool{}
					}
					seen[i][int64(p.T)/10] = true
				}
			}
			present[e.Callee] = k
			order = append(order, e.Callee)
		}
	}
	total := make([]uint64, slots)
	for i := range seen {
		total[i] = uint64(len(seen[i]))
	}
	var silent []string
	var best rca.Proportion
	for _, callee := range order {
		p := v.Compare(present[callee], total)
		if p.NBase >= 3 && p.NNow >= 2 && p.Now == 0 && p.Z < -1 {
			silent = append(silent, callee)
			if p.Z < best.Z {
				best = p
			}
		}
	}
	if len(silent) == 0 || len(silent) == len(order) {
		return nil
	}
	c := change{
		service: s.Name, operation: s.Name, reached: map[string]bool{}, effect: best.Base - best.Now, z: -best.Z,
		evidence: rca.Evidence{
			Text:   fmt.Sprintf("no call to %v in %d samples, before in %.0f %% of %d, while other calls go on", silent, best.NNow, 100*best.Base, best.NBase),
			Before: best.Base, Now: best.Now, Unit: "1",
		},
	}
	for _, callee := range order {
		c.reached[callee] = true
	}
	for _, callee := range silent {
		delete(c.reached, callee)
	}
	return []change{c}
}

// halfSpacing gives half the shortest time between samples: a sample describes the time up to it, on average that far
// back. Longer gaps are samples left out.
func halfSpacing(v *rca.View, caller string) float64 {
	shortest := math.Inf(1)
	for _, e := range v.Edges {
		if e.Caller != caller {
			continue
		}
		for _, sr := range e.Series {
			for i := 1; i < len(sr.Points); i++ {
				shortest = min(shortest, sr.Points[i].T-sr.Points[i-1].T)
			}
		}
	}
	if math.IsInf(shortest, 1) {
		return 0
	}
	return shortest / 2
}
