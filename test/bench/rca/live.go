package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/training"
)

// liveSet is the group of all live incidents.
const liveSet = "set:live"

// liveFault is what the report of the live benchmark says of a fault.
type liveFault struct {
	Fault    string     `json:"fault"`
	Services []string   `json:"services"`
	Kinds    []rca.Kind `json:"kinds"`
}

// readLive reads the snapshots that the live benchmark saved (<fault>.<incident>.json, blanks of the fault as dashes),
// and their causes from its report. Faults that several services would be right for, or none, are left out; where
// several kinds would be right, only the workload is known. The snapshots of one fault weigh as much as one incident.
func readLive(folder, report string, engine *rca.Engine) ([]training.Example, error) {
	faults, err := liveFaults(report)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.inc-*.json"))
	if err != nil {
		return nil, fmt.Errorf("list live snapshots: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("no snapshots of the live benchmark in " + folder)
	}
	var out []training.Example
	of := map[string]float64{}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		f, ok := faults[name]
		if !ok {
			return nil, fmt.Errorf("live snapshot %s: %s names no such fault", filepath.Base(file), report)
		}
		if len(f.Services) != 1 || len(f.Kinds) == 0 {
			continue
		}
		s, err := readSnapshot(file)
		if err != nil {
			return nil, fmt.Errorf("live snapshot %s: %w", filepath.Base(file), err)
		}
		e := training.Example{
			ID: filepath.Base(file) + "+0s", Workload: f.Services[0], Signals: s.Signals(), Hypotheses: engine.Hypotheses(s),
			Groups: []string{"service:live/" + f.Services[0], "fault:live/" + f.Fault, liveSet},
		}
		if len(f.Kinds) == 1 {
			e.Kind = f.Kinds[0]
		}
		of[f.Fault]++
		out = append(out, e)
	}
	for i := range out {
		out[i].Weight = 1 / of[strings.TrimPrefix(out[i].Groups[1], "fault:live/")]
	}
	return out, nil
}

func liveFaults(report string) (map[string]liveFault, error) {
	b, err := os.ReadFile(report)
	if err != nil {
		return nil, fmt.Errorf("read what the live faults were: %w", err)
	}
	var r struct {
		Faults []liveFault `json:"faults"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read what the live faults were: %w", err)
	}
	out := map[string]liveFault{}
	for _, f := range r.Faults {
		out[strings.ReplaceAll(f.Fault, " ", "-")] = f
	}
	return out, nil
}

func readSnapshot(file string) (*rca.Snapshot, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	defer f.Close()
	return rca.ReadSnapshot(f)
}

// shown are the examples whose cause some detector sees.
func shown(list []training.Example) []training.Example {
	return slices.DeleteFunc(slices.Clone(list), func(e training.Example) bool { return !e.Shown() })
}
