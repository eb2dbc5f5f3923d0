package learned

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/learn/store"
)

type showOptions struct {
	output  string
	weights int
	now     func() time.Time
}

// summary is what show prints.
type summary struct {
	Revision int64          `json:"revision"`
	Learned  []learn.Row    `json:"learned"`
	Pins     []learn.Pin    `json:"pins,omitempty"`
	Weights  []learn.Weight `json:"weights,omitempty"`
}

func show(ctx context.Context, s store.Store, o showOptions, out io.Writer) error {
	state, err := s.Load(ctx)
	if err != nil {
		return err
	}
	m := learn.NewModel(state, learn.Defaults())
	sum := summary{Revision: state.Revision, Learned: m.Rows(o.now()), Pins: state.Pins, Weights: m.Weights(max(o.weights, 0))}
	write := writeText
	if o.output == "json" {
		write = writeJSON
	}
	if err := write(out, sum); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func writeJSON(out io.Writer, s summary) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(s)
}

func writeText(out io.Writer, s summary) error {
	if len(s.Learned) == 0 && len(s.Pins) == 0 {
		return say(out, "Nothing was learned yet (state %d): the plain rules decide.", s.Revision)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "TEAM\tKIND\tMATTERED\tNOISE\tHINTS\tLAST\tCHANCE\tA WARNING\tWHY\n")
	for _, r := range s.Learned {
		why, _, _ := strings.Cut(r.Why, " (learned state")
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%d %%\t%s\t%s\n",
			orDash(r.Team), r.Kind, r.Mattered, r.Noise, r.Hints, r.Last.Format(time.DateOnly), r.Chance, r.Action, why)
	}
	if len(s.Pins) > 0 {
		fmt.Fprint(w, "\nPINNED TEAM\tKIND\tACTION\tBY\n")
		for _, p := range s.Pins {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Team, p.Kind, p.Action, orDash(p.By))
		}
	}
	if len(s.Weights) > 0 {
		fmt.Fprint(w, "\nWEIGHT\tFEATURE\n")
		for _, f := range s.Weights {
			fmt.Fprintf(w, "%+.3f\t%s\n", f.Weight, f.Feature)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return say(out, "\nState %d. Critical incidents are pushed whatever was learned.", s.Revision)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
