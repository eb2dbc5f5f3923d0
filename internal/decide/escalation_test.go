package decide

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestEscalation(t *testing.T) {
	both := []v1alpha1.Severity{v1alpha1.SeverityCritical, v1alpha1.SeverityWarning}
	rules := Rules{Receivers: []string{"a", "b"}, Routes: []v1alpha1.Route{{
		Match: v1alpha1.RouteMatch{Severities: both}, Receivers: []string{"a"}, Escalation: &v1alpha1.Escalation{Receivers: []string{"a", "b"}, After: "30m"},
	}}}
	for name, c := range map[string]struct {
		after    time.Duration
		attended bool
		severity v1alpha1.Severity
		reason   string
		told     []string
		waits    bool
	}{
		"not yet":               {29 * time.Minute, false, v1alpha1.SeverityCritical, ReasonRouted, []string{"a"}, true},
		"nobody acknowledges":   {30 * time.Minute, false, v1alpha1.SeverityCritical, ReasonEscalated, []string{"a", "b"}, false},
		"somebody acknowledged": {time.Hour, true, v1alpha1.SeverityCritical, ReasonRouted, []string{"a"}, false},
		"a warning":             {time.Hour, false, v1alpha1.SeverityWarning, ReasonRouted, []string{"a"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			first := Decide(rules, Facts{Severity: c.severity, Made: noon.Add(-time.Hour)}, noon)
			out := Decide(rules, Facts{Severity: c.severity, Made: noon.Add(-time.Hour), Attended: c.attended, Before: &first.Decision}, noon.Add(c.after))
			assert.Equal(t, c.reason, out.Reason)
			assert.Equal(t, c.told, out.Receivers)
			assert.Equal(t, c.waits, out.EscalatesAt != nil)
			if c.waits {
				assert.Equal(t, noon.Add(30*time.Minute), out.Again)
			}
		})
	}
	escalated := Decide(rules, Facts{Severity: v1alpha1.SeverityCritical, Made: noon, Before: &v1alpha1.Decision{Reason: ReasonEscalated}}, noon)
	assert.Equal(t, ReasonEscalated, escalated.Reason, "it stays so")
	assert.Equal(t, []string{"a"}, rules.Routes[0].Receivers, "the route is not changed")
	assert.Equal(t, DefaultEscalation, EscalatesAfter(v1alpha1.Escalation{}))
	assert.Equal(t, 24*time.Hour, EscalatesAfter(v1alpha1.Escalation{After: "1d"}))
}

func TestQuietStart(t *testing.T) {
	rules := Rules{Receivers: []string{"a", "hook"}, StormAbove: 9, QuietStart: true, NoStorm: map[string]bool{"hook": true}}
	began := noon
	for name, c := range map[string]struct {
		facts  Facts
		now    time.Duration
		off    bool
		bundle bool
		digest time.Duration
	}{
		"an alert from before":                 {Facts{Opened: began.Add(-time.Hour), Made: began}, time.Second, false, true, startFirst},
		"a workload that was broken before":    {Facts{Opened: began.Add(5 * time.Minute), Since: began.Add(-time.Hour), Made: began.Add(6 * time.Minute)}, 6 * time.Minute, false, true, 10 * time.Minute},
		"what broke since":                     {Facts{Opened: began.Add(time.Second), Since: began.Add(time.Second), Made: began.Add(2 * time.Second)}, 2 * time.Second, false, false, 0},
		"what is old and is only found later":  {Facts{Opened: began.Add(-time.Hour), Made: began.Add(startFor + time.Second)}, startFor + time.Second, false, false, 0},
		"it is switched off":                   {Facts{Opened: began.Add(-time.Hour), Made: began}, time.Second, true, false, 0},
		"too late for the first digest of all": {Facts{Opened: began.Add(-time.Hour), Made: began.Add(58 * time.Second)}, 58 * time.Second, false, true, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := rules
			r.QuietStart = !c.off
			c.facts.Severity, c.facts.Began = v1alpha1.SeverityCritical, began
			out := Decide(r, c.facts, began.Add(c.now))
			assert.Contains(t, out.Receivers, "hook")
			if !c.bundle {
				assert.Contains(t, out.Receivers, "a")
				return
			}
			assert.Equal(t, []string{"a"}, out.Bundle)
			assert.Equal(t, began.Add(c.digest), out.Digest)
			assert.Contains(t, out.Message, "older than this KubeBot")
			r.Receivers = []string{"a"}
			out = Decide(r, c.facts, began.Add(c.now))
			assert.Equal(t, ReasonQuietStart, out.Reason)
			assert.Equal(t, v1alpha1.VerdictDigest, out.Verdict)
		})
	}
}

func TestFlapsAfterSoManyReturnsInATime(t *testing.T) {
	d := Damping{Times: 3, Within: time.Hour}
	at := func(minutes ...int) (list []time.Time) {
		for _, m := range minutes {
			list = append(list, noon.Add(time.Duration(m-60)*time.Minute))
		}
		return list
	}
	for name, c := range map[string]struct {
		returns []time.Time
		want    bool
	}{
		"none": {nil, false}, "two": {at(10, 20), false}, "three": {at(10, 20, 30), true}, "one of three is long ago": {at(0, 20, 30), false}, "many": {at(1, 2, 3, 4, 5), true},
	} {
		assert.Equal(t, c.want, d.Flaps(c.returns, noon), name)
		assert.LessOrEqual(t, len(d.Recent(c.returns, noon)), 3)
	}
	assert.False(t, Damping{}.Flaps(at(1, 2, 3), noon), "switched off")
}
