package noise

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	out  = flag.String("out", "", "simulate a whole week and write the figures to this file")
	seed = flag.Uint64("seed", 1, "of the simulated week")
	wait = flag.Duration("push-after", time.Minute, "how long what is not critical must last before KubeBot pushes it; 1m is the default of the KubeBot's spec")
	days = flag.Int("days", 0, "of the simulated week; 0 for 7 with -out and 1 without")
)

// monday is when the simulated week begins; the clock of a bubble begins two days before.
var monday = time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC)

// play lets the same days pass through every way, each in a bubble of its own.
func play(t *testing.T, days int, seed uint64) Report {
	report := Describe(Simulate(monday, days, seed), seed)
	report.Ways = make([]Score, len(Ways))
	t.Run("ways", func(t *testing.T) {
		for i, way := range Ways {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					score, err := Play(Simulate(monday, days, seed), way, *wait)
					require.NoError(t, err)
					report.Ways[i] = score
				})
			})
		}
	})
	return report
}

func TestNothingCriticalThatMatteredIsMissed(t *testing.T) {
	n := *days
	switch {
	case n == 0 && *out != "":
		n = 7
	case n == 0:
		n = 1
	}
	report := play(t, n, *seed)
	for _, score := range report.Ways {
		assert.Zero(t, score.MissedCritical, "%s: %v", score.Way, score.MissedKinds)
		assert.NotZero(t, score.Told, score.Way)
	}
	assert.Less(t, report.Ways[len(report.Ways)-1].Pushes, report.Ways[0].Pushes, "KubeBot is quieter than plain grouping")
	if *out != "" {
		write(t, report)
	}
}

func write(t *testing.T, report Report) {
	data, err := json.MarshalIndent(report, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(*out, append(data, '\n'), 0o644))
	fmt.Printf("%d days, %d alerts, %d of them of troubles that mattered\n", report.Days, report.Alerts, report.Mattered)
	fmt.Printf("%-40s %7s %9s %5s %7s %7s %8s %6s\n", "", "pushes", "mattered", "news", "quiet", "digests", "troubles", "missed")
	for _, s := range report.Ways {
		fmt.Printf("%-40s %7d %9d %5d %7d %7d %8d %6d\n", s.Way, s.Pushes, s.PushesMattered, s.PushesNews, s.Quiet, s.Digests, s.Mattered, s.Missed)
	}
}
