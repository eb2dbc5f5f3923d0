package rca

import (
	"cmp"
	"slices"
	"time"
)

// Layout says which times are baseline, which are steps of the incident, and which are ignored. Every baseline window and
// every step is a slot of its own; several baseline windows show how much a healthy system varies.
type Layout struct {
	Alarm    time.Time
	Baseline []Window
	Steps    []Window
}

// Times of the default layout. An alarm comes up to about three minutes after its trouble began (rules wait, scrapes and
// evaluations add to that), so the steps begin before the alarm.
const (
	DefaultLookback = 180 * time.Second
	DefaultStep     = 30 * time.Second
	maxBaseline     = 12 // baseline windows; of more the latest stay
	baselineParts   = 4  // a baseline without gaps is cut into this many windows
)

// NewLayout lays out a baseline from `from` until the look-back without the excluded windows (earlier incidents, for
// example), and steps until end.
func NewLayout(from, alarm, end time.Time, exclude []Window) Layout {
	first := alarm.Add(-DefaultLookback)
	l := Layout{Alarm: alarm}
	if from.Before(first) {
		l.Baseline = subtract(Window{from.UnixNano(), first.UnixNano()}, exclude)
	}
	if len(l.Baseline) == 1 {
		l.Baseline = l.Baseline[0].split(baselineParts)
	}
	l.Baseline = l.Baseline[max(0, len(l.Baseline)-maxBaseline):]
	for t := first; t.Before(end); t = t.Add(DefaultStep) {
		e := t.Add(DefaultStep)
		if e.After(end) {
			e = end
		}
		l.Steps = append(l.Steps, Window{t.UnixNano(), e.UnixNano()})
	}
	return l
}

func (w Window) split(n int64) []Window {
	var out []Window
	for i := range n {
		out = append(out, Window{w.Start + (w.End-w.Start)*i/n, w.Start + (w.End-w.Start)*(i+1)/n})
	}
	return out
}

// subtract gives what of w no excluded window covers.
func subtract(w Window, exclude []Window) []Window {
	ex := slices.Clone(exclude)
	slices.SortFunc(ex, func(a, b Window) int { return cmp.Compare(a.Start, b.Start) })
	var out []Window
	for _, e := range ex {
		if e.End <= w.Start || e.Start >= w.End {
			continue
		}
		if e.Start > w.Start {
			out = append(out, Window{w.Start, e.Start})
		}
		w.Start = max(w.Start, e.End)
	}
	if w.Start < w.End {
		out = append(out, w)
	}
	return out
}

// Slots gives the number of slots.
func (l *Layout) Slots() int { return len(l.Baseline) + len(l.Steps) }

// Slot gives the slot of a time in Unix nanoseconds: first the baseline windows, then the steps; -1 for neither.
func (l *Layout) Slot(t int64) int {
	for i, w := range l.Steps {
		if w.Contains(t) {
			return len(l.Baseline) + i
		}
	}
	for i, w := range l.Baseline {
		if w.Contains(t) {
			return i
		}
	}
	return -1
}
