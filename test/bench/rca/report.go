package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/training"
)

// Report is what `make train` measured.
type Report struct {
	// Used is measured of the weights that were written, Other of those that were not: one of the two learned from simulated
	// and live faults. Choice says which and why.
	Used   Measured `json:"used"`
	Other  Measured `json:"other"`
	Choice string   `json:"choice"`
}

// Measured is how good one set of weights is.
type Measured struct {
	Figures     []Row       `json:"figures"`
	Calibration Calibration `json:"calibration"`
	// FalseAlarms are by data set: fault-free windows in which a cause was said. These and Silent are no
	// left-out figures: the score below which nothing is said was chosen on the same windows and incidents.
	FalseAlarms []FalseAlarms `json:"falseAlarms"`
	// Silent is how many of so many incidents of the recordings, alarms moved, had no cause said by weights that saw none of
	// the service.
	Silent    int `json:"silent"`
	Incidents int `json:"incidents"`
	// Signals tell what is lost where signals are missing.
	Signals []Signals `json:"signals"`
}

// Share is a mean of values in 0..1 with its 95 % interval, for as many as there are incidents, however often their
// alarm was moved and in however many strengths or snapshots a fault is.
type Share struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Row are the figures of a group of incidents at one level, ties counted against.
type Row struct {
	// Level is service, cause or inner.
	Level string `json:"level"`
	// Group is a data set (set:NAME), a kind of fault in one (fault:NAME/KIND) or how far the alarm was moved (shift:1m0s).
	Group string `json:"group"`
	// Run is how the weights were fitted that rank an incident.
	Run string `json:"run"`
	// Incidents are distinct ones, N the times that they were ranked.
	Incidents int   `json:"incidents"`
	N         int   `json:"n"`
	AC1       Share `json:"ac1"`
	AC3       Share `json:"ac3"`
	AC5       Share `json:"ac5"`
	Avg5      Share `json:"avg5"`
	MRR       Share `json:"mrr"`
}

// Calibration tells how honest scores are, of incidents by weights that saw none of the service, and of fault-free windows.
type Calibration struct {
	Error float64        `json:"error"`
	Brier float64        `json:"brier"`
	Bins  []training.Bin `json:"bins"`
	// ErrorByIncident is that of calibrations that had not seen the incident either, ErrorByService none of the service.
	ErrorByIncident float64 `json:"errorByIncident"`
	ErrorByService  float64 `json:"errorByService"`
	// Abstain is the score below which nothing is said.
	Abstain float64 `json:"abstain"`
}

// FalseAlarms are the fault-free windows of a data set in which a cause was said.
type FalseAlarms struct {
	Set     string `json:"set"`
	Windows int    `json:"windows"`
	Alarms  int    `json:"alarms"`
	Share   Share  `json:"share"`
	// Said names them.
	Said []string `json:"said,omitempty"`
}

var (
	levels = []string{"service", "cause", "inner"}
	runs   = []string{runFitted, runService, runFault}
)

// measured takes the figures of a fit, and gives the model those that its file tells people.
func measured(f *fitting) Measured {
	cal := f.model.Calibration
	all := slices.Concat(f.known, f.still)
	rel := training.Check(all, cal)
	left := func(group func(training.Outcome) string) float64 {
		return round3(leftOut(all, group, training.Calibrate).Error)
	}
	out := Measured{
		Figures:     rows(f.runs),
		Calibration: Calibration{round3(rel.Error), round3(rel.Brier), rel.Bins, left(incidentOf), left(serviceGroup), cal.Abstain},
		FalseAlarms: falseAlarms(f.still, cal),
		Silent:      len(f.recorded) - said(f.recorded, cal), Incidents: len(f.recorded),
		Signals: signals(f),
	}
	figures := f.model.Figures
	for _, r := range out.Figures {
		if set, ok := strings.CutPrefix(r.Group, "set:"); ok {
			figures[r.Level+" AC@1 "+set+", "+r.Run] = r.AC1.Value
		}
	}
	figures["calibration error"] = out.Calibration.Error
	figures["false alarms per fault-free window"] = round3(float64(said(f.still, cal)) / max(1, float64(len(f.still))))
	for _, s := range out.Signals {
		figures["calibration error, "+s.Signals] = s.Error
	}
	return out
}

