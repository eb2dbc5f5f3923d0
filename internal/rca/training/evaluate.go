package training

import (
	"math"
	"slices"
	"sort"

	"github.com/kubebot/kubebot/internal/rca"
)

// Outcome is how one example was ranked by weights that did or did not see it.
type Outcome struct {
	Example *Example
	Ranked  []rca.Candidate
	Raw     []float64
	// ServiceRank, CauseRank and RegionRank are the ranks of the right workload, of the right workload and kind, and of
	// those with the right region, ties counted against; 0 when absent.
	ServiceRank, CauseRank, RegionRank int
}

// Rank orders the candidates of an example by weights.
func Rank(e *Example, weights map[string]float64) Outcome {
	m := rca.Model{Weights: weights}
	o := Outcome{Example: e}
	if len(e.Hypotheses) == 0 {
		return o
	}
	cands := slices.Clone(e.Hypotheses[rca.Best(weights, e.Hypotheses)].Candidates)
	raw := map[*rca.Candidate]float64{}
	ptr := make([]*rca.Candidate, len(cands))
	for i := range cands {
		ptr[i] = &cands[i]
		raw[ptr[i]] = m.Raw(ptr[i])
	}
	sort.SliceStable(ptr, func(i, j int) bool { return raw[ptr[i]] > raw[ptr[j]] })
	for _, c := range ptr {
		o.Ranked = append(o.Ranked, *c)
		o.Raw = append(o.Raw, raw[c])
	}
	o.ServiceRank = rankOf(o, func(c *rca.Candidate) bool { return c.Workload == e.Workload }, true)
	o.CauseRank = rankOf(o, e.Right, false)
	o.RegionRank = rankOf(o, e.RightRegion, false)
	return o
}

// rankOf counts distinct workloads (or candidates) up to the first right one and through its ties.
func rankOf(o Outcome, right func(*rca.Candidate) bool, byWorkload bool) int {
	hit := slices.IndexFunc(o.Ranked, func(c rca.Candidate) bool { return right(&c) })
	if hit < 0 {
		return 0
	}
	seen := map[string]bool{}
	rank := 0
	for i, c := range o.Ranked {
		if i > hit && o.Raw[i] < o.Raw[hit] {
			break
		}
		key := c.Workload
		if !byWorkload {
			key += "\x00" + string(c.Kind)
		}
		if !seen[key] {
			seen[key] = true
			rank++
		}
	}
	return rank
}

// LeaveOut ranks every example by weights fitted without the examples that share its group of the given prefix.
func LeaveOut(examples []Example, prefix string, detectors []rca.Detector, o Options) []Outcome {
	return LeaveOutOf(examples, examples, prefix, detectors, o)
}

// LeaveOutOf ranks other examples, such as the same incidents seen less well, by weights fitted to the examples that do
// not share their group of the given prefix.
func LeaveOutOf(examples, others []Example, prefix string, detectors []rca.Detector, o Options) []Outcome {
	var groups []string
	member := map[string][]int{}
	for i := range others {
		for _, g := range others[i].Groups {
			if len(g) >= len(prefix) && g[:len(prefix)] == prefix {
				if member[g] == nil {
					groups = append(groups, g)
				}
				member[g] = append(member[g], i)
			}
		}
	}
	slices.Sort(groups)
	out := make([]Outcome, len(others))
	for _, g := range groups {
		var train []Example
		for i := range examples {
			if !slices.Contains(examples[i].Groups, g) {
				train = append(train, examples[i])
			}
		}
		w := Fit(train, detectors, o)
		for _, i := range member[g] {
			out[i] = Rank(&others[i], w)
		}
	}
	return out
}

// Figures are the usual measures of a set of ranks (0 counts as not found). Avg5 is the mean of AC@1 to AC@5.
type Figures struct {
	N                        int
	AC1, AC3, AC5, Avg5, MRR float64
	Low, High                float64 // 95 % Wilson interval of AC1
}

