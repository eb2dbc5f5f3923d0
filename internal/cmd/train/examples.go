package train

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/training"
)

const (
	// suffix of the keys of examples: the name of the Incident comes before.
	suffix = ".json.gz"
	// maxCandidates of each onset that an example keeps.
	maxCandidates = 200
	// maxExampleBytes bounds an example before compression, maxStoredBytes all of them after it: a ConfigMap holds 1 MiB.
	maxExampleBytes = 16 << 20
	maxStoredBytes  = 900 << 10
)

// stored is a judged Incident as it is kept: the numbers that detectors measured, and no text of the telemetry. It
// outlives the Incident and what the stores hold.
type stored struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	// Workload, Kind and Wrong are what was said, the workload by its Kubernetes name; Services are the names by which
	// telemetry knows workloads.
	Workload string            `json:"workload"`
	Kind     rca.Kind          `json:"kind"`
	Wrong    bool              `json:"wrong,omitempty"`
	Services map[string]string `json:"services,omitempty"`
	// Signals are those that the snapshot held.
	Signals string `json:"signals"`
	// Onsets are the hypotheses.
	Onsets []onset `json:"onsets,omitempty"`
}

type onset struct {
	Step       int         `json:"step"`
	Late       bool        `json:"late,omitempty"`
	Candidates []candidate `json:"candidates"`
}

type candidate struct {
	Workload string             `json:"w"`
	Kind     rca.Kind           `json:"k"`
	Values   map[string]float64 `json:"v"`
}

// keep makes a stored example of what was recorded of a judged Incident.
func keep(a enrich.Answer, j enrich.Judgement, at time.Time, engine *rca.Engine, m *rca.Model) stored {
	s := stored{Version: rca.ModelVersion, At: at.UTC(), Services: a.Services, Signals: a.Snapshot.Signals()}
	s.judge(j)
	for _, h := range engine.Hypotheses(a.Snapshot) {
		o := onset{Step: h.Onset, Late: h.Late}
		slices.SortStableFunc(h.Candidates, func(a, b rca.Candidate) int { return cmp.Compare(m.Raw(&b), m.Raw(&a)) })
		for i, c := range h.Candidates {
			if i >= maxCandidates && c.Workload != s.service() {
				continue
			}
			values := map[string]float64{}
			for n, v := range c.Values {
				values[n] = math.Round(v*1e4) / 1e4
			}
			o.Candidates = append(o.Candidates, candidate{c.Workload, c.Kind, values})
		}
		s.Onsets = append(s.Onsets, o)
	}
	return s
}

func (s *stored) judge(j enrich.Judgement) {
	s.Workload, s.Kind, s.Wrong = j.Workload, rca.Kind(j.Kind), j.Wrong
}

func (s *stored) says(j enrich.Judgement) bool {
	return s.Workload == j.Workload && s.Kind == rca.Kind(j.Kind) && s.Wrong == j.Wrong
}

func (s *stored) service() string { return cmp.Or(s.Services[s.Workload], s.Workload) }

// example is what a refit takes; false when there is nothing to learn from it: no telemetry, or a cause was rejected that
// telemetry does not show anyway.
func (s *stored) example(id string) (training.Example, bool) {
	e := training.Example{ID: id, Weight: 1, Workload: s.service(), Kind: s.Kind, Wrong: s.Wrong, Signals: s.Signals}
	for _, o := range s.Onsets {
		h := rca.Hypothesis{Onset: o.Step, Late: o.Late}
		for _, c := range o.Candidates {
			h.Candidates = append(h.Candidates, rca.Candidate{Workload: c.Workload, Kind: c.Kind, Values: c.Values, Onset: o.Step})
		}
		e.Hypotheses = append(e.Hypotheses, h)
	}
	return e, len(e.Hypotheses) > 0 && s.Version == rca.ModelVersion && (!s.Wrong || e.Shown())
}

func (s *stored) encode() ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := json.NewEncoder(z).Encode(s); err != nil {
		return nil, fmt.Errorf("encode example: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("encode example: %w", err)
	}
	return out.Bytes(), nil
}

func decode(b []byte) (*stored, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read example: %w", err)
	}
	var s stored
	if err := json.NewDecoder(io.LimitReader(z, maxExampleBytes)).Decode(&s); err != nil {
		return nil, fmt.Errorf("read example: %w", err)
	}
	return &s, nil
}

// decodeAll reads the examples of a ConfigMap. One that can't be read is left out, and made anew if it can be.
func decodeAll(data map[string][]byte) map[string]*stored {
	out := map[string]*stored{}
	for key, b := range data {
		name, ok := strings.CutSuffix(key, suffix)
		if !ok {
			continue
		}
		if s, err := decode(b); err == nil {
			out[name] = s
		}
	}
	return out
}

// encodeAll writes examples, the newest first as far as they fit.
func encodeAll(all map[string]*stored) (map[string][]byte, error) {
	out := map[string][]byte{}
	size := 0
	for _, name := range newest(all) {
		b, err := all[name].encode()
		if err != nil {
			return nil, err
		}
		if size += len(b) + len(name) + len(suffix); size > maxStoredBytes {
			break
		}
		out[name+suffix] = b
	}
	return out, nil
}

// newest returns the names of examples, the newest first.
func newest(all map[string]*stored) []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(all[b].At.Compare(all[a].At), cmp.Compare(a, b)) })
	return names
}