// rows are the figures of every group at every level, the runs of one beside each other.
func rows(by map[string][]training.Outcome) []Row {
	var out []Row
	for _, level := range levels {
		for _, g := range groups(by[runService]) {
			for _, run := range runs {
				list := counted(by[run], g, level)
				f := training.Measure(ranks(list, level))
				if f.N == 0 {
					continue
				}
				incidents := distinct(list)
				of := func(x float64) Share {
					low, high := training.Wilson(x, float64(incidents))
					return Share{round3(x), round3(low), round3(high)}
				}
				out = append(out, Row{level, g, run, incidents, f.N, of(f.AC1), of(f.AC3), of(f.AC5), of(f.Avg5), of(f.MRR)})
			}
		}
	}
	return out
}

func falseAlarms(still []training.Outcome, cal rca.Calibration) []FalseAlarms {
	by := map[string]*FalseAlarms{}
	for _, o := range still {
		set := strings.TrimPrefix(o.Example.Groups[0], "set:")
		if by[set] == nil {
			by[set] = &FalseAlarms{Set: set}
		}
		by[set].Windows++
		if p := training.TopScore(o, cal); len(o.Raw) > 0 && p >= cal.Abstain {
			by[set].Alarms++
			by[set].Said = append(by[set].Said, fmt.Sprintf("%s: %s of %s at %.2f", o.Example.ID, o.Ranked[0].Kind, o.Ranked[0].Workload, p))
		}
	}
	var out []FalseAlarms
	for _, set := range slices.Sorted(maps.Keys(by)) {
		a := *by[set]
		share := float64(a.Alarms) / float64(a.Windows)
		low, high := training.Wilson(share, float64(a.Windows))
		a.Share = Share{round3(share), round3(low), round3(high)}
		out = append(out, a)
	}
	return out
}

// ofRecordings says whether a group is a data set of the recordings.
func ofRecordings(group string) bool {
	return strings.HasPrefix(group, "set:") && group != liveSet && group != simulatedSet
}

// worsens names the first left-out figure of a data set of the recordings that is lower in the other report than in this
// one, or more false alarms, or more silence; empty when nothing gets worse.
func worsens(this, other Measured) string {
	for _, r := range this.Figures {
		if r.Run == runFitted || !ofRecordings(r.Group) {
			continue
		}
		o := other.Figures[slices.IndexFunc(other.Figures, func(o Row) bool { return o.Level == r.Level && o.Group == r.Group && o.Run == r.Run })]
		for _, x := range []struct {
			name     string
			was, now Share
		}{{"AC@1", r.AC1, o.AC1}, {"AC@3", r.AC3, o.AC3}, {"AC@5", r.AC5, o.AC5}, {"Avg@5", r.Avg5, o.Avg5}, {"MRR", r.MRR, o.MRR}} {
			if x.now.Value < x.was.Value {
				return fmt.Sprintf("%s %s of %s, %s, falls from %.3f to %.3f", r.Level, x.name, r.Group, r.Run, x.was.Value, x.now.Value)
			}
		}
	}
	for i, a := range this.FalseAlarms {
		if o := other.FalseAlarms[i]; o.Alarms > a.Alarms {
			return fmt.Sprintf("false alarms of %s rise from %d to %d", a.Set, a.Alarms, o.Alarms)
		}
	}
	if other.Silent > this.Silent {
		return fmt.Sprintf("nothing is said of %d incidents, instead of %d", other.Silent, this.Silent)
	}
	return ""
}

func (r Report) print(w io.Writer, weights map[string]float64) {
	fmt.Fprintln(w, "Weights")
	for _, d := range detectors.All() {
		for _, f := range d.Features {
			fmt.Fprintf(w, "  %-22s %7.3f  %s\n", d.Name+"."+f.Name, weights[d.Name+"."+f.Name], f.Doc)
		}
	}
	r.Used.print(w)
	fmt.Fprintf(w, "\n%s. Figures of the weights that are not used:\n", r.Choice)
	r.Other.print(w)
}

