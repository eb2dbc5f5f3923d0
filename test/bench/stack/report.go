package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is bin/bench.json. Times are in seconds, sizes in bytes.
type Report struct {
	Started  time.Time         `json:"started"`
	Quick    bool              `json:"quick"`
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Ready    Ready             `json:"ready"`
	Rest     Rest              `json:"rest"`
	Memory   Memory            `json:"memory"`
	Alerts   []AlertWay        `json:"alerts"`
	Crash    Crash             `json:"crash"`
	Signals  Signals           `json:"signals"`
	// RCA is what `make bench-rca-speed` wrote, unchanged.
	RCA json.RawMessage `json:"rca,omitempty"`
}

// Machine is where it ran.
type Machine struct {
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// Load is the load average of the last minute before the run, to show what else ran; empty where unknown.
	Load string `json:"load"`
}

func machine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(data), " ")
	}
	return m
}

func (r *Report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

// judge returns an error where a promise is broken: under the steady rate nothing that was taken may be lost.
func (r *Report) judge() error {
	if s := r.Signals.Steady; s.lost() > 0 {
		return fmt.Errorf("of what was taken at %d a second of each, not all is found in its store: %v are lost", s.PerSecond, s.Lost)
	}
	return nil
}

// percentile returns the nearest-rank percentile p (0 < p <= 100) of the values, 0 when there are none.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// round keeps milliseconds.
func round(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }

// Table is the report for people.
func (r *Report) Table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	row("\nApplied until\tpods ready\tstack answers\tReady")
	for _, run := range r.Ready.Runs {
		ready := "-"
		if run.Ready > 0 {
			ready = fmt.Sprintf("%.1f s", run.Ready)
		}
		row("%s\t%.1f s\t%.1f s\t%s", run.By, run.PodsReady, run.Answers, ready)
	}
	row("\nAPI writes in %.0f s at rest\twrites\tdry runs\tleases", r.Rest.Seconds)
	for _, a := range r.Rest.Accounts {
		row("%s\t%d\t%d\t%d", a.Account, a.Writes, a.DryRuns, a.Leases)
	}
	row("\nWorking set, per pod\tat rest\tafter the alerts")
	for _, name := range memoryNames {
		row("%s\t%s\t%s", name, mebibytes(r.Memory.AtRest, name), mebibytes(r.Memory.AfterAlerts, name))
	}
	row("\nAlerts through\tdelivered\tmessages\talerts/s\tp50\tp99\tanswered p50\tp99")
	for _, a := range r.Alerts {
		row("%s\t%d of %d\t%d\t%.1f\t%.2f s\t%.2f s\t%.3f s\t%.3f s",
			a.Way, a.Delivered, a.Alerts, a.Messages, a.AlertsPerSecond, a.P50, a.P99, a.AnswerP50, a.AnswerP99)
	}
	row("\nFirst crash to Slack\tmedian\tleast\tmost")
	row("%d crashes\t%.1f s\t%.1f s\t%.1f s", len(r.Crash.Seconds), r.Crash.Median, percentile(r.Crash.Seconds, 1), percentile(r.Crash.Seconds, 100))
	r.signalRows(row)
	_ = w.Flush()
	return b.String()
}

// signalRows are the rows about the signals.
func (r *Report) signalRows(row func(format string, args ...any)) {
	s := r.Signals
	row("\nSignals, a second of each\ttaken\trefused\tlost\tanswered p99")
	if t := s.Steady.Taken; t != nil {
		for _, signal := range []struct {
			name string
			of   *signalTaken
		}{{"spans", &t.Spans}, {"lines", &t.Lines}, {"samples", &t.Samples}} {
			row("%d %s for %.0f s\t%d\t%d\t%d\t%.3f s", s.Steady.PerSecond, signal.name, s.Steady.Seconds,
				signal.of.Sent-signal.of.Refused, signal.of.Refused, s.Steady.Lost[signal.name], signal.of.AnswerP99)
		}
		row("failed traces, which sampling keeps\t%d\t\t%d", t.Failed, s.Steady.Lost[failedTraces])
	}
	row("\nMeanwhile\tcores\tworking set")
	podRows(row, s.Steady.Pods)
	row("\nFrom emit to found\trounds\tp50\tp99")
	for _, name := range slices.Sorted(maps.Keys(s.Delay)) {
		row("%s\t%d\t%.2f s\t%.2f s", name, s.Delay[name].Rounds, s.Delay[name].P50, s.Delay[name].P99)
	}
	row("\nTried\tsent\trefused\tlost\tall there after\tanswered p99 of spans, lines, samples")
	for _, step := range s.Steps {
		row("%d a second of each\t%d\t%d\t%d\t%.0f s\t%.2f s, %.2f s, %.2f s",
			step.PerSecond, step.Taken.sent(), step.Taken.refused(), step.lost(), step.Behind,
			step.Taken.Spans.AnswerP99, step.Taken.Lines.AnswerP99, step.Taken.Samples.AnswerP99)
	}
	for _, step := range s.Steps {
		row("\nMeanwhile, at %d a second\tcores\tworking set", step.PerSecond)
		podRows(row, step.Pods)
	}
}

func podRows(row func(format string, args ...any), pods []PodUse) {
	for _, p := range pods {
		row("%s\t%.3f\t%.1f MiB", p.Pod, p.Cores, float64(p.WorkingSet)/(1<<20))
	}
}

func mebibytes(pods []PodMemory, name string) string {
	var sizes []string
	for _, p := range pods {
		if p.Name == name {
			sizes = append(sizes, fmt.Sprintf("%.1f MiB", float64(p.WorkingSet)/(1<<20)))
		}
	}
	return strings.Join(sizes, ", ")
}
