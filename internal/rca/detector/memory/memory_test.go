package memory_test

import (
	"testing"

	"github.com/kubebot/kubebot/internal/rca/detector/memory"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestFindsTheWorkloadAtItsLimit(t *testing.T) {
	f := rcatest.Find(memory.Detector(), rcatest.Scenario{Memory: 0.99}.View(), "cart")
	if f == nil || f.Values["pressure"] < 0.8 || len(f.Evidence) == 0 {
		t.Fatalf("finding %+v, want pressure with evidence", f)
	}
}

func TestSteadyUseIsNoFinding(t *testing.T) {
	if got := memory.Detector().Detect(rcatest.Scenario{}.View()); len(got) > 0 {
		t.Errorf("findings %+v without a change", got)
	}
}
