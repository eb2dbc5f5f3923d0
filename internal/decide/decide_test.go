package decide

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) // a Monday

func mute(t *testing.T, m v1alpha1.MuteTime) Mute {
	t.Helper()
	mute, err := NewMute(m)
	require.NoError(t, err)
	return mute
}

func TestDecide(t *testing.T) {
	crit, warn := v1alpha1.SeverityCritical, v1alpha1.SeverityWarning
	lunch := map[string]Mute{"lunch": mute(t, v1alpha1.MuteTime{Name: "lunch", Start: "11:30", End: "13:00"})}
	route := func(r v1alpha1.Route) []v1alpha1.Route { return []v1alpha1.Route{r} }
	both := []v1alpha1.Severity{crit, warn}
	for name, c := range map[string]struct {
		routes   []v1alpha1.Route
		facts    Facts
		nobody   bool
		reason   string
		told     []string
		muteEnds string
	}{
		"critical goes to everybody without routes":      {nil, Facts{Severity: crit}, false, ReasonCritical, []string{"a", "b"}, ""},
		"a warning goes to nobody without routes":        {nil, Facts{Severity: warn}, false, ReasonNotRouted, nil, ""},
		"nobody is there to be told":                     {nil, Facts{Severity: crit}, true, ReasonNoReceivers, nil, ""},
		"a route takes critical by default":              {route(v1alpha1.Route{Receivers: []string{"a"}}), Facts{Severity: crit}, false, ReasonRouted, []string{"a"}, ""},
		"a route takes no warning by default":            {route(v1alpha1.Route{Receivers: []string{"a"}}), Facts{Severity: warn}, false, ReasonNotRouted, nil, ""},
		"a route may take warnings":                      {route(v1alpha1.Route{Match: v1alpha1.RouteMatch{Severities: both}, Receivers: []string{"b"}}), Facts{Severity: warn}, false, ReasonRouted, []string{"b"}, ""},
		"a route of another namespace leaves critical":   {route(v1alpha1.Route{Match: v1alpha1.RouteMatch{Namespaces: []string{"team-*"}}, Receivers: []string{"a"}}), Facts{Severity: crit, Namespace: "shop"}, false, ReasonCritical, []string{"a", "b"}, ""},
		"a route by namespace":                           {route(v1alpha1.Route{Match: v1alpha1.RouteMatch{Namespaces: []string{"team-*"}}, Receivers: []string{"a"}}), Facts{Severity: crit, Namespace: "team-x"}, false, ReasonRouted, []string{"a"}, ""},
		"a route by labels of one alert":                 {route(v1alpha1.Route{Match: v1alpha1.RouteMatch{Labels: map[string]string{"k": "v", "l": "w"}}, Receivers: []string{"a"}}), Facts{Severity: crit, AlertLabels: []map[string]string{{"k": "v"}, {"k": "v", "l": "w"}}}, false, ReasonRouted, []string{"a"}, ""},
		"labels of two alerts do not add up":             {route(v1alpha1.Route{Match: v1alpha1.RouteMatch{Labels: map[string]string{"k": "v", "l": "w"}}, Receivers: []string{"a"}}), Facts{Severity: crit, AlertLabels: []map[string]string{{"k": "v"}, {"l": "w"}}}, false, ReasonCritical, []string{"a", "b"}, ""},
		"the first route wins":                           {[]v1alpha1.Route{{Receivers: []string{"b"}}, {Receivers: []string{"a"}}}, Facts{Severity: crit}, false, ReasonRouted, []string{"b"}, ""},
		"a route to nobody is what the user wants":       {route(v1alpha1.Route{}), Facts{Severity: crit}, false, ReasonRoutedToNobody, nil, ""},
		"a mute time holds even critical, until it ends": {route(v1alpha1.Route{Receivers: []string{"a"}, MuteTimes: []string{"lunch"}}), Facts{Severity: crit}, false, ReasonMuted, nil, "13:00"},
		"what a person silenced is held back until then": {nil, Facts{Severity: crit, SilencedUntil: noon.Add(time.Hour), SilencedBy: "inc-1"}, false, ReasonSilenced, nil, "13:00"},
		"a silence that is over holds nothing":           {nil, Facts{Severity: crit, SilencedUntil: noon, SilencedBy: "inc-1"}, false, ReasonCritical, []string{"a", "b"}, ""},
		"a lost node explains a warning":                 {route(v1alpha1.Route{Match: v1alpha1.RouteMatch{Severities: both}, Receivers: []string{"a"}}), Facts{Severity: warn, LostNode: "n1", LostNodeIncident: "inc-1"}, false, ReasonInhibited, nil, ""},
		"a lost node does not hold critical back":        {nil, Facts{Severity: crit, LostNode: "n1"}, false, ReasonCritical, []string{"a", "b"}, ""},
		"a warning that was told shortly before":         {route(v1alpha1.Route{Match: v1alpha1.RouteMatch{Severities: both}, Receivers: []string{"a"}}), Facts{Severity: warn, Opened: noon, Previous: noon.Add(-RepeatedWithin + 1)}, false, ReasonRepeated, nil, ""},
		"a warning that was told long before":            {route(v1alpha1.Route{Match: v1alpha1.RouteMatch{Severities: both}, Receivers: []string{"a"}}), Facts{Severity: warn, Opened: noon, Previous: noon.Add(-RepeatedWithin)}, false, ReasonRouted, []string{"a"}, ""},
		"critical that was told shortly before":          {nil, Facts{Severity: crit, Opened: noon, Previous: noon}, false, ReasonCritical, []string{"a", "b"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rules := Rules{Receivers: []string{"a", "b"}, Routes: c.routes, Mutes: lunch}
			if c.nobody {
				rules.Receivers = nil
			}
			out := Decide(rules, c.facts, noon)
			assert.Equal(t, c.reason, out.Reason)
			assert.Equal(t, c.told, out.Receivers)
			assert.Equal(t, c.told != nil, out.Verdict == v1alpha1.VerdictNotify)
			assert.NotEmpty(t, out.Message)
			if c.muteEnds != "" {
				assert.Equal(t, c.muteEnds, out.Again.UTC().Format("15:04"))
			}
		})
	}
}

