package train

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/training"
)

// alike are incidents of as many workloads: something about the CPU of one speaks for it, and less about another's network.
func alike(n int, name string) []training.Example {
	var out []training.Example
	for i := range n {
		own := fmt.Sprintf("%s-%d", name, i)
		out = append(out, training.Example{
			ID: own, Weight: 1, Workload: own, Kind: rca.KindCPU, Signals: rca.SignalMetrics,
			Hypotheses: []rca.Hypothesis{{Candidates: []rca.Candidate{
				{Workload: own, Kind: rca.KindCPU, Values: map[string]float64{"cpu.rise": 0.8 + 0.01*float64(i%5), "cpu.saturation": 0.5}},
				{Workload: "other", Kind: rca.KindNetwork, Values: map[string]float64{"network.delay": 0.5}},
			}}},
		})
	}
	return out
}

// unshown are the same incidents, but the cause is something that no candidate shows.
func unshown(n int) []training.Example {
	out := alike(n, "unshown")
	for i := range out {
		out[i].Kind = rca.KindConfig
	}
	return out
}

// rejected are the same incidents, of which the right candidate was rejected.
func rejected(n int) []training.Example {
	out := alike(n, "rejected")
	for i := range out {
		out[i].Wrong = true
	}
	return out
}

// poor are weights that hold the network for the cause.
func poor() *rca.Model {
	m := *modelOfZeros()
	m.Weights["network.delay"] = 2
	m.Calibration = rca.Calibration{Bias: -1, Share: 0.3, Raw: 1.1, Abstain: 0.2}
	m.Calibrations = map[string]rca.Calibration{rca.SignalMetrics: {Bias: -1, Share: 0.3, Raw: 1.1, Abstain: 0.3}}
	return &m
}

func modelOfZeros() *rca.Model {
	m := &rca.Model{Version: rca.ModelVersion, Weights: map[string]float64{}}
	for _, d := range detectors.All() {
		for _, f := range d.Features {
			m.Weights[d.Name+"."+f.Name] = 0
		}
	}
	return m
}

// top is the score of the leading candidate of an incident.
func top(t *testing.T, m *rca.Model, c rca.Calibration) float64 {
	t.Helper()
	o := training.Rank(&alike(1, "new")[0], m.Weights)
	require.Equal(t, 1, o.CauseRank)
	return training.TopScore(o, c)
}

func refitted(t *testing.T, examples []training.Example, old *rca.Model) *rca.Model {
	t.Helper()
	m, r := attempt(examples, old, nil, time.Now())
	require.NotNil(t, m, "%+v", r)
	assert.Equal(t, old.Calibration.Abstain, m.Calibration.Abstain)
	return m
}

func TestWrongTopCausesLowerScores(t *testing.T) {
	right := refitted(t, alike(14, "a"), poor())
	for name, more := range map[string][]training.Example{"cause that nothing shows": unshown(10), "rejected cause": rejected(6)} {
		mixed := refitted(t, append(alike(14, "a"), more...), poor())
		sure, lower := top(t, right, right.Calibration), top(t, mixed, mixed.Calibration)
		assert.Less(t, lower, sure-0.1, name)
		assert.Less(t, top(t, mixed, mixed.CalibrationOf(rca.SignalMetrics)), top(t, right, right.CalibrationOf(rca.SignalMetrics))-0.1, name)
	}
}

func TestScoresOfManyIncidentsAreHonest(t *testing.T) {
	m := refitted(t, append(alike(60, "a"), unshown(60)...), poor())
	assert.InDelta(t, 0.5, top(t, m, m.Calibration), 0.1)
}

func TestFewIncidentsAreComparedOnTheNewScale(t *testing.T) {
	// The old weights rank as the new ones would, but on a tenth of the scale: for ten incidents the old calibration
	// must not be taken for the new scores.
	old := poor()
	old.Weights["cpu.rise"], old.Weights["network.delay"] = 0.1, 0.3
	old.Calibration = rca.Calibration{Bias: -2, Raw: 10, Abstain: 0.2}
	m := refitted(t, alike(10, "a"), old)
	assert.NotEqual(t, old.Calibration, m.Calibration)
	for signals, c := range m.Calibrations {
		assert.NotEqual(t, old.Calibrations[signals], c)
	}
	p := top(t, m, m.Calibration)
	assert.Greater(t, p, 0.3, "ten of ten were right")
	assert.Less(t, p, 0.99, "the old calibration would say %v", top(t, m, old.Calibration))
}

func TestWhatWasBelievedBeforeCountsWhileIncidentsAreFew(t *testing.T) {
	few, many := refitted(t, alike(10, "a"), poor()), refitted(t, alike(100, "a"), poor())
	assert.Less(t, top(t, few, few.Calibration), top(t, many, many.Calibration), "the old weights held the right cause for improbable")
}

func TestARepeatOfAnIncidentIsNotHeldBackFromItself(t *testing.T) {
	examples := alike(23, "a")
	for i := range 12 { // one incident again and again, and a repeat of another
		examples[i].Workload = "cart"
		for j := range examples[i].Hypotheses[0].Candidates[:1] {
			examples[i].Hypotheses[0].Candidates[j].Workload = "cart"
		}
	}
	examples[22].Workload = examples[21].Workload
	group(examples)
	parts := map[string]map[string]bool{}
	size := map[string]int{}
	for _, e := range examples {
		require.Len(t, e.Groups, 1)
		size[e.Groups[0]]++
		if parts[e.Workload] == nil {
			parts[e.Workload] = map[string]bool{}
		}
		parts[e.Workload][e.Groups[0]] = true
	}
	for workload, in := range parts {
		assert.Len(t, in, 1, "%s is in %v", workload, in)
	}
	assert.Len(t, size, folds)
	for fold := range maps.Keys(size) {
		assert.Contains(t, []int{12, 2, 3}, size[fold], "folds are about as large as they can be")
	}

	same := examples[:12]
	m, r := attempt(same, poor(), nil, time.Now())
	assert.Nil(t, m, "one incident come back twelve times shows nothing about others")
	assert.Zero(t, r.After)
}
