package rca

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// ModelVersion is the version of the weights file.
const ModelVersion = 1

// Model weighs the features of candidates. `make train` writes it; see docs/rca.md.
type Model struct {
	Version int    `json:"version"`
	Command string `json:"command"`
	// Weights by detector.feature. The raw score of a candidate is their sum over its values.
	Weights map[string]float64 `json:"weights"`
	// Calibration maps the raw score and its lead to the probability of being right.
	Calibration Calibration `json:"calibration"`
	// Calibrations are those for snapshots that hold just these signals (Snapshot.Signals), where training knew such: the
	// same raw score means less when less was seen.
	Calibrations map[string]Calibration `json:"calibrations,omitempty"`
	// Figures are what the training measured, for people.
	Figures map[string]float64 `json:"figures,omitempty"`
}

// Calibration is a logistic map of two numbers: the candidate's share among all (softmax of the raw scores) as a logit,
// and its raw score.
type Calibration struct {
	Bias  float64 `json:"bias"`
	Share float64 `json:"share"`
	Raw   float64 `json:"raw"`
	// Abstain is the score below which the engine says that nothing stands out.
	Abstain float64 `json:"abstain"`
}

// ReadModel parses a weights file.
func ReadModel(r io.Reader) (*Model, error) {
	var m Model
	d := json.NewDecoder(io.LimitReader(r, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("parse weights: %w", err)
	}
	if m.Version != ModelVersion {
		return nil, fmt.Errorf("weights of version %d, this program reads %d", m.Version, ModelVersion)
	}
	for n, w := range m.Weights {
		if math.IsNaN(w) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("weight of %s is not a number", n)
		}
	}
	if len(m.Weights) == 0 {
		return nil, errors.New("no weights")
	}
	return &m, nil
}

// CalibrationOf gives the calibration for snapshots that hold these signals (Snapshot.Signals).
func (m *Model) CalibrationOf(signals string) Calibration {
	if c, ok := m.Calibrations[signals]; ok {
		return c
	}
	return m.Calibration
}

// Raw gives the raw score of a candidate.
func (m *Model) Raw(c *Candidate) float64 {
	var sum float64
	for _, n := range c.names() {
		sum += m.Weights[n] * c.Values[n]
	}
	return sum
}

// Probability calibrates a raw score among all raw scores of an incident.
func (c Calibration) Probability(raw float64, all []float64) float64 {
	return 1 / (1 + math.Exp(-(c.Bias + c.Share*ShareLogit(raw, all) + c.Raw*raw)))
}

// ShareLogit gives the logit of the softmax share of a raw score, limited to -8..8.
func ShareLogit(raw float64, all []float64) float64 {
	var rest float64
	skipped := false
	for _, x := range all {
		if x == raw && !skipped {
			skipped = true
			continue
		}
		rest += math.Exp(x - raw)
	}
	if rest <= 0 {
		return 8
	}
	return math.Max(-8, math.Min(8, -math.Log(rest)))
}

// rank scores, calibrates and sorts the candidates.
func (m *Model) rank(s *Snapshot, cands []Candidate) *Result {
	raws := make([]float64, len(cands))
	for i := range cands {
		raws[i] = m.Raw(&cands[i])
	}
	calibration := m.CalibrationOf(s.Signals())
	r := &Result{Version: 1, Alarm: s.Alarm, Missing: s.Missing, Model: m.Version}
	for i, c := range cands {
		r.Causes = append(r.Causes, Cause{
			Workload: c.Workload, Kind: c.Kind, Score: round(calibration.Probability(raws[i], raws), 6), Raw: round(raws[i], 6),
			Evidence: c.Evidence, Region: c.Region, Path: path(s, c.Workload), Onset: s.Steps[c.Onset].Start,
			Fix: c.Kind.Fix(),
		})
	}
	slices.SortStableFunc(r.Causes, func(a, b Cause) int {
		return cmp.Or(-cmp.Compare(a.Raw, b.Raw), cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Kind, b.Kind))
	})
	r.Abstained = len(r.Causes) == 0 || r.Causes[0].Score < calibration.Abstain
	return r
}

func round(x float64, digits int) float64 {
	p := math.Pow(10, float64(digits))
	return math.Round(x*p) / p
}
