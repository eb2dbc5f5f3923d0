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

// lossy gives every n-th call of an edge a wait on the way since the alarm.
func lossy(s *rca.Snapshot, callee string, n int, wait float64) {
	for i := range s.Links {
		l := &s.Links[i]
		if l.Callee != callee || l.Caller == callee {
			continue
		}
		for j := len(s.Baseline); j < len(l.Slots); j++ {
			for k := range l.Slots[j].Gap.N {
				if int(k)%n == 0 {
					l.Slots[j].Gap.Add(wait)
				}
			}
		}
	}
}

func TestCallsThatWaitForARetransmissionAreLostPackets(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		wait float64
		want bool
	}{
		{"half of them, by the least time after which TCP sends again", 1, 0.21, true},
		{"half of them, by less than that", 1, 0.1, false},
		{"one or two of twenty", 1000, 0.21, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := rcatest.Scenario{}.Snapshot()
			lossy(s, "cart", c.n, c.wait)
			f := rcatest.Find(network.Detector(), rca.NewView(s, len(s.Baseline)), "cart")
			if c.want != (f != nil && f.Values["delay"] > 0.3) {
				t.Fatalf("finding %+v, want one: %v", f, c.want)
			}
			if c.want && f.Evidence[0].Unit != "1" {
				t.Errorf("finding %+v, want a share of calls as evidence", f)
			}
		})
	}
}
