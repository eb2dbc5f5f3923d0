package signal_test

import (
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detector/signal"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

// chain is site > search > table, and site > view, where view is how site sees search; extra is what each has more of
// the signal since the onset.
func chain(target string, name string, base float64, extra map[string]float64) *rca.View {
	start := rcatest.Alarm.Add(-48 * time.Hour)
	s := &rca.Snapshot{
		Version: rca.SnapshotVersion, Alarm: rcatest.Alarm.UnixNano(), Target: &rca.Target{Workload: "site", Signal: target},
		Baseline: []rca.Window{{Start: start.UnixNano(), End: start.Add(24 * time.Hour).UnixNano()}},
		Edges:    []rca.Edge{{Caller: "search", Callee: "table"}, {Caller: "site", Callee: "search"}, {Caller: "site", Callee: "view"}},
	}
	for i := range 5 {
		at := rcatest.Alarm.Add(time.Duration(i-2) * 5 * time.Minute)
		s.Steps = append(s.Steps, rca.Window{Start: at.UnixNano(), End: at.Add(5 * time.Minute).UnixNano()})
	}
	for _, w := range []string{"search", "site", "table", "view"} {
		var ps, calls []rca.Point
		add := func(at time.Time, v float64) {
			ps = append(ps, rca.Point{T: float64(at.Unix()), V: v})
			calls = append(calls, rca.Point{T: float64(at.Unix()), V: 100})
		}
		for i := range 200 {
			add(start.Add(time.Duration(i+1)*5*time.Minute), base+0.001*float64(i%5))
		}
		for i, st := range s.Steps {
			v := base
			if i == 2 || i == 3 {
				v += extra[w]
			}
			add(time.Unix(0, st.Start).Add(4*time.Minute), v)
		}
		s.Workloads = append(s.Workloads, rca.Workload{Name: w, Series: []rca.Series{{Name: name, Points: ps}, {Name: rca.SeriesRequests, Points: calls}}})
	}
	return rca.NewView(s, 2)
}

func TestSignalLeadsToWhereItComesFrom(t *testing.T) {
	for name, c := range map[string]struct {
		signal, series string
		base           float64
		extra          map[string]float64
		want           string
	}{
		"slow in the middle":  {rca.SignalLatency, rca.SeriesLatency, 0.1, map[string]float64{"site": 0.2, "search": 0.2, "view": 0.2}, "search"},
		"slow at the end":     {rca.SignalLatency, rca.SeriesLatency, 0.1, map[string]float64{"site": 0.2, "search": 0.2, "view": 0.2, "table": 0.2}, "table"},
		"slow at the target":  {rca.SignalLatency, rca.SeriesLatency, 0.1, map[string]float64{"site": 0.2}, "site"},
		"fails in the middle": {rca.SignalAvailability, rca.SeriesAvailability, 0.99, map[string]float64{"site": -0.2, "search": -0.2, "view": -0.2}, "search"},
	} {
		t.Run(name, func(t *testing.T) {
			best, most := "", 0.0
			for _, f := range signal.Detector().Detect(chain(c.signal, c.series, c.base, c.extra)) {
				if x := f.Values["surprise"] + f.Values["impact"] + f.Values["follows"] - f.Values["shadow"]; x > most {
					best, most = f.Workload, x
				}
			}
			if best != c.want {
				t.Errorf("leads to %q, want %q", best, c.want)
			}
		})
	}
}

func TestSteadySignalLeadsNowhere(t *testing.T) {
	for _, f := range signal.Detector().Detect(chain(rca.SignalLatency, rca.SeriesLatency, 0.1, nil)) {
		if f.Values["surprise"] > 0.2 {
			t.Errorf("finding %+v without trouble", f)
		}
	}
}
