package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
	"github.com/kubebot/kubebot/internal/rca/training"
)

// liveFolder holds what the live benchmark would save of two faults, and of one that two services are right for.
func liveFolder(t *testing.T) (folder, report string) {
	t.Helper()
	folder = t.TempDir()
	for name, s := range map[string]rcatest.Scenario{
		"errors-from-code.inc-1-1":    {StockReturns: true},
		"errors-from-code.inc-2-1":    {StockReturns: true, StockDelay: time.Millisecond},
		"dependency-down.inc-1-2":     {CartNetwork: 80 * time.Millisecond},
		"latency-on-one-edge.inc-1-3": {CartNetwork: 80 * time.Millisecond},
	} {
		var b bytes.Buffer
		if err := s.Snapshot().Write(&b); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".json"), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report = filepath.Join(folder, "bench-live.json")
	text := `{"faults":[{"fault":"errors from code","services":["stock"],"kinds":["code"]},
	  {"fault":"dependency down","services":["cart"],"kinds":["config","dependency"]},
	  {"fault":"latency on one edge","services":["cart","front"],"kinds":["network"]}]}`
	if err := os.WriteFile(report, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder, report
}

func measuring(t *testing.T) *rca.Engine {
	t.Helper()
	e, err := rca.NewEngine(detectors.All(), &rca.Model{Version: rca.ModelVersion})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLiveSnapshotsBecomeExamples(t *testing.T) {
	folder, report := liveFolder(t)
	got, err := readLive(folder, report, measuring(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("%d examples, want the three whose service is known", len(got))
	}
	down, errs := got[0], got[1]
	if down.Workload != "cart" || down.Kind != "" || down.Weight != 1 {
		t.Errorf("example of %s/%s with weight %v, want cart with any kind and weight 1", down.Workload, down.Kind, down.Weight)
	}
	if errs.Workload != "stock" || errs.Kind != rca.KindCode || errs.Weight != 0.5 {
		t.Errorf("example of %s/%s with weight %v, want code of stock, both as one", errs.Workload, errs.Kind, errs.Weight)
	}
	if len(shown(got)) != 3 {
		t.Errorf("%d of 3 causes are seen", len(shown(got)))
	}
	got[0].Workload = "moon"
	if len(shown(got)) != 2 {
		t.Error("learned from a cause that nothing shows")
	}
}

func TestALiveSnapshotOfAnUnknownFaultIsNamed(t *testing.T) {
	folder, report := liveFolder(t)
	if err := os.Rename(filepath.Join(folder, "dependency-down.inc-1-2.json"), filepath.Join(folder, "flood.inc-1-2.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := readLive(folder, report, measuring(t)); err == nil || !strings.Contains(err.Error(), "flood.inc-1-2.json") {
		t.Errorf("error %v, want one that names the snapshot", err)
	}
}

// withTruth gives the slow case of petshop several times under other names, and its cause.
func withTruth(t *testing.T) string {
	t.Helper()
	dir := petshop(t)
	var list []string
	for i := range 3 {
		list = append(list, fmt.Sprintf(`{"id":"slow-%d","dataset":"petshop","graph":"graph.csv","normal_file":"normal.csv","abnormal_file":"now.csv","inject_ts":1700000500,
	  "abnormal_window":[1700000000,1700001200],"candidates":["site","shop"],"target":{"node":"site","metric":"latency","agg":"Average"},
	  "truth":{"service":"shop","fault_type":"latency"}}`, i))
	}
	if err := os.WriteFile(filepath.Join(dir, "cases.json"), []byte(`{"cases":[`+strings.Join(list, ",")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEverySimulatedFaultIsSeen(t *testing.T) {
	all := simulated(measuring(t))
	if len(shown(all)) != len(all) {
		t.Errorf("%d of %d are candidates at all", len(shown(all)), len(all))
	}
}

func TestTrainReportsEveryFigure(t *testing.T) {
	folder, truth := liveFolder(t)
	dir := t.TempDir()
	o := trainOptions{data: withTruth(t), weights: filepath.Join(dir, "weights.json"), report: filepath.Join(dir, "report.json"), live: folder, truth: truth}
	if err := train(o); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(o.weights)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := rca.ReadModel(f)
	if err != nil || m.Figures["service AC@1 petshop, leave one fault out"] != 1 {
		t.Errorf("figures %v, error %v", m.Figures, err)
	}
	if made := "make train LIVE_DATA=<folder>"; m.Command != made {
		t.Errorf("made by %q, want %q without the path", m.Command, made)
	}
	b, err := os.ReadFile(o.report)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	want := Share{1, 0.438, 1}
	found := false
	for _, row := range r.Used.Figures {
		if row.Level == "service" && row.Group == "fault:petshop/latency" && row.Run == runService {
			found = true
			if row.Incidents != 3 || row.AC1 != want || row.AC3 != want || row.AC5 != want || row.Avg5 != want || row.MRR != want {
				t.Errorf("row %+v, want %v everywhere", row, want)
			}
		}
	}
	if !found {
		t.Errorf("no figures of a kind of fault in %+v", r.Used.Figures)
	}
	for _, set := range []string{liveSet, simulatedSet} {
		if !slices.ContainsFunc(r.Used.Figures, func(r Row) bool { return r.Group == set && r.Level == "cause" && r.Run == runService }) {
			t.Errorf("no figures of %s", set)
		}
	}
	if len(r.Other.Figures) == 0 || r.Choice == "" {
		t.Error("not said whether they were learned from")
	}
	if len(r.Used.FalseAlarms) != 1 || r.Used.FalseAlarms[0].Windows != 10 || len(r.Used.Signals) == 0 {
		t.Errorf("false alarms %+v, signals %+v", r.Used.FalseAlarms, r.Used.Signals)
	}
}

func TestWhatLowersAFigureOfTheRecordingsIsNotTaken(t *testing.T) {
	row := func(group, run string, mrr float64) Row {
		return Row{Level: "cause", Group: group, Run: run, MRR: Share{Value: mrr}}
	}
	this := Measured{Figures: []Row{row("set:a", runFitted, 0.9), row("set:a", runFault, 0.8), row(liveSet, runFault, 0.9)}, FalseAlarms: []FalseAlarms{{Set: "a", Alarms: 1}}}
	other := Measured{Figures: []Row{row("set:a", runFitted, 0.5), row("set:a", runFault, 0.8), row(liveSet, runFault, 0.5)}, FalseAlarms: []FalseAlarms{{Set: "a", Alarms: 1}}}
	if got := worsens(this, other); got != "" {
		t.Errorf("%q, want only left-out figures of recordings to count", got)
	}
	other.Figures[1].MRR.Value = 0.79
	if got := worsens(this, other); got != "cause MRR of set:a, leave one fault out, falls from 0.800 to 0.790" {
		t.Errorf("%q", got)
	}
	other.Figures[1].MRR.Value, other.FalseAlarms[0].Alarms = 0.8, 2
	if got := worsens(this, other); got != "false alarms of a rise from 1 to 2" {
		t.Errorf("%q", got)
	}
	other.FalseAlarms[0].Alarms, other.Silent = 1, 3
	if got := worsens(this, other); got != "nothing is said of 3 incidents, instead of 0" {
		t.Errorf("%q", got)
	}
}

func TestFiguresAreForIncidentsWithAKnownCause(t *testing.T) {
	var list []training.Outcome
	for _, x := range []struct {
		id   string
		kind rca.Kind
		set  string
	}{{"a-60s", rca.KindCPU, "set:x"}, {"a+0s", rca.KindCPU, "set:x"}, {"b+0s", "", "set:x"},
		{"leak 0+0s", rca.KindMemory, simulatedSet}, {"leak 1+0s", rca.KindMemory, simulatedSet}, {"slow 0+0s", "", simulatedSet},
		{"probe.inc-1.json+0s", rca.KindConfig, liveSet}, {"probe.inc-2.json+0s", rca.KindConfig, liveSet}, {"down.inc-1.json+0s", "", liveSet}} {
		fault, _, _ := strings.Cut(strings.ReplaceAll(x.id, ".", " "), " ")
		e := &training.Example{ID: x.id, Kind: x.kind, Groups: []string{"fault:" + fault, x.set}}
		list = append(list, training.Outcome{Example: e, ServiceRank: 1, CauseRank: 1, RegionRank: 1})
	}
	got := map[string]string{}
	for _, r := range rows(map[string][]training.Outcome{runService: list}) {
		got[r.Level+" "+r.Group] = fmt.Sprintf("%d in %d, from %.3f", r.Incidents, r.N, r.AC1.Low)
	}
	for row, want := range map[string]string{
		"service set:x": "2 in 3, from 0.342", "cause set:x": "1 in 2, from 0.207", "inner set:x": "1 in 2, from 0.207",
		"service " + simulatedSet: "2 in 3, from 0.342", "cause " + simulatedSet: "1 in 2, from 0.207", "cause fault:leak": "1 in 2, from 0.207",
		"service " + liveSet: "2 in 3, from 0.342", "cause " + liveSet: "1 in 2, from 0.207", "inner " + liveSet: "",
	} {
		if got[row] != want {
			t.Errorf("%s: %q, want %q", row, got[row], want)
		}
	}
}

func TestFiguresCountIncidentsAndNotTheirShifts(t *testing.T) {
	e := []training.Example{}
	for _, id := range []string{"a-60s", "a+0s", "b+0s"} {
		e = append(e, training.Example{ID: id, Groups: []string{"set:x"}})
	}
	by := map[string][]training.Outcome{runService: {{Example: &e[0], ServiceRank: 1}, {Example: &e[1], ServiceRank: 2}, {Example: &e[2]}}}
	got := rows(by)
	if len(got) != 1 || got[0].Incidents != 2 || got[0].N != 3 || got[0].AC1.Value != 0.333 || got[0].AC3.Value != 0.667 || got[0].Avg5.Value != 0.6 || got[0].MRR.Value != 0.5 {
		t.Errorf("rows %+v", got)
	}
}
