package rca

import "time"

// Layout says which times are baseline, which are steps of the incident, and which are ignored.
type Layout struct {
	Alarm    time.Time
	Baseline []Window
	// Exclude cuts windows (earlier incidents, for example) out of the baseline.
	Exclude []Window
	Steps   []Window
}

// Times of the default layout. An alarm comes up to about two minutes after its trouble began (rules wait that long), so
// the steps begin before the alarm.
const (
	DefaultLookback = 120 * time.Second
	DefaultStep     = 30 * time.Second
)

// NewLayout lays out a baseline from `from` until the look-back and steps until end.
func NewLayout(from, alarm, end time.Time, exclude []Window) Layout {
	first := alarm.Add(-DefaultLookback)
	l := Layout{Alarm: alarm, Exclude: exclude}
	if from.Before(first) {
		l.Baseline = []Window{{from.UnixNano(), first.UnixNano()}}
	}
	for t := first; t.Before(end); t = t.Add(DefaultStep) {
		e := t.Add(DefaultStep)
		if e.After(end) {
			e = end
		}
		l.Steps = append(l.Steps, Window{t.UnixNano(), e.UnixNano()})
	}
	return l
}

// Slot gives the slot of a time in Unix nanoseconds: 0 for the baseline, i for Steps[i-1], -1 for neither.
func (l *Layout) Slot(t int64) int {
	if n := len(l.Steps); n > 0 && t >= l.Steps[0].Start && t < l.Steps[n-1].End {
		if d := l.Steps[0].End - l.Steps[0].Start; d > 0 {
			if i := int((t - l.Steps[0].Start) / d); i < n && l.Steps[i].Contains(t) {
				return i + 1
			}
		}
		for i, w := range l.Steps {
			if w.Contains(t) {
				return i + 1
			}
		}
	}
	for _, w := range l.Exclude {
		if w.Contains(t) {
			return -1
		}
	}
	for _, w := range l.Baseline {
		if w.Contains(t) {
			return 0
		}
	}
	return -1
}
