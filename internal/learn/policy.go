package learn

import (
	"crypto/sha256"
	"encoding/binary"
)

// Costs of an action, in units of one needless push, which is 1.
type Costs struct {
	// Mattered[a] is the cost of action a when the incident mattered, Noise[a] when it did not.
	Mattered, Noise [len(Actions)]float64
}

// of returns the expected cost of each action when the incident matters with probability p.
func (c Costs) of(p float64) [len(Actions)]float64 {
	var out [len(Actions)]float64
	for a := range Actions {
		out[a] = p*c.Mattered[a] + (1-p)*c.Noise[a]
	}
	return out
}

// best returns the action with the least cost, the louder one of equals (C. Elkan: The Foundations of Cost-Sensitive
// Learning, IJCAI 2001).
func best(costs [len(Actions)]float64) Action {
	out := Push
	for _, a := range []Action{Digest, Quiet} {
		if costs[a] < costs[out] {
			out = a
		}
	}
	return out
}

// Explorer says with which probability each action is taken, given their expected costs, the cheapest, and how much is
// known of the cell (the sum of the weights of its judgements). Actions that the guard rails forbid are dropped
// afterwards, and the others' probabilities scaled up.
type Explorer func(costs [len(Actions)]float64, cheapest Action, known float64) [len(Actions)]float64

// Upward returns the exploring policy: the cheapest action, but with a probability the next louder one. What is held
// back is seldom judged, so only being louder teaches something (the feedback is one-sided: Helmbold, Littlestone, Long:
// Apple Tasting, Information and Computation 2000); being quieter would cost and teach less. The probability is
// max(floor, first/(1+known)), which decays as that of ε_n-greedy does (Auer, Cesa-Bianchi, Fischer: Finite-time Analysis
// of the Multiarmed Bandit Problem, Machine Learning 2002) until the floor, which finds what changed its meaning. It is
// divided by how much the louder action costs more, in units of a line in the digest, where that is above 1: trying a push
// is as dear in all as trying the digest (as in inverse gap weighting, Foster, Rakhlin: Beyond UCB, ICML 2020).
func Upward(first, floor float64) Explorer {
	return func(costs [len(Actions)]float64, cheapest Action, known float64) [len(Actions)]float64 {
		var out [len(Actions)]float64
		if cheapest == Push {
			out[Push] = 1
			return out
		}
		e := max(floor, first/(1+known))
		if gap := costs[cheapest+1] - costs[cheapest]; gap > digestLine {
			e *= digestLine / gap
		}
		out[cheapest], out[cheapest+1] = 1-e, e
		return out
	}
}

// digestLine is the cost of a needless line in the digest (Costs), in units of a needless push.
const digestLine = 0.2

// choose draws an action among those from low to high, by a number in [0,1). It returns the probability of the choice.
func choose(probabilities [len(Actions)]float64, low, high Action, draw float64) (Action, float64) {
	sum := 0.0
	for a := low; a <= high; a++ {
		sum += probabilities[a]
	}
	if sum <= 0 {
		return high, 1
	}
	at := 0.0
	for a := high; a > low; a-- {
		if at += probabilities[a] / sum; draw < at {
			return a, probabilities[a] / sum
		}
	}
	return low, probabilities[low] / sum
}

// draw returns a number in [0,1) that an incident's name alone decides, so that every replica and every repeat of a
// decision draws the same.
func draw(incident string) float64 {
	sum := sha256.Sum256([]byte("explore " + incident))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}
