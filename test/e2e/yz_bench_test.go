//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubebot/kubebot/test/stack"
)

// TestBenchTakesEveryFigure runs a short round of what `make bench` measures, so that it works when it is needed. How
// large the figures are is not judged: other work shares the machine.
func TestBenchTakesEveryFigure(t *testing.T) {
	if stack.Existing() {
		t.Skip("the figures need the audit log and the network of a local cluster")
	}
	ctx := contextOf(t, 12*time.Minute)
	bench, out := filepath.Join(cluster.Root, "bin", "stack-bench"), filepath.Join(t.TempDir(), "bench.json")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bench, "./test/bench/stack")
	build.Dir, build.Env = cluster.Root, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the bench: %v: %s", err, text)
	}
	run := exec.CommandContext(ctx, bench, "-in", cluster.Name, "-out", out)
	run.Dir = cluster.Root
	text, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	t.Logf("%s", text)
	var report struct {
		Ready struct {
			Runs []struct{ ReadySeconds float64 }
		}
		Rest struct {
			Seconds  float64
			Accounts []struct{ Account string }
		}
		Memory struct{ AtRest []struct{ Name string } }
		Alerts []struct {
			Way               string
			Alerts, Delivered int
			P99Seconds        float64
		}
		Crash   struct{ Seconds []float64 }
		Signals struct {
			Steady struct {
				Taken struct{ Spans, Lines, Samples struct{ Sent, Refused int } }
				Lost  map[string]int
				Pods  []struct{ Pod string }
			}
			Delay map[string]struct{ P50Seconds float64 }
			Steps []struct{ PerSecond int }
		}
	}
	data, err := os.ReadFile(out)
	must(t, err)
	must(t, json.Unmarshal(data, &report))
	if len(report.Ready.Runs) != 1 || report.Ready.Runs[0].ReadySeconds <= 0 {
		t.Errorf("no time to Ready: %+v", report.Ready)
	}
	if report.Rest.Seconds < 5 || len(report.Rest.Accounts) < 2 || len(report.Memory.AtRest) < 2 || len(report.Crash.Seconds) != 1 {
		t.Errorf("figures are missing: %s", data)
	}
	if len(report.Alerts) != 3 {
		t.Errorf("%d ways of alerts, want 3", len(report.Alerts))
	}
	for _, way := range report.Alerts {
		if way.Delivered != way.Alerts || way.P99Seconds <= 0 {
			t.Errorf("%s: %d of %d alerts arrived, p99 %f s", way.Way, way.Delivered, way.Alerts, way.P99Seconds)
		}
	}
	signals := report.Signals
	for name, of := range map[string]struct{ Sent, Refused int }{
		"spans": signals.Steady.Taken.Spans, "lines": signals.Steady.Taken.Lines, "samples": signals.Steady.Taken.Samples,
	} {
		if lost := signals.Steady.Lost[name]; of.Sent == 0 || of.Refused > 0 || lost != 0 {
			t.Errorf("of %d %s %d were refused and %d lost", of.Sent, name, of.Refused, lost)
		}
	}
	for _, name := range []string{"span", "line", "sample", "event"} {
		if signals.Delay[name].P50Seconds <= 0 {
			t.Errorf("no delay of a %s: %+v", name, signals.Delay)
		}
	}
	if len(signals.Steps) == 0 || len(signals.Steady.Pods) < 8 {
		t.Errorf("figures of the signals are missing: %+v", signals)
	}
}
