package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/weights"
	"github.com/kubebot/kubebot/test/bench/rca/dataset"
)

// prediction is one line of the output.
type prediction struct {
	Case    string  `json:"case"`
	Ranking []entry `json:"ranking"`
	Seconds float64 `json:"seconds"`
	// Abstained says that the engine found nothing that stands out; the ranking is then only a hint.
	Abstained bool `json:"abstained"`
	// Error says why a case could not be analysed; its ranking is then empty.
	Error string `json:"error,omitempty"`
}

type entry struct {
	Service string   `json:"service"`
	Cause   rca.Kind `json:"cause,omitempty"`
	Region  []string `json:"region,omitempty"`
	Score   float64  `json:"score"`
}

// predict ranks the causes of every blind case, and fails after the last one if any could not be read. Seconds cover
// reading the files, the snapshot and the analysis.
func predict(data, out string) error {
	cases, err := dataset.ReadCases(data, "cases_blind.json", false)
	if err != nil {
		return err
	}
	model, err := weights.Default()
	if err != nil {
		return err
	}
	engine, err := rca.NewEngine(detectors.All(), model)
	if err != nil {
		return fmt.Errorf("make engine: %w", err)
	}
	var w io.Writer = os.Stdout
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return fmt.Errorf("write predictions: %w", err)
		}
		defer f.Close()
		w = f
	}
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	var unread []string
	for _, c := range cases {
		p := predicted(data, c, engine)
		if p.Error != "" { // one unreadable case must not cost the others
			fmt.Fprintln(os.Stderr, p.Error)
			unread = append(unread, c.ID)
		}
		if err := enc.Encode(p); err != nil {
			return fmt.Errorf("write predictions: %w", err)
		}
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	if len(unread) > 0 {
		return fmt.Errorf("%d of %d cases could not be analysed: %s", len(unread), len(cases), strings.Join(unread, ", "))
	}
	return nil
}

// predicted is the line of a case; one that can't be analysed has an empty ranking, which scores as wrong.
func predicted(data string, c dataset.Case, engine *rca.Engine) prediction {
	start := time.Now()
	p := prediction{Case: c.ID, Abstained: true, Ranking: []entry{}}
	r, err := analyse(data, c, engine)
	if err != nil {
		p.Error = err.Error()
	} else {
		p.Abstained = r.Abstained
		for _, cause := range r.Causes {
			p.Ranking = append(p.Ranking, entry{cause.Workload, cause.Kind, cause.Region, cause.Score})
		}
	}
	p.Seconds = time.Since(start).Seconds()
	return p
}

func analyse(data string, c dataset.Case, engine *rca.Engine) (*rca.Result, error) {
	s, err := dataset.Load(data, c)
	if err != nil {
		return nil, err
	}
	r, err := engine.Analyse(s)
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.ID, err)
	}
	return r, nil
}
