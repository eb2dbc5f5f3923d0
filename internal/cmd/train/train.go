// Package train is the command `kubebot train`: it refits the root-cause weights from incidents whose cause is known, of a
// folder or of a cluster.
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
	"time"

	cmdrca "github.com/kubebot/kubebot/internal/cmd/rca"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/training"
)

// Options of `kubebot train`.
type Options struct {
	// Folder holds one <name>.json per incident (see rca.Example), as `kubebot why incident/NAME --save` writes it.
	Folder string
	// Weights is the file in use; empty takes the built-in weights.
	Weights string
	// Output is where adopted weights are written.
	Output string
	// Cluster refits from the Incidents of a KubeBot instead of a folder, where its KubeBot is named.
	Cluster ClusterOptions
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
	var outcome any
	var err error
	if o.Cluster.KubeBot != "" {
		outcome, err = o.Cluster.refit(ctx)
	} else {
		outcome, err = refit(ctx, o)
	}
	if err != nil {
		return err
	}
	enc := json.NewEncoder(o.Out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(outcome); err != nil {
		return fmt.Errorf("print outcome: %w", err)
	}
	return nil
}

func refit(ctx context.Context, o Options) (*Outcome, error) {
	old, err := cmdrca.Model(o.Weights)
	if err != nil {
		return nil, err
	}
	engine, err := rca.NewEngine(detectors.All(), old)
	if err != nil {
		return nil, fmt.Errorf("make engine: %w", err)
	}
	examples, err := read(ctx, o.Folder, engine)
	if err != nil {
		return nil, err
	}
	made, r := attempt(examples, old, nil, time.Now())
	if made != nil {
		if err := write(o.Output, made); err != nil {
			return nil, err
		}
	}
	return &Outcome{Incidents: len(examples), Before: r.Before, After: r.After, Adopted: r.Adopted, Reason: r.Reason}, nil
}

func read(ctx context.Context, folder string, engine *rca.Engine) ([]training.Example, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	sort.Strings(files)
	var out []training.Example
	for _, f := range files {
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
	return training.Example{
		Weight: 1, Signals: e.Snapshot.Signals(), Hypotheses: engine.Hypotheses(e.Snapshot),
		Workload: e.Workload, Kind: e.Kind, Wrong: e.Wrong,
	}, nil
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
