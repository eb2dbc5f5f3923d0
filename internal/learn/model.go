package learn

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Settings of the learning. The zero value is not usable; take Defaults.
type Settings struct {
	// Costs of the actions.
	Costs Costs
	// Explore is the exploring policy.
	Explore Explorer
	// C is the price of an error of the support vector machine against the size of its weights.
	C float64
	// HalfLife is the age at which a judgement counts half.
	HalfLife time.Duration
	// Fade is what a judgement counts for each newer one of the same cell, multiplied, 0 to 1.
	Fade float64
	// Prior is for how many judgements of the cell the support vector machine counts.
	Prior float64
	// Alike is how much a judgement of the cell counts for each of part of the week, recurrence and length in which its
	// incident was another, multiplied, 0 to 1.
	Alike float64
	// Caution is by how many standard deviations the chance that an incident matters is taken higher than it seems.
	Caution float64
	// ForDigest, ForQuiet and ForPush are the weights of the cell's judgements that are needed to put an incident that the
	// plain rules push into the digest, to keep it quiet, and to make one louder than the plain rules do.
	ForDigest, ForQuiet, ForPush float64
	// MaxInverse bounds how much more a judgement of an unlikely action counts (inverse propensity, clipped).
	MaxInverse float64
}

// Defaults were chosen in the simulation (package sim) on seeds that are not those of its report.
func Defaults() Settings {
	return Settings{
		Costs:   Costs{Mattered: [...]float64{Quiet: 4, Digest: 1, Push: 0}, Noise: [...]float64{Quiet: 0, Digest: digestLine, Push: 1}},
		Explore: Upward(0.3, 0.05),
		C:       3, HalfLife: 30 * 24 * time.Hour, Fade: 0.95, Prior: 2, Alike: 0.7, Caution: 0.2,
		ForDigest: 0.9, ForQuiet: 3, ForPush: 3, MaxInverse: 3,
	}
}

// Model answers for one State. It is made by NewModel, and does not change.
type Model struct {
	settings Settings
	state    State
	places   map[uint64]int32
	svm      svm
	platt    platt
	cells    map[[2]string]*cellModel
}

// cellModel is a cell made ready for questions.
type cellModel struct {
	cell   Cell
	values [][fields]string
	// weights of the judgements, without forgetting by time.
	weights []float64
}

// NewModel fits a model to a state: the same state and settings give the same model.
func NewModel(state State, settings Settings) *Model {
	m := &Model{settings: settings, state: state, places: map[uint64]int32{}, cells: make(map[[2]string]*cellModel, len(state.Cells))}
	var all []dated
	var newest time.Time
	for _, c := range state.Cells {
		ready := &cellModel{cell: c, values: make([][fields]string, len(c.Judgements)), weights: make([]float64, len(c.Judgements))}
		fade := 1.0
		for i := len(c.Judgements) - 1; i >= 0; i-- {
			j := c.Judgements[i]
			ready.values[i] = values(c.Team, c.Kind, j.Case)
			ready.weights[i] = j.Signal.weight() * fade
			if j.Signal.Explicit() {
				fade *= settings.Fade
			}
			inverse := min(1000/float64(cmp.Or(j.Permille, 1000)), settings.MaxInverse)
			e := example{features: m.intern(vectorOf(ready.values[i])), y: -1, weight: ready.weights[i] * inverse}
			if j.Signal.Important() {
				e.y = 1
			}
			all = append(all, dated{e, &c.Judgements[i]})
			if j.At.After(newest) {
				newest = j.At
			}
		}
		m.cells[[2]string{c.Team, c.Kind}] = ready
	}
	slices.SortStableFunc(all, func(a, b dated) int { return byTime(*a.judgement, *b.judgement) })
	examples := make([]example, len(all))
	for i, d := range all {
		examples[i] = d.example
		// Relative to the newest judgement: the fit then depends on the state alone.
		examples[i].weight *= forget(newest.Sub(d.judgement.At), settings.HalfLife)
	}
	var margins []float64
	m.svm, margins = train(examples, len(m.places), settings.C)
	m.platt = calibrate(margins, examples)
	return m
}

// dated is an example with its judgement.
type dated struct {
	example   example
	judgement *Judgement
}

// forget returns what is left of a weight at an age.
func forget(age, halfLife time.Duration) float64 {
	if age <= 0 {
		return 1
	}
	return math.Exp2(-float64(age) / float64(halfLife))
}

func (m *Model) intern(v vector) [len(templates)]int32 {
	var out [len(templates)]int32
	for i, f := range v {
		place, ok := m.places[f]
		if !ok {
			place = int32(len(m.places))
			m.places[f] = place
		}
		out[i] = place
	}
	return out
}

func (m *Model) look(v vector) [len(templates)]int32 {
	var out [len(templates)]int32
	for i, f := range v {
		out[i] = -1
		if place, ok := m.places[f]; ok {
			out[i] = place
		}
	}
	return out
}

// State returns the state that the model was made of.
func (m *Model) State() State { return m.state }

// belief is what is thought of an incident.
type belief struct {
	// chance that it matters: the cell's record, with the support vector machine as what is expected beforehand.
	chance float64
	// spread is the standard deviation of chance.
	spread float64
	// important and noise are the weights of the cell's judgements, aged.
	important, noise float64
	// svm is the support vector machine's own probability.
	svm float64
}

func (b belief) known() float64 { return b.important + b.noise }

// believe weighs what is known of an incident at a time. Chance and spread are mean and deviation of a beta
// distribution: the prior's pseudo-judgements are divided by the support vector machine's probability, and the cell's
// judgements added.
func (m *Model) believe(in Incident, now time.Time) belief {
	v := values(in.Team, in.Kind, in.Case)
	places := m.look(vectorOf(v))
	b := belief{svm: m.platt.probability(m.svm.margin(&places))}
	var alikeImportant, alikeNoise float64
	if c := m.cells[[2]string{in.Team, in.Kind}]; c != nil {
		for i, j := range c.cell.Judgements {
			w := c.weights[i] * forget(now.Sub(j.At), m.settings.HalfLife)
			alike := w
			for _, f := range []int{fieldHours, fieldRepeat, fieldLasts} {
				if c.values[i][f] != v[f] {
					alike *= m.settings.Alike
				}
			}
			if j.Signal.Important() {
				b.important, alikeImportant = b.important+w, alikeImportant+alike
			} else {
				b.noise, alikeNoise = b.noise+w, alikeNoise+alike
			}
		}
	}
	total := m.settings.Prior + alikeImportant + alikeNoise
	b.chance = (m.settings.Prior*b.svm + alikeImportant) / total
	b.spread = math.Sqrt(b.chance * (1 - b.chance) / (total + 1))
	return b
}
