// Package logs finds log statements that stopped to follow the one before, or appeared, at some point of the code.
package logs

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/kubebot/kubebot/internal/rca"
)

// Detector compares, within the spans of an operation and for the same caller, which log statement follows which. The
// code between the last usual statement and the missing one is the region at fault.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "logs",
		Doc:  "Log statements that no longer follow, or newly follow, at a point of the code.",
		Features: []rca.Feature{
			{Name: "vanished", Doc: "share of the passes in which the usual statement is missing now, weighed by its novelty"},
			{Name: "certainty", Doc: "how sure that is; 1/2 at four standard deviations"},
			{Name: "error", Doc: "a statement of severity warn or above came instead"},
			{Name: "explained", Doc: "part of it that a callee's own change explains", Against: true},
		},
		Detect: detect,
	}
}

const (
	minPasses = 2
	halfZ     = 4
)

// change is a point of the code where the logs go on differently.
type change struct {
	service  string
	strength float64
	share, z float64
	error    float64
	region   []string
	evidence rca.Evidence
}

func detect(v *rca.View) []rca.Finding {
	best := map[string]change{}
	var names []string
	for _, s := range v.Services {
		var list []change
		for _, b := range s.Branches {
			if c, ok := judge(v, s, b); ok {
				list = append(list, c)
			}
		}
		if len(list) == 0 {
			continue
		}
		slices.SortStableFunc(list, func(a, b change) int { return -cmp.Compare(a.strength, b.strength) })
		best[s.Name] = list[0]
		names = append(names, s.Name)
	}
	var out []rca.Finding
	for _, n := range names {
		c := best[n]
		explained := 0.0
		for d := range v.Downstream(n) {
			if b, ok := best[d]; ok && b.strength > 0 {
				explained = max(explained, min(1, b.strength/c.strength))
			}
		}
		out = append(out, rca.Finding{
			Workload: n, Kind: rca.KindCode, Region: c.region, Evidence: []rca.Evidence{c.evidence},
			Values: map[string]float64{
				"vanished": c.share, "certainty": c.strength, "error": c.error * c.strength, "explained": explained * c.strength,
			},
		})
	}
	return out
}

// judge finds the statement that vanished most after a point, and what came instead.
func judge(v *rca.View, s *rca.Service, b rca.Branch) (change, bool) {
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
	c := change{service: s.Name, share: (pg.Base - pg.Now) * novelty, z: math.Min(-pg.Z, pc.Z) * novelty}
	if c.share <= 0 || c.z < 0.8 {
		return change{}, false
	}
	c.strength = c.share * rca.Squash(c.z, halfZ)
	instead := "nothing"
	if came.To >= 0 {
		instead = s.Patterns[came.To].Text
	}
	if isError(s, came.To) {
		c.error = 1
	}
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
