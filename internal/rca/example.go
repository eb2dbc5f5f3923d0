package rca

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Example is a snapshot with the cause that people confirmed, corrected or rejected: what the ranking learns from.
type Example struct {
	Snapshot *Snapshot
	Workload string
	Kind     Kind
	// Wrong says that workload and kind are known not to be the cause.
	Wrong bool
}

type exampleFile struct {
	Snapshot json.RawMessage `json:"snapshot"`
	Workload string          `json:"workload"`
	Kind     Kind            `json:"kind"`
	Wrong    bool            `json:"wrong,omitempty"`
}

// Write serialises the example as JSON.
func (e Example) Write(w io.Writer) error {
	said := map[string]any{"snapshot": e.Snapshot, "workload": e.Workload, "kind": e.Kind}
	if e.Wrong {
		said["wrong"] = true
	}
	if err := json.NewEncoder(w).Encode(said); err != nil {
		return fmt.Errorf("write example: %w", err)
	}
	return nil
}

// ReadExample parses an example of at most MaxSnapshotBytes.
func ReadExample(r io.Reader) (*Example, error) {
	e, err := readEither(r)
	if err != nil {
		return nil, err
	}
	if e.Workload == "" {
		return nil, errors.New("no workload named as the cause")
	}
	return e, nil
}

// readEither reads an example, or a bare snapshot, which has no cause.
func readEither(r io.Reader) (*Example, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSnapshotBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	if len(b) > MaxSnapshotBytes {
		return nil, fmt.Errorf("read snapshot: more than %d bytes", MaxSnapshotBytes)
	}
	var f exampleFile
	if err := json.Unmarshal(b, &f); err == nil && len(f.Snapshot) > 0 {
		b = f.Snapshot
	}
	s, err := parseSnapshot(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return &Example{Snapshot: s, Workload: f.Workload, Kind: f.Kind, Wrong: f.Wrong}, nil
}
