package decide

import "time"

// Damping says when an incident that comes back again and again is kept open without new pushes.
type Damping struct {
	// Times that it came back within the time Within; 0 for never.
	Times  int
	Within time.Duration
	// Calm is how long nothing must fire until it is over.
	Calm time.Duration
}

// Recent returns the returns of an incident that count at a time, at most Times, the oldest first.
func (d Damping) Recent(returns []time.Time, now time.Time) []time.Time {
	var recent []time.Time
	for _, at := range returns {
		if now.Sub(at) < d.Within {
			recent = append(recent, at)
		}
	}
	return recent[max(len(recent)-d.Times, 0):]
}

// Flaps tells whether an incident with these returns is to be kept open.
func (d Damping) Flaps(returns []time.Time, now time.Time) bool {
	return d.Times > 0 && len(d.Recent(returns, now)) >= d.Times
}
