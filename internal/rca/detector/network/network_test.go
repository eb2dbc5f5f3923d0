package network_test

import (
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detector/network"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestDelayOnTheWayPointsToTheAnsweringEnd(t *testing.T) {
	v := rcatest.Scenario{CartNetwork: 100 * time.Millisecond}.View()
	cart := rcatest.Find(network.Detector(), v, "cart")
	front := rcatest.Find(network.Detector(), v, "front")
	if cart == nil || front == nil {
		t.Fatalf("findings cart %+v, front %+v", cart, front)
	}
	if cart.Values["purity"] <= front.Values["purity"] || cart.Values["inbound"] <= front.Values["inbound"] {
		t.Errorf("cart %v does not stand out from front %v", cart.Values, front.Values)
	}
	if e := cart.Evidence[0]; e.Now-e.Before < 0.08 || e.Unit != "s" {
		t.Errorf("evidence %+v, want about 100 ms more", e)
	}
}

func TestSlowProcessIsNoNetworkTrouble(t *testing.T) {
	v := rcatest.Scenario{StockDelay: 100 * time.Millisecond}.View()
	if got := network.Detector().Detect(v); len(got) > 0 {
		t.Errorf("findings %+v although only stock itself is slow", got)
	}
}

func TestMediansOfAnEdgeServeWithoutTraces(t *testing.T) {
	l := rcatest.Layout()
	s := &rca.Snapshot{Version: rca.SnapshotVersion, Alarm: l.Alarm.UnixNano(), Baseline: l.Baseline, Steps: l.Steps,
		Workloads: []rca.Workload{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	for _, callee := range []string{"b", "c"} {
		var client, server []rca.Point
		for at := l.Alarm.Add(-15 * time.Minute); at.Before(l.Alarm.Add(3 * time.Minute)); at = at.Add(time.Minute) {
			x := rca.Point{T: float64(at.Unix()), V: 0.004}
			server = append(server, x)
			if x.V += 0.001; callee == "b" && at.After(l.Alarm.Add(-time.Minute)) {
				x.V += 0.3
			}
			client = append(client, x)
		}
		s.Edges = append(s.Edges, rca.Edge{Caller: "a", Callee: callee, Series: []rca.Series{
			{Name: rca.SeriesClientLatency, Points: client}, {Name: rca.SeriesServerLatency, Points: server},
		}})
	}
	f := rcatest.Find(network.Detector(), rca.NewView(s, 4), "b")
	if f == nil || f.Values["purity"] < 0.5 {
		t.Fatalf("finding %+v, want b", f)
	}
}
