package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/training"
	"github.com/kubebot/kubebot/test/bench/rca/dataset"
)

// shifts move the alarm of a case in training and validation, as alarms in the field come early or late.
var shifts = []time.Duration{-60 * time.Second, 0, 60 * time.Second, 120 * time.Second}

// trainCommand is what the weights file says made it.
const trainCommand = "make train"

// train fits the weights to cases.json, writes them, and prints fitted and left-out figures side by side.
func train(data, file string, workers int) error {
	cases, err := dataset.ReadCases(data, "cases.json", true)
	if err != nil {
		return err
	}
	ds := detectors.All()
	engine, err := rca.NewEngine(ds, &rca.Model{Version: rca.ModelVersion})
	if err != nil {
		return fmt.Errorf("make engine: %w", err)
	}
	var jobs []job
	for _, c := range cases {
		if c.Truth == nil {
			continue
		}
		for _, s := range shifts {
			if c.IsPetShop() && s != 0 {
				continue // five-minute samples: the loader reads the same rows
			}
			jobs = append(jobs, job{c: c, shift: s})
		}
	}
	quiet := dataset.Quiet(cases)
	for _, c := range quiet {
		jobs = append(jobs, job{c: c, quiet: true})
	}
	examples, poorer, err := extract(data, engine, jobs, workers)
	if err != nil {
		return err
	}
	faults, calm := examples[:len(examples)-len(quiet)], examples[len(examples)-len(quiet):]
	o := training.DefaultOptions
	w := training.Fit(faults, ds, o)
	runs := map[string][]training.Outcome{
		"leave one service out": training.LeaveOut(faults, "service:", ds, o),
		"leave one fault out":   training.LeaveOut(faults, "fault:", ds, o),
	}
	var fitted, still []training.Outcome
	for i := range faults {
		fitted = append(fitted, training.Rank(&faults[i], w))
	}
	for i := range calm {
		still = append(still, training.Rank(&calm[i], w))
	}
	runs["fitted"] = fitted
	unseen := runs["leave one service out"]
	cal := training.Calibrate(append(append([]training.Outcome{}, unseen...), still...))
	cal.Abstain = abstain(unseen, still, cal)
	model := &rca.Model{Version: rca.ModelVersion, Command: trainCommand, Weights: w, Calibration: cal, Figures: map[string]float64{}}
	report(model, runs, still)
	calibrateSets(model, sets(unseen, still, faults, poorer, w))
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(model); err != nil {
		return fmt.Errorf("encode weights: %w", err)
	}
	if err := os.WriteFile(file, buf.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write weights: %w", err)
	}
	return nil
}

type job struct {
	c     dataset.Case
	shift time.Duration
	quiet bool
}

// extract loads every case and measures its candidates, and once more for each set of signals that could be missing.
func extract(data string, engine *rca.Engine, jobs []job, workers int) (whole, poorer []training.Example, err error) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	out := make([][]training.Example, len(jobs))
	errs := make([]error, len(jobs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				out[i], errs[i] = example(data, engine, jobs[i])
			}
		}()
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, nil, err
		}
		whole, poorer = append(whole, out[i][0]), append(poorer, out[i][1:]...)
	}
	return whole, poorer, nil
}

// example measures a case as it is, and then as it would be without some of its signals.
func example(data string, engine *rca.Engine, j job) ([]training.Example, error) {
	c := j.c.Shift(j.shift)
	s, err := dataset.Load(data, c)
	if err != nil {
		return nil, err
	}
	e := described(c, j)
	e.Hypotheses, e.Signals = engine.Hypotheses(s), s.Signals()
	out := []training.Example{e}
	for _, lost := range lost {
		less := s
		for _, signal := range lost {
			less = less.Without(signal)
		}
		if less.Signals() != "" && !slices.ContainsFunc(out, func(x training.Example) bool { return x.Signals == less.Signals() }) {
			e.Hypotheses, e.Signals = engine.Hypotheses(less), less.Signals()
			out = append(out, e)
		}
	}
	return out, nil
}

// described says what is known of a case.
func described(c dataset.Case, j job) training.Example {
	e := training.Example{ID: fmt.Sprintf("%s%+ds", c.ID, int(j.shift.Seconds())), Weight: 1}
	if j.quiet {
		e.Groups = []string{"set:" + c.Dataset}
		return e
	}
	e.Weight = 1 / float64(len(shifts))
	if c.IsPetShop() {
		e.Weight = 1
	}
	t := j.c.Truth
	e.Workload, e.Kind = t.Service, rca.Kind(t.Cause)
	if t.InnerKind == "code_region" {
		e.Region = []string{t.Region.From, t.Region.To}
	}
	e.Groups = []string{"service:" + c.Dataset + "/" + t.Service, "fault:" + c.Dataset + "/" + t.FaultType, "set:" + c.Dataset, "shift:" + j.shift.String()}
	return e
}

