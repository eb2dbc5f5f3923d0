// Command learn simulates teams of known preferences and reports what the learning, and what plain rules, would cost them.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/kubebot/kubebot/internal/learn/sim"
)

// report is what the command writes.
type report struct {
	Weeks  int         `json:"weeks"`
	Seeds  []uint64    `json:"seeds"`
	Users  []sim.User  `json:"users"`
	Scores []sim.Score `json:"scores"`
}

// Seeds of the report, and others by which the defaults were chosen.
const (
	firstReported = 1
	firstTuning   = 1001
)

func main() {
	out := flag.String("out", "", "file for the report as JSON")
	weeks := flag.Int("weeks", 4, "how long each simulation lasts")
	worlds := flag.Int("worlds", 5, "how many worlds of each kind of user")
	tune := flag.Bool("tune", false, "compare settings, on other seeds")
	flag.Parse()
	if *weeks < 1 || *worlds < 1 {
		fmt.Fprintln(os.Stderr, "-weeks and -worlds must be at least 1")
		os.Exit(2)
	}
	contenders, first := sim.Contenders(), uint64(firstReported)
	if *tune {
		contenders, first = sim.Variants(), firstTuning
	}
	r := report{Weeks: *weeks, Users: sim.Users}
	for i := range *worlds {
		r.Seeds = append(r.Seeds, first+uint64(i))
	}
	if err := run(r, contenders, *out, *tune); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(r report, contenders []sim.Contender, out string, tune bool) error {
	if tune {
		return compare(os.Stdout, r, contenders)
	}
	r.Scores = sim.Simulate(contenders, r.Users, r.Weeks, r.Seeds)
	if err := byUser(os.Stdout, r); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if out == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(out, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// byUser prints every score; means over the worlds.
func byUser(out io.Writer, r report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w,
		"USER\tPOLICY\tINCIDENTS\tREGRET\tLAST WEEK\tPUSHED\tNOISE PUSHED\tMISSED\tLATE\tCRITICAL MISSED\tJUDGEMENTS\tUNTIL 90 %%\tREACHED\tRIGHT AT END\n")
	for _, s := range r.Scores {
		until := "never"
		if s.UntilRight >= 0 {
			until = fmt.Sprintf("%.0f", s.UntilRight)
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t%s\t%.0f %%\t%.0f %%\n",
			s.User, s.Policy, s.Incidents, s.Regret, s.Weekly[len(s.Weekly)-1],
			s.Pushed, s.PushedNoise, s.Missed, s.Late, s.MissedCritical, s.Judgements, until, 100*s.Reached, 100*s.RightAtEnd)
	}
	return w.Flush()
}

// compare prints the regret of each policy, the mean and per user, and how much that mattered was quiet, as soon as it is
// known.
func compare(out io.Writer, r report, contenders []sim.Contender) error {
	for _, c := range contenders {
		regrets, sum, missed := "", 0.0, 0.0
		for _, s := range sim.Simulate([]sim.Contender{c}, r.Users, r.Weeks, r.Seeds) {
			regrets += fmt.Sprintf(" %s %.0f", s.User, s.Regret)
			sum, missed = sum+s.Regret, missed+s.Missed
		}
		n := float64(len(r.Users))
		if _, err := fmt.Fprintf(out, "%-28s regret %6.1f missed %5.1f %s\n", c.Name, sum/n, missed/n, regrets); err != nil {
			return fmt.Errorf("print the table: %w", err)
		}
	}
	return nil
}
