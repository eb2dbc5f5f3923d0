// Package training fits the weights and the calibration of the root-cause model from incidents with known causes.
package training

import (
	"math"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/internal/rca"
)

// Example is an incident with a known cause.
type Example struct {
	ID string
	// Group names what is held out together (a service, a kind of fault); equal groups never train each other.
	Groups []string
	// Signals are those that the snapshot holds (rca.Snapshot.Signals).
	Signals string
	Weight  float64
	// Hypotheses are the candidates for every onset; the weights choose among them.
	Hypotheses []rca.Hypothesis
	Workload   string
	// Kind is empty when only the workload is known.
	Kind rca.Kind
	// Wrong says that workload and kind are known not to be the cause, and that the right one is not known.
	Wrong bool
	// Region are texts that the region of the cause must hold; empty when the cause has none.
	Region []string
}

// Right says whether a candidate is the known cause; where only a wrong one is known, whether it is another one.
func (e *Example) Right(c *rca.Candidate) bool { return e.named(c) != e.Wrong }

// named says whether a candidate is the cause that was confirmed or rejected.
func (e *Example) named(c *rca.Candidate) bool {
	return c.Workload == e.Workload && (e.Kind == "" || c.Kind == e.Kind)
}

// Shown says whether the cause that was confirmed or rejected is a candidate at all: else the order of the candidates
// can't be learned from it, only that the first of them is wrong.
func (e *Example) Shown() bool {
	for i := range e.Hypotheses {
		for j := range e.Hypotheses[i].Candidates {
			if e.named(&e.Hypotheses[i].Candidates[j]) {
				return true
			}
		}
	}
	return false
}

// RightRegion says whether a candidate is the known cause and its region holds the known texts.
func (e *Example) RightRegion(c *rca.Candidate) bool {
	if !e.Right(c) {
		return false
	}
	for _, want := range e.Region {
		if !slices.ContainsFunc(c.Region, func(r string) bool { return strings.Contains(r, want) }) {
			return false
		}
	}
	return true
}

// Options tune the fit.
type Options struct {
	// Penalty is the strength of the pull to the prior weights, per weight and example.
	Penalty float64
	// Iterations of the gradient descent.
	Iterations int
	// Prior are the weights that few data leave as they are; nil counts every feature alike.
	Prior map[string]float64
}

// DefaultOptions are what `make train` uses.
var DefaultOptions = Options{Penalty: 0.02, Iterations: 1000}

// Prior weights: without data every feature that speaks for a cause counts alike.
const (
	priorFor     = 2
	priorAgainst = -1
)

// entry is one feature of a candidate that is not 0.
type entry struct {
	feature int
	value   float64
}

// problem is the examples as sparse rows.
type problem struct {
	names   []string
	sign    []float64
	prior   []float64
	rows    [][][]entry // example, candidate
	right   [][]bool
	weights []float64
}

// rounds of choosing the onset by the weights and fitting the weights to the onsets.
const rounds = 3

// Fit finds the weights that maximise the penalised likelihood of a conditional logit: in every incident the known cause
// competes with all other candidates. Weights keep the sign that their feature's meaning gives. It is deterministic.
func Fit(examples []Example, detectors []rca.Detector, o Options) map[string]float64 {
	var w map[string]float64
	for range rounds {
		w = fitOnce(examples, w, detectors, o)
	}
	return w
}

func fitOnce(examples []Example, choose map[string]float64, detectors []rca.Detector, o Options) map[string]float64 {
	p := newProblem(examples, choose, detectors, o.Prior)
	w := slices.Clone(p.prior)
	best := slices.Clone(w)
	grad := make([]float64, len(w))
	momentum, second := make([]float64, len(w)), make([]float64, len(w))
	for it := 1; it <= o.Iterations; it++ {
		p.gradient(w, grad, o.Penalty)
		rate := 0.05 / math.Sqrt(1+float64(it)/300)
		for j := range w {
			momentum[j] = 0.9*momentum[j] + 0.1*grad[j]
			second[j] = 0.99*second[j] + 0.01*grad[j]*grad[j]
			m := momentum[j] / (1 - math.Pow(0.9, float64(it)))
			v := second[j] / (1 - math.Pow(0.99, float64(it)))
			w[j] -= rate * m / (math.Sqrt(v) + 1e-8)
			if w[j]*p.sign[j] < 0 {
				w[j] = 0
			}
		}
		copy(best, w)
	}
	out := map[string]float64{}
	for j, n := range p.names {
		out[n] = math.Round(best[j]*1e4) / 1e4
	}
	return out
}

func newProblem(examples []Example, choose map[string]float64, detectors []rca.Detector, priors map[string]float64) *problem {
	p := &problem{}
	for _, d := range detectors {
		for _, f := range d.Features {
			p.names = append(p.names, d.Name+"."+f.Name)
			sign, prior := 1.0, float64(priorFor)
			if f.Against {
				sign, prior = -1, priorAgainst
			}
			if w, ok := priors[d.Name+"."+f.Name]; ok {
				prior = w
			}
			p.sign = append(p.sign, sign)
			p.prior = append(p.prior, prior)
		}
	}
	if choose == nil {
		choose = map[string]float64{}
		for j, n := range p.names {
			choose[n] = p.prior[j]
		}
	}
	for i := range examples {
		e := &examples[i]
		candidates := e.Hypotheses[rca.Best(choose, e.Hypotheses)].Candidates
		var rows [][]entry
		var right []bool
		any := false
		for j := range candidates {
			values := candidates[j].Values
			var x []entry
			for j, n := range p.names { // in order, so that sums are the same every time
				if v := values[n]; v != 0 {
					x = append(x, entry{j, v})
				}
			}
			rows = append(rows, x)
			r := e.Right(&candidates[j])
			right = append(right, r)
			any = any || r
		}
		if !any { // found by no detector: it competes with nothing to show
			rows = append(rows, nil)
			right = append(right, true)
		}
		p.rows = append(p.rows, rows)
		p.right = append(p.right, right)
		p.weights = append(p.weights, e.Weight)
	}
	return p
}

// gradient of the mean negative log likelihood plus the penalty.
func (p *problem) gradient(w, grad []float64, penalty float64) {
	clear(grad)
	var total float64
	var raw []float64
	for i, rows := range p.rows {
		raw = raw[:0]
		top := math.Inf(-1)
		for _, x := range rows {
			s := dot(w, x)
			raw = append(raw, s)
			top = math.Max(top, s)
		}
		var all, good float64
		for c, s := range raw {
			raw[c] = math.Exp(s - top)
			all += raw[c]
			if p.right[i][c] {
				good += raw[c]
			}
		}
		for c, x := range rows {
			d := raw[c] / all
			if p.right[i][c] {
				d -= raw[c] / good
			}
			if d *= p.weights[i]; d != 0 {
				for _, f := range x {
					grad[f.feature] += d * f.value
				}
			}
		}
		total += p.weights[i]
	}
	for j := range grad {
		grad[j] = grad[j]/math.Max(1e-9, total) + penalty*(w[j]-p.prior[j])
	}
}

func dot(w []float64, x []entry) float64 {
	var s float64
	for _, f := range x {
		s += w[f.feature] * f.value
	}
	return s
}
