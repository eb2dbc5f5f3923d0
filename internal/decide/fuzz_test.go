package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// FuzzMute checks that a mute time that can be read ends, and not more than ten days on.
func FuzzMute(f *testing.F) {
	f.Add("22:00", "06:00", "Europe/Berlin", "Friday", noon.Unix())
	f.Add("", "", "", "", noon.Unix())
	f.Add("00:00", "00:00", "Pacific/Apia", "Friday", int64(1325239200)) // the day that Samoa left out
	f.Add("02:30", "02:31", "America/New_York", "Sunday", int64(1772953200))
	f.Fuzz(func(t *testing.T, start, end, zone, day string, at int64) {
		m := v1alpha1.MuteTime{Name: "x", Start: start, End: end, TimeZone: zone}
		if day != "" {
			m.Weekdays = []v1alpha1.Weekday{v1alpha1.Weekday(day)}
		}
		mute, err := NewMute(m)
		if err != nil {
			return
		}
		now := time.Unix(at%(1<<33), 0)
		if until, active := mute.ActiveUntil(now); active && (!until.After(now) || until.Sub(now) > 10*24*time.Hour) {
			t.Errorf("%+v at %s lasts until %s", m, now.UTC(), until.UTC())
		}
	})
}

// FuzzGlob checks patterns of names against what they must and can't match.
func FuzzGlob(f *testing.F) {
	f.Add("team-*", "team-a")
	f.Add("a*b*c", "abc")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := glob(pattern, name)
		if !strings.Contains(pattern, "*") && got != (pattern == name) {
			t.Errorf("%q on %q: %t", pattern, name, got)
		}
		if got && len(strings.ReplaceAll(pattern, "*", "")) > len(name) {
			t.Errorf("%q matches the shorter %q", pattern, name)
		}
		if !strings.Contains(name, "*") && (!glob(name+"*", name) || !glob("*"+name, name) || !glob("*", name)) {
			t.Errorf("%q is not matched by itself with a star", name)
		}
	})
}