func TestMute(t *testing.T) {
	weekend := v1alpha1.MuteTime{Weekdays: []v1alpha1.Weekday{"Saturday", "Sunday"}, TimeZone: "Europe/Berlin"}
	night := v1alpha1.MuteTime{Start: "22:00", End: "06:00", TimeZone: "Europe/Berlin"}
	// In Santiago the clock goes from Saturday, 5 September 2026, 24:00 (-04:00) to Sunday, 01:00 (-03:00).
	santiago := func(start, end string, days ...v1alpha1.Weekday) v1alpha1.MuteTime {
		return v1alpha1.MuteTime{Weekdays: days, Start: start, End: end, TimeZone: "America/Santiago"}
	}
	fridayNight := v1alpha1.MuteTime{Start: "22:00", End: "06:00", Weekdays: []v1alpha1.Weekday{"Friday"}}
	for name, c := range map[string]struct {
		mute  v1alpha1.MuteTime
		at    string
		until string // empty: not muted
	}{
		"before the night":                       {night, "2026-01-10T21:59:59+01:00", ""},
		"the night begins":                       {night, "2026-01-10T22:00:00+01:00", "2026-01-11T06:00:00+01:00"},
		"after midnight":                         {night, "2026-01-11T05:59:59+01:00", "2026-01-11T06:00:00+01:00"},
		"the night is over":                      {night, "2026-01-11T06:00:00+01:00", ""},
		"the night in which the clock goes on":   {night, "2026-03-28T23:00:00+01:00", "2026-03-29T06:00:00+02:00"},
		"the night in which the clock goes back": {night, "2026-10-24T23:00:00+02:00", "2026-10-25T06:00:00+01:00"},
		"two whole days end together":            {weekend, "2026-01-10T00:00:00+01:00", "2026-01-12T00:00:00+01:00"},
		"the zone counts":                        {weekend, "2026-01-09T23:30:00Z", "2026-01-12T00:00:00+01:00"},
		"a weekday is that of the start":         {fridayNight, "2026-01-10T05:00:00Z", "2026-01-10T06:00:00Z"},
		"not the morning of that day":            {fridayNight, "2026-01-09T05:00:00Z", ""},
		"a weekend without a midnight":           {santiago("", "", "Saturday", "Sunday"), "2026-09-05T12:00:00-04:00", "2026-09-07T00:00:00-03:00"},
		"the day that begins at one":             {santiago("", "", "Sunday"), "2026-09-06T01:00:00-03:00", "2026-09-07T00:00:00-03:00"},
		"the hour before that day":               {santiago("", "", "Sunday"), "2026-09-05T23:30:00-04:00", ""},
		"the last hour of the day before":        {santiago("", "", "Saturday"), "2026-09-05T23:30:00-04:00", "2026-09-06T01:00:00-03:00"},
		"the night after that day":               {santiago("22:00", "06:00", "Sunday"), "2026-09-06T22:30:00-03:00", "2026-09-07T06:00:00-03:00"},
		"the night into that day":                {santiago("22:00", "06:00", "Saturday"), "2026-09-06T05:00:00-03:00", "2026-09-06T06:00:00-03:00"},
		"a start that the clock leaves out":      {santiago("00:30", "06:00", "Sunday"), "2026-09-06T01:15:00-03:00", ""},
		"a start left out in the east":           {v1alpha1.MuteTime{Start: "02:30", End: "06:00", TimeZone: "Europe/Berlin"}, "2026-03-29T03:15:00+02:00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, c.at)
			require.NoError(t, err)
			until, active := mute(t, c.mute).ActiveUntil(at)
			assert.Equal(t, c.until != "", active)
			if c.until != "" {
				want, err := time.Parse(time.RFC3339, c.until)
				require.NoError(t, err)
				assert.True(t, want.Equal(until), "%s", until)
			}
		})
	}
}

func TestMuteTimeThatCannotBeReadSaysWhy(t *testing.T) {
	_, err := NewMute(v1alpha1.MuteTime{Name: "x", TimeZone: "Mars/Base"})
	require.ErrorContains(t, err, `the time zone "Mars/Base" is not known`)
	_, err = NewMute(v1alpha1.MuteTime{Name: "x", Weekdays: []v1alpha1.Weekday{"Funday"}})
	require.ErrorContains(t, err, "Funday")
	_, err = NewMute(v1alpha1.MuteTime{Name: "x", Start: "25:00", End: "06:00"})
	require.ErrorContains(t, err, "25:00")
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"shop", "shop", true}, {"shop", "shops", false}, {"*", "", true}, {"team-*", "team-a", true}, {"team-*", "a-team-b", false},
		{"*-prod", "shop-prod", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false}, {"ab*ba", "aba", false}, {"**", "x", true},
	} {
		assert.Equal(t, c.want, glob(c.pattern, c.name), "%s on %s", c.pattern, c.name)
	}
}
