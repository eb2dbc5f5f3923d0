package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for _, c := range []struct {
		values []float64
		p      float64
		want   float64
	}{
		{values, 50, 3}, {values, 99, 5}, {values, 100, 5}, {values, 1, 1}, {values, 20, 1}, {values, 21, 2},
		{[]float64{7}, 50, 7}, {nil, 50, 0},
	} {
		if got := percentile(c.values, c.p); got != c.want {
			t.Errorf("p%v of %v is %v, want %v", c.p, c.values, got, c.want)
		}
	}
	if values[0] != 5 {
		t.Error("the values were sorted in place")
	}
}

func TestTableShowsEveryFigure(t *testing.T) {
	r := Report{
		Ready: Ready{Runs: []ReadyRun{{By: "KubeBot", PodsReady: 1.25, Answers: 2.5, Ready: 3.5}, {By: "kubectl apply", PodsReady: 1, Answers: 2}}},
		Rest:  Rest{Seconds: 600, Accounts: []AccountWrites{{Account: "kubebot/kubebot-manager", Writes: 7, DryRuns: 3, Leases: 300}}},
		Memory: Memory{
			AtRest:      []PodMemory{{Name: "manager", WorkingSet: 32 << 20}, {Name: "manager", WorkingSet: 16 << 20}, {Name: "responder", WorkingSet: 24 << 20}},
			AfterAlerts: []PodMemory{{Name: "responder", WorkingSet: 48 << 20}},
		},
		Alerts: []AlertWay{{Way: "responder alone", Alerts: 1000, Delivered: 990, Messages: 200, AlertsPerSecond: 50, P50: 1.5, P99: 9.25, AnswerP50: 0.25, AnswerP99: 0.5}},
		Crash:  Crash{Seconds: []float64{11, 9, 10}, Median: 10},
		Signals: Signals{
			Steady: Held{
				PerSecond: 1000, Seconds: 60, Lost: map[string]int{"lines": 3, "failed traces": 1}, Pods: []PodUse{{Pod: "main-loki-0", Cores: 0.25, WorkingSet: 64 << 20}},
				Taken: &taken{Failed: 120, Lines: signalTaken{Sent: 60000, Refused: 10, AnswerP99: 0.5}},
			},
			Delay: map[string]Delay{"line": {Rounds: 20, P50: 0.5, P99: 1.25}},
			Steps: []Held{{
				PerSecond: 2000, Taken: &taken{Spans: signalTaken{Sent: 10, Refused: 4}}, Lost: map[string]int{"spans": 2, "lines": -1}, Behind: 12.4,
				Pods: []PodUse{{Pod: "main-node-exporter-x7k2p", Cores: 0.5, WorkingSet: 32 << 20}},
			}},
		},
	}
	lines := map[string]bool{}
	for line := range strings.Lines(r.Table()) {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"KubeBot 1.2 s 2.5 s 3.5 s", "kubectl apply 1.0 s 2.0 s -", "API writes in 600 s at rest writes dry runs leases",
		"kubebot/kubebot-manager 7 3 300", "manager 32.0 MiB, 16.0 MiB", "responder 24.0 MiB 48.0 MiB",
		"responder alone 990 of 1000 200 50.0 1.50 s 9.25 s 0.250 s 0.500 s", "3 crashes 10.0 s 9.0 s 11.0 s",
		"1000 lines for 60 s 59990 10 3 0.500 s", "failed traces, which sampling keeps 120 1", "main-loki-0 0.250 64.0 MiB",
		"line 20 0.50 s 1.25 s", "2000 a second of each 10 4 2 12 s 0.00 s, 0.00 s, 0.00 s",
		"Meanwhile, at 2000 a second cores working set", "main-node-exporter-x7k2p 0.500 32.0 MiB",
	} {
		if !lines[want] {
			t.Errorf("the table lacks %q:\n%s", want, r.Table())
		}
	}
}

func TestALossAtTheSteadyRateIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		lost map[string]int
		bad  bool
	}{
		"nothing lost": {map[string]int{"spans": 0, "lines": 0}, false}, "one line": {map[string]int{"spans": 0, "lines": 1}, true},
		"one twice": {map[string]int{"spans": -1}, false}, "one twice, another lost": {map[string]int{"spans": -1, "lines": 1}, true},
	} {
		if err := (&Report{Signals: Signals{Steady: Held{Lost: c.lost}}}).judge(); (err != nil) != c.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRootCauseFiguresAreTakenOverIfThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rca.json")
	var r Report
	if err := r.takeRCA(path); err != nil || r.RCA != nil {
		t.Errorf("without a file: %v, %s", err, r.RCA)
	}
	for content, good := range map[string]bool{`{"cpus":2}`: true, `{"cpus":`: false} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r = Report{}
		if err := r.takeRCA(path); (err == nil) != good || good && string(r.RCA) != content {
			t.Errorf("%s: %v, %s", content, err, r.RCA)
		}
	}
}
