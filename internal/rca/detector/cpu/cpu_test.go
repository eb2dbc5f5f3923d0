package cpu_test

import (
	"testing"

	"github.com/kubebot/kubebot/internal/rca/detector/cpu"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestFindsTheWorkloadAtItsLimit(t *testing.T) {
	f := rcatest.Find(cpu.Detector(), rcatest.Scenario{CPU: 0.98}.View(), "stock")
	if f == nil || f.Values["saturation"] < 0.8 || len(f.Evidence) == 0 {
		t.Fatalf("finding %+v, want saturation with evidence", f)
	}
}

func TestSteadyUseIsNoFinding(t *testing.T) {
	if got := cpu.Detector().Detect(rcatest.Scenario{}.View()); len(got) > 0 {
		t.Errorf("findings %+v without a change", got)
	}
}
