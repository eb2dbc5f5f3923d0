// Package rca is the command `kubebot rca`: the root-cause engine on recorded telemetry.
package rca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/otlpfile"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

// Defaults of the options.
const (
	DefaultBaseline = time.Hour
	DefaultLength   = 3 * time.Minute
)

// Options of `kubebot rca`. Exactly one of Snapshot and Telemetry is set.
type Options struct {
	// Snapshot is a snapshot file; "-" reads standard input.
	Snapshot string
	// Telemetry is a folder or file that the OpenTelemetry Collector's file exporter wrote.
	Telemetry string
	// Alarm is when the trouble was noticed; needed with Telemetry.
	Alarm time.Time
	// Baseline is how long before the alarm normal operation is looked for; default one hour.
	Baseline time.Duration
	// Length is how long after the alarm the trouble is looked at; default three minutes.
	Length time.Duration
	// Target names the workload and signal (latency or availability) that raised the alarm; empty when unknown.
	Target, Signal string
	// Save writes the snapshot to a file, to be replayed.
	Save string
	// Weights is a weights file; empty takes the built-in ones.
	Weights string
	// JSON prints JSON rather than the readable report.
	JSON bool
	// In and Out default to standard input and output.
	In  io.Reader
	Out io.Writer
}

// Run analyses and prints. An unreadable input or option is an error; "nothing stands out" is not.
func Run(ctx context.Context, o Options) error {
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	s, err := snapshot(o)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("analyse: %w", err)
	}
	if o.Save != "" {
		if err := save(s, o.Save); err != nil {
			return err
		}
	}
	m, err := Model(o.Weights)
	if err != nil {
		return err
	}
	e, err := rca.NewEngine(detectors.All(), m)
	if err != nil {
		return fmt.Errorf("make engine: %w", err)
	}
	r, err := e.Analyse(s)
	if err != nil {
		return err
	}
	if !o.JSON {
		return r.WriteText(o.Out)
	}
	enc := json.NewEncoder(o.Out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	return nil
}

// Model reads a weights file, or gives the built-in weights for an empty name.
func Model(file string) (*rca.Model, error) {
	if file == "" {
		return weights.Default()
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open weights: %w", err)
	}
	defer f.Close()
	return rca.ReadModel(f)
}

func snapshot(o Options) (*rca.Snapshot, error) {
	switch {
	case (o.Snapshot == "") == (o.Telemetry == ""):
		return nil, errors.New("give either a snapshot or a folder of telemetry")
	case o.Snapshot == "-":
		return rca.ReadSnapshot(o.In)
	case o.Snapshot != "":
		f, err := os.Open(o.Snapshot)
		if err != nil {
			return nil, fmt.Errorf("open snapshot: %w", err)
		}
		defer f.Close()
		return rca.ReadSnapshot(f)
	case o.Alarm.IsZero():
		return nil, errors.New("telemetry needs the time of the alarm")
	}
	if o.Baseline <= 0 {
		o.Baseline = DefaultBaseline
	}
	if o.Length <= 0 {
		o.Length = DefaultLength
	}
	b := rca.NewBuilder(rca.NewLayout(o.Alarm.Add(-o.Baseline), o.Alarm, o.Alarm.Add(o.Length), nil), rca.BuilderOptions{})
	if o.Target != "" {
		b.SetTarget(rca.Target{Workload: o.Target, Signal: o.Signal})
	}
	n, err := otlpfile.ReadFolder(o.Telemetry, b)
	s := b.Snapshot()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("no telemetry files in %s", o.Telemetry)
	}
	return s, nil
}

func save(s *rca.Snapshot, file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	if err := s.Write(f); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	return nil
}
