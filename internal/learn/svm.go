package learn

import "math"

// example is one judgement for the support vector machine.
type example struct {
	features [len(templates)]int32 // places in the weight vector
	y        float64               // 1 mattered, -1 noise
	weight   float64               // how much it counts, above 0
}

// svm is a linear support vector machine, trained in the dual by coordinate steps.
type svm struct {
	weights []float64
}

// sweeps bounds how often the remembered examples are gone through, tolerance is the greatest violation of the
// optimality conditions at which that ends before.
const (
	sweeps    = 20
	tolerance = 0.05
)

// train fits weights to examples in the order of time, and returns the margin that each example had before it was seen
// (prequential, so a fair base of the calibration).
//
// It minimises |w|²/2 + Σ C·weight_i·max(0, 1 - y_i w·x_i), where |x_i| = 1, by coordinate descent in the dual (Hsieh,
// Chang, Lin, Keerthi, Sundararajan: A Dual Coordinate Descent Method for Large-scale Linear SVM, ICML 2008, algorithm 1
// for the hinge loss). The first sweep is the online one: each step is the passive-aggressive update PA-I (Crammer et al.:
// Online Passive-Aggressive Algorithms, JMLR 2006). Further sweeps over the remembered examples find the optimum, so
// that the order in which feedback arrived does not matter. The steps are in a fixed order: the same examples give the
// same weights.
func train(examples []example, features int, c float64) (svm, []float64) {
	m := svm{weights: make([]float64, features)}
	before := make([]float64, len(examples))
	alpha := make([]float64, len(examples))
	scale := 1 / math.Sqrt(float64(len(templates)))
	for sweep := range sweeps {
		worst := 0.0
		for i := range examples {
			e := &examples[i]
			margin := m.margin(&e.features)
			if sweep == 0 {
				before[i] = margin
			}
			limit := c * e.weight
			gradient := float64(e.y*margin) - 1
			next := min(max(alpha[i]-gradient, 0), limit) // |x_i|² = 1
			step := next - alpha[i]
			if step == 0 {
				continue
			}
			worst = max(worst, math.Abs(step)/limit)
			alpha[i] = next
			step *= float64(e.y * scale)
			for _, f := range e.features {
				m.weights[f] += step
			}
		}
		if worst < tolerance {
			break
		}
	}
	return m, before
}

// margin of an incident by its features; those that are not known have the place -1.
func (m svm) margin(features *[len(templates)]int32) float64 {
	sum := 0.0
	for _, f := range features {
		if f >= 0 {
			sum += m.weights[f]
		}
	}
	return sum / math.Sqrt(float64(len(templates)))
}

// platt turns margins into probabilities: 1/(1+exp(-(slope·margin+offset))).
type platt struct{ slope, offset float64 }

// plattPrior is what the calibration is without judgements, and how strongly it is held on to, as inverse variances. A
// margin of 1 then means that it mattered with a probability of 88 %.
var plattPrior = struct{ slope, offset, slopeWeight, offsetWeight float64 }{slope: 2, slopeWeight: 4, offsetWeight: 1}

// calibrate fits the sigmoid by maximum a posteriori with Newton steps (J. Platt: Probabilistic Outputs for Support Vector
// Machines, 1999; the prior on the parameters stands in for his prior on the targets).
func calibrate(margins []float64, examples []example) platt {
	p := platt{plattPrior.slope, plattPrior.offset}
	for range 10 {
		gs, gb := plattPrior.slopeWeight*(p.slope-plattPrior.slope), plattPrior.offsetWeight*(p.offset-plattPrior.offset)
		hss, hsb, hbb := plattPrior.slopeWeight, 0.0, plattPrior.offsetWeight
		for i, m := range margins {
			w, q := examples[i].weight, p.probability(m)
			target := (examples[i].y + 1) / 2
			gs += w * (q - target) * m
			gb += w * (q - target)
			curve := w * q * (1 - q)
			hss += curve * m * m
			hsb += curve * m
			hbb += curve
		}
		det := hss*hbb - hsb*hsb // positive: the prior makes the Hessian definite
		ds, db := (hbb*gs-hsb*gb)/det, (hss*gb-hsb*gs)/det
		p.slope, p.offset = max(p.slope-ds, 0), p.offset-db
		if math.Abs(ds)+math.Abs(db) < 1e-6 {
			break
		}
	}
	return p
}

func (p platt) probability(margin float64) float64 {
	return 1 / (1 + math.Exp(-(p.slope*margin + p.offset)))
}
