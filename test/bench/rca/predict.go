package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
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
}

type entry struct {
	Service string   `json:"service"`
	Cause   rca.Kind `json:"cause,omitempty"`
	Region  []string `json:"region,omitempty"`
	Score   float64  `json:"score"`
}

// predict ranks the causes of every blind case. Seconds cover reading the files, the snapshot and the analysis.
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
	failed := 0
	for _, c := range cases {
		start := time.Now()
		r, err := analyse(data, c, engine)
		if err != nil { // one unreadable case must not cost the others
			fmt.Fprintln(os.Stderr, err)
			failed++
			continue
		}
		p := prediction{Case: c.ID, Abstained: r.Abstained, Ranking: []entry{}}
		for _, cause := range r.Causes {
			p.Ranking = append(p.Ranking, entry{cause.Workload, cause.Kind, cause.Region, cause.Score})
		}
		p.Seconds = time.Since(start).Seconds()
		if err := enc.Encode(p); err != nil {
			return fmt.Errorf("write predictions: %w", err)
		}
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	if failed > 0 && failed == len(cases) {
		return fmt.Errorf("none of %d cases could be read", failed)
	}
	return nil
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
