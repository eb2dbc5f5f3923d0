package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detector/flow"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestEarlyReturnNamesItsRegion(t *testing.T) {
	f := rcatest.Find(flow.Detector(), rcatest.Scenario{StockReturns: true}.View(), "stock")
	if f == nil {
		t.Fatal("no finding")
	}
	if f.Kind != rca.KindCode || f.Values["certainty"] < 0.5 || f.Values["error"] < 0.5 {
		t.Errorf("finding %s %v", f.Kind, f.Values)
	}
	if len(f.Region) < 2 || !strings.Contains(f.Region[0], "StockService#10") || !strings.Contains(f.Region[1], "StockService#20") {
		t.Errorf("region %q, want from StockService#10 to StockService#20", f.Region)
	}
}

func TestSlowerIsNotAnotherWay(t *testing.T) {
	if got := flow.Detector().Detect(rcatest.Scenario{StockDelay: time.Second}.View()); len(got) > 0 {
		t.Errorf("findings %+v", got)
	}
}

// two services: a calls b; each has log statements 1 and 2, where 2 can give way to 3
func twoServices(aChanges, bChanges, recovers bool) *rca.View {
	l := rcatest.Layout()
	slots := l.Slots()
	at := func(before, since uint64) []uint64 {
		out := make([]uint64, slots)
		for i := range out {
			out[i] = before
			if i >= len(l.Baseline)+4 {
				out[i] = since
			}
		}
		return out
	}
	flows := func(op, caller string, changed bool) []rca.Flow {
		usual, odd := at(20, 20), at(0, 0)
		if changed {
			usual, odd = at(20, 0), at(0, 20)
		}
		if recovers {
			usual, odd = at(0, 20), at(20, 0)
		}
		return []rca.Flow{
			{Operation: op, Caller: caller, From: -1, To: 0, Slots: at(20, 20)},
			{Operation: op, Caller: caller, From: 0, To: 1, Slots: usual},
			{Operation: op, Caller: caller, From: 0, To: 2, Slots: odd},
		}
	}
	patterns := []rca.Pattern{{Text: "begin", Slots: at(20, 20)}, {Text: "done", Slots: at(20, 20)}, {Text: "failed", Severity: "error", Slots: at(20, 20)}}
	op := func(name string) []rca.Operation {
		return []rca.Operation{{Name: name, Slots: make([]rca.CallStats, slots)}}
	}
	s := &rca.Snapshot{
		Version: rca.SnapshotVersion, Alarm: l.Alarm.UnixNano(), Baseline: l.Baseline, Steps: l.Steps,
		Workloads: []rca.Workload{
			{Name: "a", Operations: op("serve"), Patterns: patterns, Flows: flows("serve", "", aChanges)},
			{Name: "b", Operations: op("answer"), Patterns: patterns, Flows: flows("answer", "a serve", bChanges)},
		},
		Links: []rca.Link{{Caller: "a", CallerOperation: "serve", Callee: "b", CalleeOperation: "answer", Slots: make([]rca.LinkStats, slots)}},
	}
	return rca.NewView(s, 4)
}

func TestCalleeExplainsItsCaller(t *testing.T) {
	both := twoServices(true, true, false)
	a, b := rcatest.Find(flow.Detector(), both, "a"), rcatest.Find(flow.Detector(), both, "b")
	if a == nil || b == nil || a.Values["certainty"] > 0.2*b.Values["certainty"] || a.Values["explained"] == 0 {
		t.Errorf("a %+v is not explained by b %+v", a, b)
	}
	alone := rcatest.Find(flow.Detector(), twoServices(true, false, false), "a")
	if alone == nil || alone.Values["certainty"] < 0.4 || alone.Values["explained"] > 0 {
		t.Errorf("a alone: %+v", alone)
	}
}

func TestFewerErrorsThanBeforeAreNoTrouble(t *testing.T) {
	if got := flow.Detector().Detect(twoServices(false, false, true)); len(got) > 0 {
		t.Errorf("findings %+v for a recovery", got)
	}
}

func TestSilentEdgeBlamesTheCaller(t *testing.T) {
	l := rcatest.Layout()
	s := &rca.Snapshot{Version: rca.SnapshotVersion, Alarm: l.Alarm.UnixNano(), Baseline: l.Baseline, Steps: l.Steps,
		Workloads: []rca.Workload{{Name: "checkout"}, {Name: "mail"}, {Name: "stock"}}}
	for _, callee := range []string{"mail", "stock"} {
		var ps []rca.Point
		for at := l.Alarm.Add(-18 * time.Minute); at.Before(l.Alarm.Add(3 * time.Minute)); at = at.Add(30 * time.Second) {
			if callee == "mail" && at.After(l.Alarm.Add(-time.Minute)) {
				break
			}
			ps = append(ps, rca.Point{T: float64(at.Unix()), V: 0.003})
		}
		s.Edges = append(s.Edges, rca.Edge{Caller: "checkout", Callee: callee, Series: []rca.Series{{Name: rca.SeriesClientLatency, Points: ps}}})
	}
	v := rca.NewView(s, 4)
	f := rcatest.Find(flow.Detector(), v, "checkout")
	if f == nil || !strings.Contains(f.Evidence[0].Text, "mail") || strings.Contains(f.Evidence[0].Text, "stock") {
		t.Errorf("finding %+v, want silence towards mail", f)
	}
	if got := rcatest.Find(flow.Detector(), v, "mail"); got != nil {
		t.Errorf("blames the callee: %+v", got)
	}
}