// Measure computes the figures of ranks.
func Measure(ranks []int) Figures {
	f := Figures{N: len(ranks)}
	if f.N == 0 {
		return f
	}
	for _, r := range ranks {
		if r == 0 {
			continue
		}
		f.MRR += 1 / float64(r)
		if r <= 1 {
			f.AC1++
		}
		if r <= 3 {
			f.AC3++
		}
		if r <= 5 {
			f.AC5++
			f.Avg5 += float64(6-r) / 5
		}
	}
	n := float64(f.N)
	f.AC1, f.AC3, f.AC5, f.Avg5, f.MRR = f.AC1/n, f.AC3/n, f.AC5/n, f.Avg5/n, f.MRR/n
	f.Low, f.High = Wilson(f.AC1, n)
	return f
}

// Wilson gives the 95 % score interval of a share (Wilson 1927). For a mean of values in 0..1 it is at least as wide as
// needed: none varies more than a share of the same mean.
func Wilson(p, n float64) (low, high float64) {
	const z = 1.96
	mid := (p + z*z/(2*n)) / (1 + z*z/n)
	if n == 0 {
		return 0, 1
	}
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return math.Max(0, mid-half), math.Min(1, mid+half)
}

// calibrationDepth is how many of the leading candidates of an incident calibration looks at.
const calibrationDepth = 2

type sample struct {
	x      [3]float64 // 1, share, raw
	weight float64
	right  float64 // 0..1
}

func sampleOf(o *Outcome, i int, weight, right float64) sample {
	return sample{[3]float64{1, rca.ShareLogit(o.Raw[i], o.Raw), o.Raw[i]}, weight, right}
}

// samples are the leading candidates of outcomes with whether they are right. Where people only said what is wrong, that
// is known of no other candidate.
func samples(outcomes []Outcome) []sample {
	var xs []sample
	for k := range outcomes {
		o := &outcomes[k]
		for i := range min(calibrationDepth, len(o.Raw)) {
			switch right := o.Example.Right(&o.Ranked[i]); {
			case right && !o.Example.Wrong:
				xs = append(xs, sampleOf(o, i, o.Example.Weight, 1))
			case !right:
				xs = append(xs, sampleOf(o, i, o.Example.Weight, 0))
			}
		}
	}
	return xs
}

// Calibrate fits the logistic map from raw scores to probabilities (Platt scaling) on outcomes of weights that had not
// seen them. Outcomes of fault-free times have no right candidate.
func Calibrate(outcomes []Outcome) rca.Calibration {
	return CalibrateOn(outcomes, rca.Calibration{}, ridge)
}

// ridge is the pull to zero of the calibration's numbers, in log likelihood.
const ridge = 0.1

// CalibrateOn is Calibrate with a pull to another calibration, of the given strength: few outcomes change it little.
func CalibrateOn(outcomes []Outcome, center rca.Calibration, strength float64) rca.Calibration {
	return calibrate(samples(outcomes), center, strength)
}

// Believed says how probable other weights, with their own calibration, hold a candidate of an example.
type Believed func(e *Example, c *rca.Candidate) float64

// Belief is what a model holds of the candidates of incidents with the same signals.
func Belief(m *rca.Model) Believed {
	ranked := map[*Example]Outcome{}
	return func(e *Example, c *rca.Candidate) float64 {
		o, ok := ranked[e]
		if !ok {
			o = Rank(e, m.Weights)
			ranked[e] = o
		}
		i := slices.IndexFunc(o.Ranked, func(x rca.Candidate) bool { return x.Workload == c.Workload && x.Kind == c.Kind })
		if i < 0 {
			return 0 // with another onset it is no candidate
		}
		return m.Calibration.Probability(o.Raw[i], o.Raw)
	}
}

// Recalibrate is Calibrate for few outcomes: what was believed before of the leading candidates counts as much as so many
// incidents. It is said of candidates and not of raw scores, as other weights have another scale.
func Recalibrate(outcomes, others []Outcome, before Believed, incidents float64) rca.Calibration {
	xs := samples(outcomes)
	for k := range others {
		o := &others[k]
		for i := range min(calibrationDepth, len(o.Raw)) {
			xs = append(xs, sampleOf(o, i, incidents/float64(len(others)), before(o.Example, &o.Ranked[i])))
		}
	}
	return calibrate(xs, rca.Calibration{}, ridge)
}

