package main

import (
	"fmt"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
	"github.com/kubebot/kubebot/internal/rca/training"
)

// simulatedSet is the group of all simulated incidents.
const simulatedSet = "set:simulated"

// simulated are the faults of a small simulated shop, each in several strengths that weigh as one incident together:
// kinds of cause that no recording has are among them. No kind means that only the workload can be known.
func simulated(engine *rca.Engine) []training.Example {
	var out []training.Example
	for _, f := range []struct {
		name, workload string
		kind           rca.Kind
		strengths      []rcatest.Scenario
	}{
		{"slow by itself", "stock", "", []rcatest.Scenario{
			{StockDelay: 10 * time.Millisecond}, {StockDelay: 30 * time.Millisecond}, {StockDelay: 100 * time.Millisecond},
		}},
		{"early return", "stock", rca.KindCode, []rcatest.Scenario{{StockReturns: true}}},
		{"slow network", "cart", rca.KindNetwork, []rcatest.Scenario{
			{CartNetwork: 10 * time.Millisecond}, {CartNetwork: 30 * time.Millisecond}, {CartNetwork: 100 * time.Millisecond},
		}},
		{"busy CPU", "stock", rca.KindCPU, []rcatest.Scenario{
			{CPU: 0.8, StockDelay: 10 * time.Millisecond}, {CPU: 0.9, StockDelay: 30 * time.Millisecond},
			{CPU: 1, StockDelay: 100 * time.Millisecond},
		}},
		{"leak", "cart", rca.KindMemory, []rcatest.Scenario{{Memory: 0.8}, {Memory: 0.9}, {Memory: 0.98}}},
		{"full disk", "stock", rca.KindDisk, []rcatest.Scenario{{Disk: 0.9}, {Disk: 0.97}, {Disk: 1, StockReturns: true}}},
	} {
		for i, s := range f.strengths {
			snap := s.Snapshot()
			out = append(out, training.Example{
				ID: fmt.Sprintf("simulated %s %d+0s", f.name, i), Weight: 1 / float64(len(f.strengths)), Workload: f.workload, Kind: f.kind,
				Signals: snap.Signals(), Hypotheses: engine.Hypotheses(snap),
				Groups: []string{"service:simulated/" + f.workload, "fault:simulated/" + f.name, simulatedSet},
			})
		}
	}
	return out
}
