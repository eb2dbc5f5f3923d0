package rca

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// Engine ranks the causes of an incident with a set of detectors and a model. It is safe for concurrent use.
type Engine struct {
	detectors []Detector
	model     *Model
}

// NewEngine checks that the model fits the detectors.
func NewEngine(detectors []Detector, m *Model) (*Engine, error) {
	known := map[string]bool{}
	for _, d := range detectors {
		for _, f := range d.Features {
			n := d.Name + "." + f.Name
			if known[n] {
				return nil, fmt.Errorf("feature %s defined twice", n)
			}
			known[n] = true
		}
	}
	for n := range m.Weights {
		if !known[n] {
			return nil, fmt.Errorf("the model weighs %s, which no detector measures", n)
		}
	}
	return &Engine{detectors: detectors, model: m}, nil
}

// Candidate is a possible cause with everything measured for it.
type Candidate struct {
	Workload string
	Kind     Kind
	Values   map[string]float64 // by detector.feature
	Evidence []Evidence
	Region   []string
	// Onset is the step with which the trouble begins.
	Onset int
}

type candidateKey struct {
	workload string
	kind     Kind
}

type foundBy struct {
	Finding
	detector string
	onset    int
}

// Hypothesis is the candidates under the assumption of one onset.
type Hypothesis struct {
	Onset      int
	Candidates []Candidate
	// Late says that the onset lies after the alarm, which is rare: clocks differ, or another alarm came first.
	Late bool
}

// latePenalty is what a late onset costs in raw score: about a third of the odds.
const latePenalty = 1

// Hypotheses runs the detectors for several onsets around the alarm. Candidates are in the order of workload and kind.
func (e *Engine) Hypotheses(s *Snapshot) []Hypothesis {
	allowed := map[string]bool{}
	for _, c := range s.Candidates {
		allowed[c] = true
	}
	var out []Hypothesis
	for _, onset := range onsets(s) {
		v := NewView(s, onset)
		var found []foundBy
		for _, d := range e.detectors {
			for _, f := range d.Detect(v) {
				if len(allowed) == 0 || allowed[f.Workload] {
					found = append(found, foundBy{f, d.Name, onset})
				}
			}
		}
		out = append(out, Hypothesis{onset, combine(found), s.Steps[onset].Start > s.Alarm+stepLength(s)})
	}
	return out
}

// Best gives the index of the hypothesis whose leading candidate has the highest raw score: the right onset gives the
// sharpest contrast.
func Best(weights map[string]float64, hs []Hypothesis) int {
	m := Model{Weights: weights}
	best, top := 0, math.Inf(-1)
	for i := range hs {
		for j := range hs[i].Candidates {
			raw := m.Raw(&hs[i].Candidates[j])
			if hs[i].Late {
				raw -= latePenalty
			}
			if raw > top+1e-9 {
				best, top = i, raw
			}
		}
	}
	return best
}

// onsets lists the steps at which the trouble may have begun: every second one from the look-back until a minute after
// the alarm, as long as something lies before them.
func onsets(s *Snapshot) []int {
	var out []int
	for i, w := range s.Steps {
		if (len(s.Baseline) == 0 && i == 0) || (i > 0 && w.Start > s.Alarm+max(int64(60e9), stepLength(s))) {
			continue
		}
		if w.End-w.Start <= int64(30e9) && i%2 == 1 {
			continue
		}
		out = append(out, i)
	}
	if len(out) == 0 {
		out = append(out, len(s.Steps)-1)
	}
	return out
}

// speaksFor says whether any candidate can take a finding without kind.
func speaksFor(order []candidateKey, f foundBy) bool {
	return slices.ContainsFunc(order, func(k candidateKey) bool {
		return k.workload == f.Workload && !slices.Contains(f.Except, k.kind)
	})
}

func stepLength(s *Snapshot) int64 { return s.Steps[0].End - s.Steps[0].Start }

// combine joins the findings of one onset to candidates; findings without kind go to every candidate of their workload.
func combine(found []foundBy) []Candidate {
	slices.SortStableFunc(found, func(a, b foundBy) int {
		return cmp.Or(cmp.Compare(a.detector, b.detector), cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Kind, b.Kind))
	})
	byKey := map[candidateKey]*Candidate{}
	var order []candidateKey
	get := func(k candidateKey) *Candidate {
		c := byKey[k]
		if c == nil {
			c = &Candidate{Workload: k.workload, Kind: k.kind, Values: map[string]float64{}}
			byKey[k] = c
			order = append(order, k)
		}
		return c
	}
	for _, f := range found {
		if f.Kind != "" {
			get(candidateKey{f.Workload, f.Kind}).add(f)
		}
	}
	for _, f := range found {
		if f.Kind != "" {
			continue
		}
		if !speaksFor(order, f) {
			get(candidateKey{f.Workload, KindUnknown})
		}
		for _, o := range order {
			if o.workload == f.Workload && !slices.Contains(f.Except, o.kind) {
				byKey[o].add(f)
			}
		}
	}
	slices.SortFunc(order, func(a, b candidateKey) int {
		return cmp.Or(cmp.Compare(a.workload, b.workload), cmp.Compare(a.kind, b.kind))
	})
	out := make([]Candidate, len(order))
	for i, k := range order {
		out[i] = *byKey[k]
	}
	return out
}

func (c *Candidate) add(f foundBy) {
	for n, x := range f.Values {
		c.Values[f.detector+"."+n] = Clamp(x)
	}
	c.Onset = f.onset
	for _, ev := range f.Evidence {
		ev.Detector = f.detector
		c.Evidence = append(c.Evidence, ev)
	}
	c.Region = append(c.Region, f.Region...)
}

// Analyse ranks the causes of the incident, best first, at most one per workload and kind.
func (e *Engine) Analyse(s *Snapshot) (*Result, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("analyse: %w", err)
	}
	hs := e.Hypotheses(s)
	if len(hs) == 0 {
		return e.model.rank(s, nil), nil
	}
	return e.model.rank(s, hs[Best(e.model.Weights, hs)].Candidates), nil
}

// names lists the feature names of a candidate in order.
func (c *Candidate) names() []string {
	out := make([]string, 0, len(c.Values))
	for n := range c.Values {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}
