package rca

import (
	"cmp"
	"fmt"
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
	// Onset is the step with which the strongest finding begins.
	Onset int
}

type candidateKey struct {
	workload string
	kind     Kind
}

type scoredFinding struct {
	Finding
	detector string
	onset    int
	strength float64
}

// Candidates runs the detectors for several onsets around the alarm and keeps the strongest finding of each detector,
// workload and kind. The order is by workload and kind.
func (e *Engine) Candidates(s *Snapshot) []Candidate {
	allowed := map[string]bool{}
	for _, c := range s.Candidates {
		allowed[c] = true
	}
	best := map[[3]string]scoredFinding{}
	for _, onset := range onsets(s) {
		v := NewView(s, onset)
		for _, d := range e.detectors {
			for _, f := range d.Detect(v) {
				if len(allowed) > 0 && !allowed[f.Workload] {
					continue
				}
				sf := scoredFinding{f, d.Name, onset, strength(d, f)}
				k := [3]string{d.Name, f.Workload, string(f.Kind)}
				if old, ok := best[k]; !ok || sf.strength > old.strength {
					best[k] = sf
				}
			}
		}
	}
	return combine(best)
}

// strength adds up what speaks for a finding.
func strength(d Detector, f Finding) float64 {
	var sum float64
	for _, ft := range d.Features {
		if !ft.Against {
			sum += Clamp(f.Values[ft.Name])
		}
	}
	return sum
}

// onsets lists the steps at which the trouble may have begun: every second one from the look-back until a minute after
// the alarm, as long as something lies before them.
func onsets(s *Snapshot) []int {
	var out []int
	for i, w := range s.Steps {
		if (len(s.Baseline) == 0 && i == 0) || (i > 0 && w.Start > s.Alarm+int64(60e9)) {
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

// combine joins the findings to candidates; findings without kind go to every candidate of their workload.
func combine(best map[[3]string]scoredFinding) []Candidate {
	keys := make([][3]string, 0, len(best))
	for k := range best {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [3]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2]))
	})
	byKey := map[candidateKey]*Candidate{}
	var order []candidateKey
	kinds := map[string]int{}
	get := func(k candidateKey) *Candidate {
		c := byKey[k]
		if c == nil {
			c = &Candidate{Workload: k.workload, Kind: k.kind, Values: map[string]float64{}}
			byKey[k] = c
			order = append(order, k)
			kinds[k.workload]++
		}
		return c
	}
	for _, k := range keys {
		if k[2] != "" {
			get(candidateKey{k[1], Kind(k[2])}).add(best[k])
		}
	}
	for _, k := range keys {
		if k[2] != "" {
			continue
		}
		if kinds[k[1]] == 0 {
			get(candidateKey{k[1], KindUnknown})
		}
		for _, o := range order {
			if o.workload == k[1] {
				byKey[o].add(best[k])
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

func (c *Candidate) add(f scoredFinding) {
	for n, x := range f.Values {
		c.Values[f.detector+"."+n] = Clamp(x)
	}
	if len(c.Evidence) == 0 {
		c.Onset = f.onset
	}
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
	return e.model.rank(s, e.Candidates(s)), nil
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
