// Package train is the command `kubebot train`: it refits the root-cause weights from incidents whose cause is known.
package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	cmdrca "github.com/kubebot/kubebot/internal/cmd/rca"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/training"
)

// MinIncidents is how many judged incidents a refit needs; with fewer the weights in use stay.
const MinIncidents = 10

// folds is how many parts the incidents are split into; each part is judged by weights that never saw it.
const folds = 5

// Options of `kubebot train`.
type Options struct {
	// Folder holds one <name>.json per incident (see rca.Example), as `kubebot why incident/NAME --save` writes it.
	Folder string
	// Weights is the file in use; empty takes the built-in weights.
	Weights string
	// Output is where adopted weights are written.
	Output string
	// Out takes the report; default standard output.
	Out io.Writer
}

// Outcome says what the training decided.
type Outcome struct {
	Incidents int `json:"incidents"`
	// Before and After are the shares of held-back incidents whose cause comes first, by the weights in use and the new.
	Before  float64 `json:"before"`
	After   float64 `json:"after"`
	Adopted bool    `json:"adopted"`
	Reason  string  `json:"reason"`
}

// Run refits, compares on held-back incidents, and writes the new weights only if they are better.
func Run(ctx context.Context, o Options) error {
	if o.Out == nil {
		o.Out = os.Stdout
	}
	r, err := refit(ctx, o)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(o.Out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("print outcome: %w", err)
	}
	return nil
}

func refit(ctx context.Context, o Options) (*Outcome, error) {
	old, err := cmdrca.Model(o.Weights)
	if err != nil {
		return nil, err
	}
	ds := detectors.All()
	engine, err := rca.NewEngine(ds, old)
	if err != nil {
		return nil, fmt.Errorf("make engine: %w", err)
	}
	examples, err := read(ctx, o.Folder, engine)
	if err != nil {
		return nil, err
	}
	r := &Outcome{Incidents: len(examples)}
	if len(examples) < MinIncidents {
		r.Reason = fmt.Sprintf("fewer than %d judged incidents", MinIncidents)
		return r, nil
	}
	opts := training.DefaultOptions
	opts.Prior = old.Weights // learn on top of what is known
	unseen := training.LeaveOut(examples, "fold:", ds, opts)
	var before, after []int
	for i := range examples {
		before = append(before, training.Rank(&examples[i], old.Weights).CauseRank)
		after = append(after, unseen[i].CauseRank)
	}
	r.Before, r.After = training.Measure(before).AC1, training.Measure(after).AC1
	if r.After <= r.Before {
		r.Reason = "not better on held-back incidents"
		return r, nil
	}
	cal := training.Calibrate(unseen)
	cal.Abstain = old.Calibration.Abstain
	m := rca.Model{
		Version: rca.ModelVersion, Command: "kubebot train", Weights: training.Fit(examples, ds, opts), Calibration: cal,
		Figures: map[string]float64{"incidents": float64(r.Incidents), "AC@1 before": r.Before, "AC@1 after": r.After},
	}
	if err := write(o.Output, &m); err != nil {
		return nil, err
	}
	r.Adopted, r.Reason = true, "better on held-back incidents"
	return r, nil
}

func read(ctx context.Context, folder string, engine *rca.Engine) ([]training.Example, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	sort.Strings(files)
	var out []training.Example
	for i, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read incidents: %w", err)
		}
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read incident: %w", err)
		}
		e, err := Parse(b, engine)
		if err != nil {
			return nil, fmt.Errorf("incident %s: %w", filepath.Base(f), err)
		}
		e.ID = filepath.Base(f)
		e.Groups = []string{fmt.Sprintf("fold:%d", i%folds)}
		out = append(out, e)
	}
	return out, nil
}

// Parse makes a training example of a judged incident.
func Parse(b []byte, engine *rca.Engine) (training.Example, error) {
	e, err := rca.ReadExample(bytes.NewReader(b))
	if err != nil {
		return training.Example{}, err
	}
	return training.Example{Weight: 1, Hypotheses: engine.Hypotheses(e.Snapshot), Workload: e.Workload, Kind: e.Kind}, nil
}

// write replaces the file in one step, so that a reader never sees half of it.
func write(file string, m *rca.Model) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode weights: %w", err)
	}
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write weights: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("write weights: %w", err)
	}
	return nil
}
