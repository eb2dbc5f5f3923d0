package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
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

// trainOptions are the flags of train.
type trainOptions struct {
	// data is the folder of the recordings, weights the file to write, report the one for the figures; empty for none.
	data, weights, report string
	// live is a folder of saved snapshots, empty for none; truth is the report of the live benchmark that names their faults.
	live, truth string
	// workers is how many cases are read at a time; 0 for one per processor.
	workers int
}

// train fits the weights to cases.json, writes them, and prints fitted and left-out figures side by side. Simulated and live
// faults are learned from only if no left-out figure of the recordings gets worse.
func train(o trainOptions) error {
	in, err := read(o)
	if err != nil {
		return err
	}
	f, with := fit(in, false), fit(in, true)
	used, other := measured(f), measured(with)
	out := Report{Used: used, Other: other, Choice: "Simulated and live faults are not learned from: with them "}
	if worse := worsens(used, other); worse != "" {
		out.Choice += worse
	} else {
		f = with
		if o.live != "" {
			f.model.Command += " LIVE_DATA=<folder>"
		}
		out = Report{Used: other, Other: used, Choice: "Simulated and live faults are learned from: no left-out figure of the recordings gets worse"}
	}
	out.print(os.Stdout, f.model.Weights)
	if err := save(o.report, out); err != nil {
		return err
	}
	return save(o.weights, f.model)
}

// save writes JSON to a file; an empty name writes nothing.
func save(file string, v any) error {
	if file == "" {
		return nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	if err := os.WriteFile(file, buf.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// examples are what is learned from and judged by.
type examples struct {
	// recorded are the incidents of the recordings, poorer the same with signals left out, calm fault-free windows.
	recorded, poorer, calm []training.Example
	// more are simulated and live ones.
	more []training.Example
}

func read(o trainOptions) (*examples, error) {
	cases, err := dataset.ReadCases(o.data, "cases.json", true)
	if err != nil {
		return nil, err
	}
	engine, err := rca.NewEngine(detectors.All(), &rca.Model{Version: rca.ModelVersion})
	if err != nil {
		return nil, fmt.Errorf("make engine: %w", err)
	}
	in := examples{more: simulated(engine)}
	if o.live != "" {
		saved, err := readLive(o.live, o.truth, engine)
		if err != nil {
			return nil, err
		}
		in.more = append(in.more, saved...)
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
	faults := len(jobs)
	for _, c := range dataset.Quiet(cases) {
		jobs = append(jobs, job{c: c, quiet: true})
	}
	whole, poorer, err := extract(o.data, engine, jobs, o.workers)
	if err != nil {
		return nil, err
	}
	in.recorded, in.calm, in.poorer = whole[:faults], whole[faults:], poorer
	return &in, nil
}

// Runs are how the weights that rank an incident were fitted.
const (
	runFitted  = "fitted"
	runService = "leave one service out"
	runFault   = "leave one fault out"
)

// fitting is a model with how it, and weights that had not seen an incident, rank the incidents.
type fitting struct {
	model *rca.Model
	runs  map[string][]training.Outcome
	// known are the outcomes of runService that the calibration was fitted to, recorded those of the recordings, still those
	// of fault-free windows.
	known, recorded, still []training.Outcome
	signals                map[string]*outcomes
}

// fit learns from the recordings, and from the other incidents if it should; it ranks both.
func fit(in *examples, more bool) *fitting {
	ds, o := detectors.All(), training.DefaultOptions
	all, known, learned := slices.Concat(in.recorded, in.more), len(in.recorded), in.recorded
	if more {
		known, learned = len(all), slices.Concat(in.recorded, shown(in.more))
	}
	w := training.Fit(learned, ds, o)
	f := &fitting{runs: map[string][]training.Outcome{
		runFitted:  rankAll(learned, w),
		runService: training.LeaveOutOf(learned, all, "service:", ds, o),
		runFault:   training.LeaveOutOf(learned, all, "fault:", ds, o),
	}}
	f.known, f.recorded, f.still = f.runs[runService][:known], f.runs[runService][:len(in.recorded)], rankAll(in.calm, w)
	cal := training.Calibrate(slices.Concat(f.known, f.still))
	cal.Abstain = abstain(f.known, f.still, cal)
	f.model = &rca.Model{Version: rca.ModelVersion, Command: trainCommand, Weights: w, Calibration: cal, Figures: map[string]float64{}}
	f.signals = sets(f.known, f.still, learned, in.poorer, w)
	f.model.Calibrations = calibrateSets(cal, f.signals)
	return f
}

func rankAll(list []training.Example, w map[string]float64) []training.Outcome {
	var out []training.Outcome
	for i := range list {
		out = append(out, training.Rank(&list[i], w))
	}
	return out
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
