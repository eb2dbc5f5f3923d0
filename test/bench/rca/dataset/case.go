// Package dataset reads the benchmark incidents (Nezha's OnlineBoutique and TrainTicket recordings, PetShop) and turns
// each into a snapshot for the engine. The formats of these data live here only.
package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Case is one entry of cases.json or cases_blind.json. Times are Unix seconds.
type Case struct {
	ID             string       `json:"id"`
	Dataset        string       `json:"dataset"`
	InjectTS       float64      `json:"inject_ts"`
	NormalWindow   []float64    `json:"normal_window"`
	ExcludeWindows [][2]float64 `json:"exclude_windows"`
	Reference      []float64    `json:"reference_minute"`
	AbnormalWindow [2]float64   `json:"abnormal_window"`
	MetricDir      string       `json:"metric_dir"`
	TraceFiles     Files        `json:"trace_files"`
	LogFiles       Files        `json:"log_files"`
	Candidates     []string     `json:"candidates"`
	Entry          string       `json:"entry"`

	Graph        string `json:"graph"`
	NormalFile   string `json:"normal_file"`
	Surrogate    string `json:"surrogate_normal_file"`
	AbnormalFile string `json:"abnormal_file"`
	Target       *struct {
		Node   string `json:"node"`
		Metric string `json:"metric"`
		Agg    string `json:"agg"`
	} `json:"target"`

	// Truth is absent in cases_blind.json; only training and scoring read it.
	Truth *Truth `json:"truth"`

	// quietRow, when set, takes five rows of the fault-free recording for the incident.
	quietRow int
}

// Files are the data files of a case by what they cover.
type Files struct {
	Reference []string `json:"reference"`
	Normal    []string `json:"normal"`
	Abnormal  []string `json:"abnormal"`
}

// Truth is the injected fault.
type Truth struct {
	Service   string `json:"service"`
	FaultType string `json:"fault_type"`
	Cause     string `json:"cause"`
	InnerKind string `json:"inner_kind"`
	Region    struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"region"`
}

// ErrNoData says that the folder does not hold the benchmark.
var ErrNoData = errors.New("no benchmark data")

// ReadCases reads cases.json or cases_blind.json from the folder. Without truth the truth objects are removed even when
// the file has them.
func ReadCases(folder, name string, truth bool) ([]Case, error) {
	b, err := os.ReadFile(filepath.Join(folder, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s not found", ErrNoData, filepath.Join(folder, name))
	}
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	var f struct {
		Cases []Case `json:"cases"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	for i := range f.Cases {
		if !truth {
			f.Cases[i].Truth = nil
		}
	}
	return f.Cases, nil
}

// Shift moves the alarm of a case by d. What follows from it moves too: the abnormal window and the end of the normal
// window.
func (c Case) Shift(d time.Duration) Case {
	s := d.Seconds()
	c.InjectTS += s
	if c.Graph != "" {
		return c
	}
	c.AbnormalWindow[0] += s
	c.AbnormalWindow[1] += s
	if len(c.NormalWindow) == 2 {
		c.NormalWindow = []float64{c.NormalWindow[0], c.NormalWindow[1] + s}
	}
	return c
}

// IsPetShop says that the case has metrics and a graph rather than traces.
func (c Case) IsPetShop() bool { return c.Graph != "" }

// path joins a file of the data to the folder; files outside the folder are refused.
func path(folder, name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("file %q is not inside the data folder", name)
	}
	return filepath.Join(folder, filepath.FromSlash(name)), nil
}

// serviceOf cuts a pod name back to its service: all but the last two dash parts.
func serviceOf(pod string) string {
	for range 2 {
		if i := strings.LastIndexByte(pod, '-'); i > 0 {
			pod = pod[:i]
		}
	}
	return pod
}

func unix(s float64) time.Time { return time.Unix(0, int64(s*1e9)) }
