package flow

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/internal/rca"
)

const (
	minCalls = 4
	minNow   = 2
	untold   = 0.3 // what a new combination counts that lacks nothing
)

// calls adds up the shapes of an operation that are new or much more common than before. A shape is compared with the
// calls that have at least its children.
func calls(v *rca.View, s *rca.Service, o *rca.Op) (change, bool) {
	a := change{service: s.Name, operation: o.Name, reached: map[string]bool{}}
	if o.Client || len(o.Shapes) < 2 {
		return a, false
	}
	known := knownChildren(v, o)
	type grown struct {
		shape rca.Shape
		p     rca.Proportion
	}
	var up []grown
	for _, sh := range o.Shapes {
		if recovered(v, o, sh) {
			continue
		}
		p := v.Compare(sh.Slots, alike(o, sh, known))
		if p.NBase >= minCalls && p.NNow >= minNow && p.Now > p.Base && p.Z > 1.5 {
			up = append(up, grown{sh, p})
		}
	}
	if len(up) == 0 {
		return a, false
	}
	slices.SortStableFunc(up, func(x, y grown) int { return -cmp.Compare(x.p.Z, y.p.Z) })
	done := map[string]bool{}
	for _, g := range up {
		// a shape that was common before is a change of traffic rather than of code
		novelty := 1 - g.p.Base/g.p.Now
		if !telling(v, o, g.shape, known) {
			novelty *= untold
		}
		a.effect = max(a.effect, math.Sqrt((g.p.Now-g.p.Base)*novelty))
		a.z = math.Hypot(a.z, g.p.Z*novelty)
		if g.p.Base == 0 {
			k := g.p.Now * float64(g.p.NNow)
			a.novel = math.Hypot(a.novel, novelty*rootLikelihood(k, float64(g.p.NNow), float64(g.p.NBase)))
		}
		for _, c := range g.shape.Children {
			reach(v, v.Links[c].Callee, v.Links[c].CalleeOperation, a.reached, done)
			a.error = a.error || !known[c] && isErrorHandler(v.Links[c].CalleeOperation)
		}
	}
	delete(a.reached, s.Name)
	missing := leftOut(v, o, up[0].shape)
	a.evidence = rca.Evidence{
		Text: fmt.Sprintf("%s: %.0f %% of %d calls %s, before %.0f %% of %d", o.Name, 100*up[0].p.Now, up[0].p.NNow,
			missing, 100*up[0].p.Base, up[0].p.NBase),
		Before: up[0].p.Base, Now: up[0].p.Now, Unit: "1",
	}
	a.region = regionOf(v, o, up[0].shape)
	return a, true
}

// telling says that the shape lacks calls or has a new error handler, as after an early return or an exception. Other
// new combinations come with new data too.
func telling(v *rca.View, o *rca.Op, sh rca.Shape, known map[int]bool) bool {
	for _, c := range sh.Children {
		if !known[c] && isErrorHandler(v.Links[c].CalleeOperation) {
			return true
		}
	}
	return len(usual(v, o, sh).Children) > 0
}

// knownChildren gives the child links that the operation had before.
func knownChildren(v *rca.View, o *rca.Op) map[int]bool {
	out := map[int]bool{}
	for _, sh := range o.Shapes {
		if b, _ := v.Split(sh.Slots); b > 0 {
			for _, c := range sh.Children {
				out[c] = true
			}
		}
	}
	return out
}

// alike counts, per slot, the calls that have at least the shape's known children: what the shape could have been.
func alike(o *rca.Op, odd rca.Shape, known map[int]bool) []uint64 {
	out := make([]uint64, len(o.Slots))
	for _, sh := range o.Shapes {
		if !within(odd.Children, sh.Children, known) {
			continue
		}
		for i, n := range sh.Slots {
			out[i] += n
		}
	}
	return out
}

func within(part, whole []int, known map[int]bool) bool {
	for _, c := range part {
		if known[c] && !slices.Contains(whole, c) {
			return false
		}
	}
	return true
}

// recovered says that the shape lacks nothing but error handlers: fewer errors than before is no trouble.
func recovered(v *rca.View, o *rca.Op, sh rca.Shape) bool {
	u := usual(v, o, sh)
	if len(u.Children) == 0 {
		return false
	}
	for _, c := range u.Children {
		if !slices.Contains(sh.Children, c) && !isErrorHandler(v.Links[c].CalleeOperation) {
			return false
		}
	}
	return true
}

// isErrorHandler recognises operations that frameworks run to answer with an error, by their names.
func isErrorHandler(op string) bool {
	op = strings.ToLower(op)
	return strings.Contains(op, "error") || strings.Contains(op, "exception")
}

// usual gives the most common shape before.
func usual(v *rca.View, o *rca.Op, odd rca.Shape) (best rca.Shape) {
	var most uint64
	for _, sh := range o.Shapes {
		b, _ := v.Split(sh.Slots)
		common := 0
		for _, c := range odd.Children {
			if slices.Contains(sh.Children, c) {
				common++
			}
		}
		if common == len(odd.Children) && len(sh.Children) > len(odd.Children) && b > most {
			most, best = b, sh
		}
	}
	return best
}

func leftOut(v *rca.View, o *rca.Op, odd rca.Shape) string {
	var names []string
	for _, c := range usual(v, o, odd).Children {
		if !slices.Contains(odd.Children, c) {
			names = append(names, v.Links[c].CalleeOperation)
		}
	}
	if len(names) == 0 {
		return "have a combination of calls hardly seen before"
	}
	if len(names) > 3 {
		names = append(names[:3], "more")
	}
	return "leave out " + strings.Join(names, ", ")
}

// regionOf names the operation, what it still calls and what it no longer does.
func regionOf(v *rca.View, o *rca.Op, odd rca.Shape) []string {
	out := []string{o.Name + " start"}
	for _, c := range usual(v, o, odd).Children {
		if !slices.Contains(odd.Children, c) {
			out = append(out, v.Links[c].CalleeOperation+" start")
			break
		}
	}
	return out
}
