package rca

import "slices"

// Result is the ranked answer of the engine.
type Result struct {
	Version int   `json:"version"`
	Model   int   `json:"model"`
	Alarm   int64 `json:"alarm"`
	// Abstained says that nothing stands out; the causes are then only hints.
	Abstained bool     `json:"abstained"`
	Causes    []Cause  `json:"causes"`
	Missing   []string `json:"missing,omitempty"`
}

// Cause is one ranked cause.
type Cause struct {
	Workload string `json:"workload"`
	Kind     Kind   `json:"kind"`
	// Score is the calibrated probability in 0..1 that workload and kind are right; Raw is what the ranking goes by.
	Score    float64    `json:"score"`
	Raw      float64    `json:"raw"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// Region bounds the code at fault: first the last thing seen, then what is missing or new.
	Region []string `json:"region,omitempty"`
	// Path leads from where the trouble shows to the cause.
	Path []string `json:"path,omitempty"`
	// Onset is when the trouble began, Unix nanoseconds.
	Onset int64  `json:"onset"`
	Fix   string `json:"fix"`
}

// path finds the shortest way from the target (or, without one, an entry) down the calls to the workload.
func path(s *Snapshot, to string) []string {
	callees := map[string][]string{}
	called := map[string]bool{}
	add := func(a, b string) {
		if a != b && !slices.Contains(callees[a], b) {
			callees[a] = append(callees[a], b)
			called[b] = true
		}
	}
	for _, l := range s.Links {
		add(l.Caller, l.Callee)
	}
	for _, e := range s.Edges {
		add(e.Caller, e.Callee)
	}
	var queue [][]string
	if s.Target != nil {
		queue = append(queue, []string{s.Target.Workload})
	} else {
		for _, w := range s.Workloads {
			if !called[w.Name] && len(callees[w.Name]) > 0 {
				queue = append(queue, []string{w.Name})
			}
		}
	}
	seen := map[string]bool{}
	for ; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		last := p[len(p)-1]
		if last == to {
			return p
		}
		if seen[last] {
			continue
		}
		seen[last] = true
		for _, c := range callees[last] {
			queue = append(queue, append(slices.Clone(p), c))
		}
	}
	return []string{to}
}
