package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Mute is a recurring time in which nothing is pushed.
type Mute struct {
	weekdays   []time.Weekday
	start, end time.Duration // since midnight on the clock; end is at most a day after start
	location   *time.Location
}

// NewMute reads a mute time of the spec. An unknown time zone or day is an error.
func NewMute(m v1alpha1.MuteTime) (Mute, error) {
	location, err := time.LoadLocation(m.TimeZone)
	if err != nil {
		return Mute{}, fmt.Errorf("mute time %s: the time zone %q is not known: use a name of IANA's data base such as Europe/Berlin", m.Name, m.TimeZone)
	}
	mute := Mute{location: location, end: 24 * time.Hour}
	for _, name := range m.Weekdays {
		day, err := weekday(name)
		if err != nil {
			return Mute{}, fmt.Errorf("mute time %s: %w", m.Name, err)
		}
		mute.weekdays = append(mute.weekdays, day)
	}
	if m.Start == "" && m.End == "" {
		return mute, nil
	}
	if mute.start, err = clock(m.Start); err != nil {
		return Mute{}, fmt.Errorf("mute time %s: start: %w", m.Name, err)
	}
	if mute.end, err = clock(m.End); err != nil {
		return Mute{}, fmt.Errorf("mute time %s: end: %w", m.Name, err)
	}
	if mute.end <= mute.start {
		mute.end += 24 * time.Hour
	}
	return mute, nil
}

// ActiveUntil tells whether the mute time holds at t, and when it ends if it does. The weekday is that of the start.
// Where the clock is put forward or back, the times on the clock count. Mute times that follow each other without a
// gap end together.
func (m Mute) ActiveUntil(t time.Time) (time.Time, bool) {
	until, active := m.windowAt(t)
	if !active {
		return time.Time{}, false
	}
	for range 8 {
		next, more := m.windowAt(until)
		if !more {
			break
		}
		until = next
	}
	return until, true
}

// windowAt returns the end of the window that holds t; yesterday's may reach into today.
func (m Mute) windowAt(t time.Time) (time.Time, bool) {
	local := t.In(m.location)
	for _, back := range []int{0, 1} {
		// Noon says the date and the weekday: where the clock is put forward at midnight, a day has no midnight.
		day := time.Date(local.Year(), local.Month(), local.Day()-back, 12, 0, 0, 0, m.location)
		if len(m.weekdays) > 0 && !slices.Contains(m.weekdays, day.Weekday()) {
			continue
		}
		from, to := onClock(day, m.start), onClock(day, m.end)
		if !t.Before(from) && t.Before(to) {
			return to, true
		}
	}
	return time.Time{}, false
}

// onClock returns the time at which the clock shows d after midnight of a day. A time that the clock leaves out is the one
// at which it would have shown it had it not been put forward; time.Date puts it an hour earlier in zones west of
// Greenwich.
func onClock(day time.Time, d time.Duration) time.Time {
	year, month, date := day.Date()
	minute := int(d / time.Minute)
	t := time.Date(year, month, date, 0, minute, 0, 0, day.Location())
	_, offset := t.Zone()
	shown := t.Add(time.Duration(offset) * time.Second)
	return t.Add(max(0, time.Date(year, month, date, 0, minute, 0, 0, time.UTC).Sub(shown)))
}

func clock(s string) (time.Duration, error) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time of day such as 22:00", s)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

func weekday(name v1alpha1.Weekday) (time.Weekday, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if day.String() == string(name) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("%q is not a day of the week", name)
}