func (m Measured) print(w io.Writer) {
	fmt.Fprintln(w, "\nFigures (ties counted against; incidents times alarm shifts; 95 % Wilson intervals for the number of incidents)")
	for _, r := range m.Figures {
		fmt.Fprintf(w, "  %-8s %-40s %-22s n=%-4d AC@1 %s  AC@3 %.3f  AC@5 %.3f  Avg@5 %s  MRR %s\n",
			r.Level, r.Group, r.Run, r.N, r.AC1, r.AC3.Value, r.AC5.Value, r.Avg5, r.MRR)
	}
	c := m.Calibration
	fmt.Fprintf(w, "\nCalibration error (left out, with fault-free windows) %.3f, Brier score %.3f; error by calibrations that had not seen the incident either %.3f, none of its service %.3f\n",
		c.Error, c.Brier, c.ErrorByIncident, c.ErrorByService)
	for _, b := range c.Bins {
		fmt.Fprintf(w, "  score %.2f: right in %.2f of %.0f\n", b.Score, b.Right, b.N)
	}
	fmt.Fprintf(w, "\nNothing is said below %.2f, which was chosen on these incidents and windows (not left out): silent in %d of %d incidents\n",
		c.Abstain, m.Silent, m.Incidents)
	for _, a := range m.FalseAlarms {
		fmt.Fprintf(w, "  false alarms in %d of %d fault-free windows of %s, %s\n", a.Alarms, a.Windows, a.Set, a.Share)
		for _, s := range a.Said {
			fmt.Fprintf(w, "    %s\n", s)
		}
	}
	fmt.Fprintln(w,
		"\nBy the signals that a snapshot holds (incidents left out by service; calibration error by the calibration of all, and by one of its own)")
	for _, s := range m.Signals {
		fmt.Fprintf(w,
			"  %-20s incidents %-3d AC@1 %.3f  calibration error %.3f -> %.3f  Brier %.3f -> %.3f  false alarms %d -> %d of %d  silent %d -> %d of %d\n",
			s.Signals, s.Incidents, s.AC1, s.ErrorOfAll, s.Error, s.BrierOfAll, s.Brier,
			s.FalseAlarmsOfAll, s.FalseAlarms, s.Windows, s.SilentOfAll, s.Silent, s.N)
	}
}

func (s Share) String() string { return fmt.Sprintf("%.3f [%.2f,%.2f]", s.Value, s.Low, s.High) }

func round3(x float64) float64 { return float64(int(x*1000+0.5)) / 1000 }

// groups lists the data sets, the faults in each, and the shifts.
func groups(outcomes []training.Outcome) []string {
	var out []string
	for _, prefix := range []string{"set:", "fault:", "shift:"} {
		seen := map[string]bool{}
		for _, o := range outcomes {
			for _, g := range o.Example.Groups {
				if strings.HasPrefix(g, prefix) && !seen[g] {
					seen[g] = true
					out = append(out, g)
				}
			}
		}
	}
	return out
}

// counted are the outcomes of a group that have figures at a level: the cause of an example is known where its kind is, its
// region in recordings alone.
func counted(outcomes []training.Outcome, group, level string) []training.Outcome {
	return slices.DeleteFunc(slices.Clone(outcomes), func(o training.Outcome) bool {
		known := level == "service" || o.Example.Kind != "" && (level == "cause" || slices.ContainsFunc(o.Example.Groups, ofRecordings))
		return !known || !slices.Contains(o.Example.Groups, group)
	})
}

// distinct counts the incidents of outcomes.
func distinct(outcomes []training.Outcome) int {
	seen := map[string]bool{}
	for _, o := range outcomes {
		seen[incidentOf(o)] = true
	}
	return len(seen)
}

// ranks of the outcomes at a level.
func ranks(outcomes []training.Outcome, level string) []int {
	var out []int
	for _, o := range outcomes {
		switch level {
		case "service":
			out = append(out, o.ServiceRank)
		case "cause":
			out = append(out, o.CauseRank)
		case "inner":
			out = append(out, o.RegionRank)
		}
	}
	return out
}