// abstain picks the score below which the engine says that nothing stands out: the one that is right most often over
// incidents (say something) and fault-free windows (say nothing).
func abstain(faults, calm []training.Outcome, cal rca.Calibration) float64 {
	best, most := 0.0, -1.0
	for t := 0.05; t <= 0.6; t += 0.05 {
		var kept, silent float64
		for _, o := range faults {
			if training.TopScore(o, cal) >= t {
				kept++
			}
		}
		for _, o := range calm {
			if training.TopScore(o, cal) < t {
				silent++
			}
		}
		// losing an incident weighs three times a false alarm
		if v := 3*kept/max(1, float64(len(faults))) + silent/max(1, float64(len(calm))); v > most+1e-9 {
			best, most = t, v
		}
	}
	return best
}

func report(model *rca.Model, runs map[string][]training.Outcome, still []training.Outcome) {
	fmt.Println("Weights")
	for _, d := range detectors.All() {
		for _, f := range d.Features {
			fmt.Printf("  %-22s %7.3f  %s\n", d.Name+"."+f.Name, model.Weights[d.Name+"."+f.Name], f.Doc)
		}
	}
	names := []string{"fitted", "leave one service out", "leave one fault out"}
	fmt.Println("\nFigures (ties counted against; cases times alarm shifts; AC@1 with a 95 % Wilson interval for the number of cases)")
	for _, level := range []string{"service", "cause", "inner"} {
		for _, g := range groups(runs["fitted"]) {
			for _, run := range names {
				f := training.Measure(ranks(runs[run], g, level))
				f.Low, f.High = training.Wilson(f.AC1, distinct(runs[run], g))
				if f.N == 0 {
					continue
				}
				fmt.Printf("  %-8s %-34s %-22s n=%-4d AC@1 %.3f [%.2f,%.2f]  AC@3 %.3f  AC@5 %.3f  MRR %.3f\n",
					level, g, run, f.N, f.AC1, f.Low, f.High, f.AC3, f.AC5, f.MRR)
				if strings.HasPrefix(g, "set:") {
					model.Figures[level+" AC@1 "+strings.TrimPrefix(g, "set:")+", "+run] = round3(f.AC1)
				}
			}
		}
	}
	cal := model.Calibration
	unseen := append(append([]training.Outcome{}, runs["leave one service out"]...), still...)
	rel := training.Check(unseen, cal)
	alarms := 0
	for _, o := range still {
		if p := training.TopScore(o, cal); p >= cal.Abstain {
			alarms++
			fmt.Printf("\nFalse alarm %s: %s of %s at %.2f", o.Example.ID, o.Ranked[0].Kind, o.Ranked[0].Workload, p)
		}
	}
	missed := 0
	for _, o := range runs["leave one service out"] {
		if training.TopScore(o, cal) < cal.Abstain {
			missed++
		}
	}
	fmt.Printf("\nCalibration error (left out, with fault-free windows) %.3f, Brier score %.3f\n", rel.Error, rel.Brier)
	for _, b := range rel.Bins {
		fmt.Printf("  score %.2f: right in %.2f of %.0f\n", b.Score, b.Right, b.N)
	}
	fmt.Printf("Abstains below %.2f: false alarms in %d of %d fault-free windows, silent in %d of %d incidents\n",
		cal.Abstain, alarms, len(still), missed, len(runs["leave one service out"]))
	model.Figures["calibration error"] = round3(rel.Error)
	model.Figures["false alarms per fault-free window"] = round3(float64(alarms) / max(1, float64(len(still))))
}

func round3(x float64) float64 { return float64(int(x*1000+0.5)) / 1000 }

// groups lists the data sets, the faults in each, and the shifts.
func groups(outcomes []training.Outcome) []string {
	var out []string
	for _, prefix := range []string{"set:", "fault:", "shift:"} {
		seen := map[string]bool{}
		for _, o := range outcomes {
			for _, g := range o.Example.Groups {
				if strings.HasPrefix(g, prefix) && !seen[g] {
					seen[g] = true
					out = append(out, g)
				}
			}
		}
	}
	return out
}

// distinct counts the cases of a group, however often their alarm was shifted.
func distinct(outcomes []training.Outcome, group string) float64 {
	return float64(distinctIDs(slices.DeleteFunc(slices.Clone(outcomes), func(o training.Outcome) bool { return !slices.Contains(o.Example.Groups, group) })))
}

func distinctIDs(outcomes []training.Outcome) int {
	seen := map[string]bool{}
	for _, o := range outcomes {
		id := o.Example.ID
		seen[id[:strings.LastIndexAny(id, "+-")]] = true
	}
	return len(seen)
}

// ranks of the outcomes of a group, or of all without one.
func ranks(outcomes []training.Outcome, group, level string) []int {
	var out []int
	for _, o := range outcomes {
		if group == "" || slices.Contains(o.Example.Groups, group) {
			switch {
			case level == "service":
				out = append(out, o.ServiceRank)
			case level == "cause" && o.Example.Kind != "":
				out = append(out, o.CauseRank)
			case level == "inner" && o.Example.Kind != "":
				out = append(out, o.RegionRank)
			}
		}
	}
	return out
}
