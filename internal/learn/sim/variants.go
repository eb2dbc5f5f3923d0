package sim

import (
	"fmt"
	"math"
	"time"

	"github.com/kubebot/kubebot/internal/learn"
)

// Boltzmann returns the policy that takes each action with a probability proportional to exp(-cost/temperature), where
// the temperature falls as more is known (Sutton, Barto: Reinforcement Learning, 2nd edition 2018, section 2.8).
func Boltzmann(temperature float64) learn.Explorer {
	return func(costs [3]float64, cheapest learn.Action, known float64) (out [3]float64) {
		for a, c := range costs {
			out[a] = math.Exp(-(c - costs[cheapest]) * (1 + known) / temperature)
		}
		return out
	}
}

// InverseGap returns inverse gap weighting: an action that costs more than the cheapest by a gap has the probability
// 1/(3+scale·√(1+known)·gap) (Foster, Rakhlin: Beyond UCB, ICML 2020, SquareCB).
func InverseGap(scale float64) learn.Explorer {
	return func(costs [3]float64, cheapest learn.Action, known float64) (out [3]float64) {
		out[cheapest] = 1
		for a, c := range costs {
			if learn.Action(a) != cheapest {
				out[a] = 1 / (3 + scale*math.Sqrt(1+known)*max(c-costs[cheapest], 0))
				out[cheapest] -= out[a]
			}
		}
		return out
	}
}

// Variants are the default settings and others that differ in one, for the choice of the defaults.
func Variants() []Contender {
	var out []Contender
	add := func(name string, change func(*learn.Settings)) {
		out = append(out, Contender{name, func() Policy {
			s := learn.Defaults()
			change(&s)
			return NewLearned(s)
		}})
	}
	explore := func(name string, e learn.Explorer) { add(name, func(s *learn.Settings) { s.Explore = e }) }
	add("defaults", func(*learn.Settings) {})
	explore("explore: never", learn.Upward(0, 0))
	explore("explore: upward 0.1, 0.02", learn.Upward(0.1, 0.02))
	explore("explore: upward 1, 0.1", learn.Upward(1, 0.1))
	explore("explore: Boltzmann 0.5", Boltzmann(0.5))
	explore("explore: inverse gap 20", InverseGap(20))
	number := func(name string, field func(*learn.Settings) *float64, values ...float64) {
		for _, v := range values {
			add(fmt.Sprintf("%s %g", name, v), func(s *learn.Settings) { *field(s) = v })
		}
	}
	number("C", func(s *learn.Settings) *float64 { return &s.C }, 0.3, 1)
	number("fade", func(s *learn.Settings) *float64 { return &s.Fade }, 0.8, 0.9, 1)
	number("prior", func(s *learn.Settings) *float64 { return &s.Prior }, 0.1, 1, 4, 1000)
	number("alike", func(s *learn.Settings) *float64 { return &s.Alike }, 0.5, 1)
	number("caution", func(s *learn.Settings) *float64 { return &s.Caution }, 0, 0.5, 1)
	number("for digest", func(s *learn.Settings) *float64 { return &s.ForDigest }, 1.5, 2.5)
	number("for quiet", func(s *learn.Settings) *float64 { return &s.ForQuiet }, 2, 5)
	number("for push", func(s *learn.Settings) *float64 { return &s.ForPush }, 1.5, 5)
	number("inverse at most", func(s *learn.Settings) *float64 { return &s.MaxInverse }, 1, 10)
	for _, days := range []time.Duration{14, 60} {
		add("half-life "+(days*24*time.Hour).String(), func(s *learn.Settings) { s.HalfLife = days * 24 * time.Hour })
	}
	return out
}
