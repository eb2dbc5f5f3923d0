package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Kind is what can be switched on.
type Kind string

// The kinds of faults and the fields of Setting that each takes.
const (
	CPU     Kind = "cpu"     // millicores: keeps that much of the CPU busy
	Memory  Kind = "memory"  // bytesPerSecond, maxBytes (0: no end): allocates and never frees
	Latency Kind = "latency" // milliseconds, dependency (empty: in the handler itself): waits
	Errors  Kind = "errors"  // percent: that share of requests fails in the service's own code
	Disk    Kind = "disk"    // bytesPerSecond, maxBytes (0: no end): fills the data folder
	Refuse  Kind = "refuse"  // dependency: its connections break and new ones are refused
)

// Limits of the settings: as much as one small pod can want.
const (
	maxMillicores   = 16_000
	maxMilliseconds = 60_000
	maxBytes        = 1 << 40
	maxBody         = 4 << 10
)

// Setting says how much of a fault is wanted. Fields that the kind does not take must be empty.
type Setting struct {
	Millicores     int    `json:"millicores,omitempty"`
	BytesPerSecond int64  `json:"bytesPerSecond,omitempty"`
	MaxBytes       int64  `json:"maxBytes,omitempty"`
	Milliseconds   int    `json:"milliseconds,omitempty"`
	Percent        int    `json:"percent,omitempty"`
	Dependency     string `json:"dependency,omitempty"`
}

// ParseSetting reads one JSON object of at most 4 KiB and checks it against the kind.
func ParseSetting(kind Kind, body io.Reader) (Setting, error) {
	decoder := json.NewDecoder(io.LimitReader(body, maxBody))
	decoder.DisallowUnknownFields()
	var s Setting
	if err := decoder.Decode(&s); err != nil {
		return Setting{}, fmt.Errorf("read the setting of %q: %w", kind, err)
	}
	return s, s.check(kind)
}

func (s Setting) delay() time.Duration { return time.Duration(s.Milliseconds) * time.Millisecond }

func (s Setting) check(kind Kind) error {
	allowed := Setting{}
	switch kind {
	case CPU:
		allowed.Millicores = s.Millicores
		if s.Millicores < 1 || s.Millicores > maxMillicores {
			return fmt.Errorf("%s: millicores must be from 1 to %d", kind, maxMillicores)
		}
	case Memory, Disk:
		allowed.BytesPerSecond, allowed.MaxBytes = s.BytesPerSecond, s.MaxBytes
		if s.BytesPerSecond < 1 || s.BytesPerSecond > maxBytes || s.MaxBytes < 0 || s.MaxBytes > maxBytes {
			return fmt.Errorf("%s: bytesPerSecond must be from 1, maxBytes from 0, to %d", kind, int64(maxBytes))
		}
	case Latency:
		allowed.Milliseconds, allowed.Dependency = s.Milliseconds, s.Dependency
		if s.Milliseconds < 1 || s.Milliseconds > maxMilliseconds {
			return fmt.Errorf("%s: milliseconds must be from 1 to %d", kind, maxMilliseconds)
		}
	case Errors:
		allowed.Percent = s.Percent
		if s.Percent < 1 || s.Percent > 100 {
			return fmt.Errorf("%s: percent must be from 1 to 100", kind)
		}
	case Refuse:
		allowed.Dependency = s.Dependency
		if s.Dependency == "" {
			return fmt.Errorf("%s: dependency must be named", kind)
		}
	default:
		return fmt.Errorf("unknown kind %q: want cpu, memory, latency, errors, disk or refuse", kind)
	}
	if s != allowed {
		return fmt.Errorf("%s: a field is set that this kind does not take", kind)
	}
	return nil
}
