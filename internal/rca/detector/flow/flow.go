// Package flow finds code that takes another way than before: calls left out, log statements that no longer follow,
// edges fallen silent. That is how an early return or an exception shows, even without any status.
package flow

import (
	"cmp"
	"math"
	"slices"

	"github.com/kubebot/kubebot/internal/rca"
)

// Detector compares the order of calls and of log statements with the time before. What a workload further down the
// same calls explains is taken off.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "flow",
		Doc:  "Code that takes another way than before, apart from what its callees explain.",
		Features: []rca.Feature{
			{Name: "change", Doc: "how much of the passes goes another way, discounted by doubt (1/2 at two standard deviations)"},
			{Name: "certainty", Doc: "the same, discounted more (1/2 at six standard deviations)"},
			{Name: "novel", Doc: "how unlike anything before the new way is (root likelihood ratio; 1/2 at six)"},
			{Name: "error", Doc: "certainty of a change to a statement of severity warn or above, or to an error handler"},
			{Name: "logged", Doc: "certainty of a change that logs show"},
			{Name: "explained", Doc: "certainty of what a callee's own change explains", Against: true},
		},
		Detect: detect,
	}
}

// change is a point of the code that goes on differently.
type change struct {
	service, operation string
	caller             string          // workload and operation on whose behalf it ran; empty when unknown
	reached            map[string]bool // workloads that its calls lead to
	effect             float64         // 0..1, how much of the passes
	z                  float64         // standard deviations
	novel              float64         // root likelihood ratio of something never seen before
	error, logged      bool
	region             []string
	evidence           rca.Evidence
}

func (c *change) strength() float64 { return c.effect * rca.Squash(c.z, 4) }

// maxEvidence bounds the changes told per workload.
const maxEvidence = 3

func detect(v *rca.View) []rca.Finding {
	var all []change
	for _, s := range v.Services {
		for _, o := range s.Operations {
			if c, ok := calls(v, s, o); ok {
				all = append(all, c)
			}
		}
		for _, b := range s.Branches {
			if c, ok := branch(v, s, b); ok {
				all = append(all, c)
			}
		}
		all = append(all, silence(v, s)...)
	}
	byService := map[string][]int{}
	left := make([]float64, len(all)) // what callees do not explain
	for i := range all {
		byService[all[i].service] = append(byService[all[i].service], i)
		left[i] = 1 - explained(all, i)
	}
	var out []rca.Finding
	for _, s := range v.Services {
		list := byService[s.Name]
		if len(list) == 0 {
			continue
		}
		slices.SortStableFunc(list, func(a, b int) int {
			return -cmp.Compare(all[a].strength()*left[a], all[b].strength()*left[b])
		})
		out = append(out, finding(s.Name, all, list, left))
	}
	return out
}

func finding(service string, all []change, list []int, left []float64) rca.Finding {
	c, rest := &all[list[0]], left[list[0]]
	f := rca.Finding{Workload: service, Kind: rca.KindCode, Values: map[string]float64{
		"change":    c.effect * rca.Squash(c.z, 2) * rest,
		"certainty": c.effect * rca.Squash(c.z, 6) * rest,
		"novel":     rca.Squash(c.novel, 6) * rest,
		"explained": c.effect * rca.Squash(c.z, 6) * (1 - rest),
	}}
	for _, i := range list {
		x := all[i].effect * rca.Squash(all[i].z, 6) * left[i]
		if all[i].error {
			f.Values["error"] = max(f.Values["error"], x)
		}
		if all[i].logged {
			f.Values["logged"] = max(f.Values["logged"], x)
		}
		if all[i].strength()*left[i] > 0.3*c.strength()*rest && len(f.Evidence) < maxEvidence {
			f.Evidence = append(f.Evidence, all[i].evidence)
		}
	}
	// log statements bound a region more closely than calls do
	for _, logged := range []bool{true, false} {
		for _, i := range list {
			if all[i].logged == logged && len(f.Region) < 6 {
				f.Region = append(f.Region, all[i].region...)
			}
		}
	}
	f.Region = f.Region[:min(6, len(f.Region))]
	return f
}

// explained gives the part of change i that changes of workloads further down the same calls account for.
func explained(all []change, i int) float64 {
	var most float64
	for j := range all {
		a, b := &all[i], &all[j]
		if a.service == b.service || !a.reached[b.service] {
			continue
		}
		if b.reached[a.service] && b.strength() <= a.strength() { // they call each other
			continue
		}
		if b.caller != "" && !a.reached[workloadOf(b.caller)] && workloadOf(b.caller) != a.service {
			continue
		}
		most = max(most, min(1, 1.3*b.strength()/max(1e-9, a.strength())))
	}
	return 0.95 * most
}

func workloadOf(caller string) string {
	for i := range len(caller) {
		if caller[i] == ' ' {
			return caller[:i]
		}
	}
	return caller
}

// reach adds the workloads that an operation leads to.
func reach(v *rca.View, service, op string, seen, done map[string]bool) {
	key := service + "\x00" + op
	if done[key] {
		return
	}
	done[key] = true
	seen[service] = true
	for i := range v.Links {
		l := &v.Links[i]
		if l.Caller == service && l.CallerOperation == op {
			reach(v, l.Callee, l.CalleeOperation, seen, done)
		}
	}
}

// rootLikelihood gives the root of the likelihood ratio between k of n now and at most half a case of before.
func rootLikelihood(k, n, before float64) float64 {
	if k <= 0 || n <= 0 {
		return 0
	}
	p, q := k/n, min(0.5/(before+1), k/n)
	ll := k * math.Log(p/q)
	if p < 1 {
		ll += (n - k) * math.Log((1-p)/(1-q))
	}
	return math.Sqrt(2 * max(0, ll))
}
