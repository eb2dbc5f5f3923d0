package learn

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Row is what was learned of one cell, for people.
type Row struct {
	Team string `json:"team"`
	Kind string `json:"kind"`
	// Mattered and Noise count what people said, Hints what they did.
	Mattered int `json:"mattered"`
	Noise    int `json:"noise"`
	Hints    int `json:"hints"`
	// Last is when the newest judgement was made.
	Last time.Time `json:"last,omitzero"`
	// Chance that an incident like the last one matters, in percent.
	Chance int `json:"chance"`
	// Action, Reason and Why: what would be done with an incident like the last one if it were a warning that a route takes, without exploring.
	Action Action `json:"action"`
	Reason Reason `json:"reason"`
	Why    string `json:"why"`
}

// Rows returns what was learned at a time, cells in the order of team and kind. Cells without a judgement are left out.
func (m *Model) Rows(now time.Time) []Row {
	greedy := *m
	greedy.settings.Explore = Upward(0, 0)
	var out []Row
	for _, c := range m.state.Cells {
		n := len(c.Judgements)
		if n == 0 {
			continue
		}
		r := Row{Team: c.Team, Kind: c.Kind, Last: c.Judgements[n-1].At}
		for _, j := range c.Judgements {
			switch {
			case !j.Signal.Explicit():
				r.Hints++
			case j.Signal == Mattered:
				r.Mattered++
			default:
				r.Noise++
			}
		}
		in := Incident{Team: c.Team, Kind: c.Kind, Case: c.Judgements[n-1].Case}
		in.Severity = SeverityWarning
		a := greedy.Advise(Holdable{in}, Question{Plain: Push, Now: now})
		b := m.believe(in, now)
		r.Chance, r.Action, r.Reason, r.Why = int(100*b.chance+0.5), a.Action, a.Reason, a.Message
		out = append(out, r)
	}
	return out
}

// Weight is one weight of the support vector machine.
type Weight struct {
	// Feature for people, such as team=shop kind=PodCrashLooping.
	Feature string `json:"feature"`
	// Weight: above 0 speaks for a push.
	Weight float64 `json:"weight"`
}

// Weights returns the heaviest weights of the support vector machine, at most n.
func (m *Model) Weights(n int) []Weight {
	names := map[int32]string{}
	for _, c := range m.state.Cells {
		ready := m.cells[[2]string{c.Team, c.Kind}]
		for _, v := range ready.values {
			for i, place := range m.look(vectorOf(v)) {
				if _, known := names[place]; !known {
					names[place] = nameOf(templates[i], v)
				}
			}
		}
	}
	out := make([]Weight, 0, len(names))
	for place, name := range names {
		out = append(out, Weight{Feature: name, Weight: m.svm.weights[place]})
	}
	slices.SortFunc(out, func(a, b Weight) int {
		return cmp.Or(cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)), cmp.Compare(a.Feature, b.Feature))
	})
	return out[:min(n, len(out))]
}
