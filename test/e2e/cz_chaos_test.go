//go:build e2e

package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/kubebot/kubebot/test/chaos"
)

// TestShortChaosLosesNothing is a short round of `make chaos`, by the same code.
func TestShortChaosLosesNothing(t *testing.T) {
	local(t)
	ctx := contextOf(t, 25*time.Minute)
	must(t, cluster.SlackFaultsOff(ctx))
	round := chaos.Short
	round.Progress = os.Stderr
	report, err := chaos.Run(ctx, cluster, "main", round)
	must(t, err)
	t.Logf("%+v", report)
	if err := report.Check(round); err != nil {
		t.Error(err)
	}
	ready(t, ctx)
}
