package detectors_test

import (
	"testing"

	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

func TestDetectorsMeasureWhatTheyDeclare(t *testing.T) {
	v := rcatest.Scenario{StockReturns: true, CPU: 0.9, Memory: 0.95, Disk: 0.99, CartNetwork: 5e7}.View()
	for _, d := range detectors.All() {
		declared := map[string]bool{}
		for _, f := range d.Features {
			declared[f.Name] = true
			if f.Doc == "" {
				t.Errorf("%s.%s has no description", d.Name, f.Name)
			}
		}
		for _, f := range d.Detect(v) {
			for n, x := range f.Values {
				if !declared[n] {
					t.Errorf("%s gives %s, which it does not declare", d.Name, n)
				}
				if !(x >= 0 && x <= 1.0000001) {
					t.Errorf("%s.%s of %s is %v, outside 0..1", d.Name, n, f.Workload, x)
				}
			}
		}
	}
}

func TestEveryFeatureHasAWeightOfItsSign(t *testing.T) {
	m, err := weights.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range detectors.All() {
		for _, f := range d.Features {
			w, ok := m.Weights[d.Name+"."+f.Name]
			if !ok {
				t.Errorf("%s.%s has no weight: run make train", d.Name, f.Name)
			}
			if f.Against && w > 0 || !f.Against && w < 0 {
				t.Errorf("weight %v of %s.%s has the wrong sign", w, d.Name, f.Name)
			}
		}
	}
}
