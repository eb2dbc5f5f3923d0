package flow

import (
	"fmt"
	"math"

	"github.com/kubebot/kubebot/internal/rca"
)

const minPasses = 2

// branch finds the log statement that vanished most after a point of the code, and what came instead. The code between
// the last usual statement and the missing one is the region at fault.
func branch(v *rca.View, s *rca.Service, b rca.Branch) (change, bool) {
	total := make([]uint64, len(b.Next[0].Slots))
	for _, f := range b.Next {
		for i, n := range f.Slots {
			total[i] += n
		}
	}
	var gone, came *rca.Flow
	var pg, pc rca.Proportion
	for i := range b.Next {
		f := &b.Next[i]
		p := v.Compare(f.Slots, total)
		if p.NBase < minPasses || p.NNow < minPasses {
			return change{}, false
		}
		if p.Now < p.Base && p.Z < pg.Z {
			gone, pg = f, p
		}
		if p.Now > p.Base && p.Z > pc.Z {
			came, pc = f, p
		}
	}
	if gone == nil || came == nil || gone.To < 0 {
		return change{}, false
	}
	if isError(s, gone.To) && !isError(s, came.To) { // fewer errors than before is no trouble
		return change{}, false
	}
	// what was an alternative before, for whatever caller, is a change of traffic rather than of code
	novelty := 1 - max(pc.Base, elsewhere(v, s, b, came.To))/pc.Now
	c := change{
		service: s.Name, operation: b.Operation, caller: b.Caller, reached: map[string]bool{}, logged: true,
		effect: math.Sqrt(max(0, pg.Base-pg.Now) * novelty), z: math.Min(-pg.Z, pc.Z) * novelty,
	}
	if c.effect <= 0 || c.z < 0.8 {
		return change{}, false
	}
	if novelty == 1 {
		c.novel = rootLikelihood(pc.Now*float64(pc.NNow), float64(pc.NNow), float64(pc.NBase))
	}
	reach(v, s.Name, b.Operation, c.reached, map[string]bool{})
	delete(c.reached, s.Name)
	instead := "nothing"
	if came.To >= 0 {
		instead = s.Patterns[came.To].Text
	}
	c.error = isError(s, came.To)
	from := b.Operation + " start"
	if b.From >= 0 {
		from = s.Patterns[b.From].Text
	}
	c.region = []string{from, s.Patterns[gone.To].Text, instead}
	c.evidence = rca.Evidence{
		Text: fmt.Sprintf("after %q came %q in %.0f %% of %d passes, before %.0f %% of %d; now %q", short(from),
			short(s.Patterns[gone.To].Text), 100*pg.Now, pg.NNow, 100*pg.Base, pg.NBase, short(instead)),
		Before: pg.Base, Now: pg.Now, Unit: "1",
	}
	return c, true
}

func isError(s *rca.Service, pattern int) bool {
	if pattern < 0 {
		return false
	}
	switch s.Patterns[pattern].Severity {
	case "warn", "error", "fatal":
		return true
	}
	return false
}

// elsewhere gives the share before, over all callers, with which the statement followed the same point.
func elsewhere(v *rca.View, s *rca.Service, at rca.Branch, to int) float64 {
	var k, n uint64
	for _, b := range s.Branches {
		if b.From != at.From || b.Operation != at.Operation {
			continue
		}
		for _, f := range b.Next {
			base, _ := v.Split(f.Slots)
			n += base
			if f.To == to {
				k += base
			}
		}
	}
	if n == 0 {
		return 0
	}
	return float64(k) / float64(n)
}

func short(s string) string {
	if len(s) > 100 {
		return s[:100]
	}
	return s
}
