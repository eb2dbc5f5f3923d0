package rca

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// reportCauses is how many causes the readable report shows.
const reportCauses = 5

// WriteText prints the result for people: the causes, why, where in the code, and what helps.
func (r *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Alarm at %s\n", time.Unix(0, r.Alarm).UTC().Format(time.RFC3339))
	switch {
	case len(r.Causes) == 0:
		b.WriteString("Nothing deviates from the time before.\n")
	case r.Abstained:
		b.WriteString("No cause stands out. What deviates most:\n")
	default:
		c := r.Causes[0]
		fmt.Fprintf(&b, "Most likely cause: %s of %s (%.0f %%), since about %s\n", c.Kind, c.Workload, 100*c.Score,
			time.Unix(0, c.Onset).UTC().Format(time.TimeOnly))
	}
	for i, c := range r.Causes[:min(reportCauses, len(r.Causes))] {
		fmt.Fprintf(&b, "\n%d. %s: %s, %.0f %%\n", i+1, c.Workload, c.Kind, 100*c.Score)
		if len(c.Path) > 1 {
			fmt.Fprintf(&b, "   path      %s\n", strings.Join(c.Path, " > "))
		}
		for _, e := range c.Evidence {
			fmt.Fprintf(&b, "   evidence  %s\n", e.Text)
		}
		for j, t := range c.Region {
			if j == 0 {
				fmt.Fprintf(&b, "   region    %s\n", t)
			} else {
				fmt.Fprintf(&b, "             %s\n", t)
			}
		}
		if i == 0 && !r.Abstained {
			fmt.Fprintf(&b, "   fix       %s\n", c.Fix)
		}
	}
	if len(r.Missing) > 0 {
		fmt.Fprintf(&b, "\nNot available: %s\n", strings.Join(r.Missing, ", "))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