func calibrate(xs []sample, center rca.Calibration, strength float64) rca.Calibration {
	pull := pull{[3]float64{center.Bias, center.Share, center.Raw}, strength}
	c := newton(xs, [3]bool{true, true, true}, pull)
	// more raw score or share must never mean less
	if c[1] < 0 {
		c = newton(xs, [3]bool{true, false, true}, pull)
	}
	if c[2] < 0 {
		c = newton(xs, [3]bool{true, c[1] > 0, false}, pull)
	}
	r := func(x float64) float64 { return math.Round(x*1e4) / 1e4 }
	return rca.Calibration{Bias: r(c[0]), Share: r(math.Max(0, c[1])), Raw: r(math.Max(0, c[2])), Abstain: center.Abstain}
}

// pull is a ridge around a center.
type pull struct {
	center   [3]float64
	strength float64
}

// newton maximises the likelihood of a logistic regression with a ridge by Newton's method.
func newton(xs []sample, use [3]bool, to pull) (c [3]float64) {
	for j := range 3 {
		if use[j] {
			c[j] = to.center[j]
		}
	}
	for range 50 {
		var g [3]float64
		var h [3][3]float64
		for j := range 3 {
			h[j][j] = to.strength
			g[j] = to.strength * (c[j] - to.center[j])
		}
		for _, s := range xs {
			p := 1 / (1 + math.Exp(-(c[0]*s.x[0] + c[1]*s.x[1] + c[2]*s.x[2])))
			d := p - s.right
			for j := range 3 {
				g[j] += s.weight * d * s.x[j]
				for k := range 3 {
					h[j][k] += s.weight * p * (1 - p) * s.x[j] * s.x[k]
				}
			}
		}
		for j := range 3 {
			if !use[j] {
				g[j], h[j] = 0, [3]float64{}
				h[0][j], h[1][j], h[2][j], h[j][j] = 0, 0, 0, 1
			}
		}
		for j, d := range solve(h, g) {
			c[j] -= d
		}
	}
	return c
}

// solve does Gauss elimination on a positive definite system.
func solve(a [3][3]float64, b [3]float64) [3]float64 {
	for i := range 3 {
		for j := i + 1; j < 3; j++ {
			f := a[j][i] / a[i][i]
			for k := i; k < 3; k++ {
				a[j][k] -= f * a[i][k]
			}
			b[j] -= f * b[i]
		}
	}
	for i := 2; i >= 0; i-- {
		for k := i + 1; k < 3; k++ {
			b[i] -= a[i][k] * b[k]
		}
		b[i] /= a[i][i]
	}
	return b
}

// Reliability is the top score against how often it is right.
type Reliability struct {
	// Error is the expected calibration error over five bins; Brier the mean squared error.
	Error, Brier float64
	Bins         []Bin
}

// Bin is the mean score of some incidents beside the share of them where the leading candidate was right.
type Bin struct {
	Score float64 `json:"score"`
	Right float64 `json:"right"`
	N     float64 `json:"n"`
}

// Check measures how well the scores of the leading candidates fit the truth, incidents weighed as in training.
func Check(outcomes []Outcome, c rca.Calibration) Reliability {
	return CheckEach(outcomes, func(*Outcome) rca.Calibration { return c })
}

// CheckEach is Check where outcomes have calibrations of their own, such as ones that had not seen them.
func CheckEach(outcomes []Outcome, of func(*Outcome) rca.Calibration) Reliability {
	const bins = 5
	var score, right, n [bins]float64
	var r Reliability
	var total float64
	for i := range outcomes {
		o := &outcomes[i]
		if len(o.Raw) == 0 {
			continue
		}
		p, w := of(o).Probability(o.Raw[0], o.Raw), o.Example.Weight
		b := min(bins-1, int(p*bins))
		y := 0.0
		if o.Example.Right(&o.Ranked[0]) {
			y = 1
		}
		score[b] += w * p
		right[b] += w * y
		n[b] += w
		r.Brier += w * (p - y) * (p - y)
		total += w
	}
	for b := range bins {
		if n[b] > 0 {
			r.Bins = append(r.Bins, Bin{score[b] / n[b], right[b] / n[b], n[b]})
		}
	}
	for b := range n {
		r.Error += math.Abs(score[b]-right[b]) / math.Max(1, total)
	}
	r.Brier /= math.Max(1, total)
	return r
}

// TopScore gives the calibrated score of an outcome's leading candidate, 0 without any.
func TopScore(o Outcome, c rca.Calibration) float64 {
	if len(o.Raw) == 0 {
		return 0
	}
	return c.Probability(o.Raw[0], o.Raw)
}
