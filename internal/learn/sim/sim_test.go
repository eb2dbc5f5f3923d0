package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/internal/learn"
)

// seeds are neither those of the report nor those that the settings were chosen by.
var seeds = []uint64{501}

func TestLearningCostsLessThanItsContenders(t *testing.T) {
	regret := map[[2]string]float64{}
	for _, s := range Simulate(Contenders(), Users, 2, seeds) {
		regret[[2]string{s.User, s.Policy}] = s.Regret
		if s.Policy != "never" {
			assert.Zero(t, s.MissedCritical, "%s, %s: a critical incident was held back", s.User, s.Policy)
		}
		require.Positive(t, s.Incidents)
	}
	for _, u := range Users {
		for _, rules := range []string{"never", "always", "plain rules"} {
			assert.Less(t, regret[[2]string{u.Name, "learned"}], regret[[2]string{u.Name, rules}], "%s: %s is as good as what was learned", u.Name, rules)
		}
	}
}

func TestSameSeedsGiveTheSameScores(t *testing.T) {
	users := Users[:1]
	assert.Equal(t, Simulate(Contenders()[:1], users, 1, seeds), Simulate(Contenders()[:1], users, 1, seeds))
	assert.NotEqual(t, Simulate(Contenders()[:1], users, 1, seeds)[0].Regret, Simulate(Contenders()[:1], users, 1, []uint64{502})[0].Regret)
}

func TestUntilSomethingIsLearnedThePlainRulesHold(t *testing.T) {
	silent := User{Name: "silent"}
	events := world(silent, 1, 501)
	learned, plainly := NewLearned(learn.Defaults()), plainRules{}
	for _, e := range events {
		want, _ := plainly.Decide(e)
		got, permille := learned.Decide(e)
		require.Equal(t, want, got)
		require.Equal(t, 1000, permille)
	}
}

func TestExplorersPreferTheCheapest(t *testing.T) {
	for _, explore := range []learn.Explorer{learn.Upward(0.3, 0.05), Boltzmann(0.5), InverseGap(20)} {
		for _, cheapest := range learn.Actions {
			costs := [3]float64{0.5, 0.5, 0.5}
			costs[cheapest] = 0.1
			chances := explore(costs, cheapest, 3)
			for a, p := range chances {
				assert.GreaterOrEqual(t, p, 0.0)
				if learn.Action(a) != cheapest {
					assert.Less(t, p, chances[cheapest])
				}
			}
		}
	}
}

func TestVariantsDifferFromTheDefaultsInTheirNames(t *testing.T) {
	names := map[string]bool{}
	for _, v := range Variants() {
		assert.False(t, names[v.Name], v.Name)
		names[v.Name] = true
		require.NotNil(t, v.New())
	}
}
