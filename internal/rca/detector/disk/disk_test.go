package disk_test

import (
	"testing"

	"github.com/kubebot/kubebot/internal/rca/detector/disk"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestFindsTheWorkloadAtItsLimit(t *testing.T) {
	f := rcatest.Find(disk.Detector(), rcatest.Scenario{Disk: 1}.View(), "stock")
	if f == nil || f.Values["full"] < 0.8 || len(f.Evidence) == 0 {
		t.Fatalf("finding %+v, want full with evidence", f)
	}
}

func TestSteadyUseIsNoFinding(t *testing.T) {
	if got := disk.Detector().Detect(rcatest.Scenario{}.View()); len(got) > 0 {
		t.Errorf("findings %+v without a change", got)
	}
}
