package decide

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/learn"
)

func TestWhatIsNotCriticalIsPushedOnceItHasLasted(t *testing.T) {
	both := []v1alpha1.Severity{v1alpha1.SeverityCritical, v1alpha1.SeverityWarning}
	lunch := mute(t, v1alpha1.MuteTime{Name: "lunch", Start: "12:00", End: "12:30"})
	plain := Rules{Receivers: []string{"a"}, PushAfter: time.Minute, Routes: []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: both}, Receivers: []string{"a"}}}}
	with := func(change func(*Rules)) Rules {
		r := plain
		change(&r)
		return r
	}
	settling := func(after time.Duration) *v1alpha1.Decision {
		at := metav1.NewTime(noon.Add(after))
		return &v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet, Reason: ReasonSettling, PushesAt: &at}
	}
	brief := &v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet, Reason: ReasonBrief}
	for name, c := range map[string]struct {
		rules  Rules
		facts  Facts
		after  time.Duration
		reason string
		again  time.Duration
	}{
		"it is new":                       {plain, Facts{}, 59 * time.Second, ReasonSettling, time.Minute},
		"it has lasted":                   {plain, Facts{}, time.Minute, ReasonRouted, 0},
		"it is critical":                  {plain, Facts{Severity: v1alpha1.SeverityCritical}, 0, ReasonRouted, 0},
		"nothing waits":                   {with(func(r *Rules) { r.PushAfter = 0 }), Facts{}, 0, ReasonRouted, 0},
		"it was told of":                  {plain, Facts{Told: true}, 0, ReasonRouted, 0},
		"it comes and goes":               {plain, Facts{Flaps: true}, 0, ReasonRouted, 0},
		"it is over":                      {plain, Facts{Over: noon.Add(50 * time.Second)}, 2 * time.Minute, ReasonBrief, 0},
		"it lasted while nobody looked":   {plain, Facts{Over: noon.Add(61 * time.Second)}, 2 * time.Minute, ReasonRouted, 0},
		"other alerts put nothing off":    {plain, Facts{Before: settling(30 * time.Second)}, 30 * time.Second, ReasonRouted, 0},
		"what was said before stands":     {plain, Facts{Before: settling(30 * time.Second)}, 20 * time.Second, ReasonSettling, 30 * time.Second},
		"a shorter wait counts":           {plain, Facts{Before: settling(time.Hour)}, time.Second, ReasonSettling, time.Minute},
		"it is over before the time said": {plain, Facts{Before: settling(time.Minute), Fires: noon.Add(-time.Hour), Over: noon.Add(9 * time.Second)}, 10 * time.Second, ReasonRouted, 0},
		"looked at again it stays brief":  {plain, Facts{Before: brief, Fires: noon.Add(-time.Hour), Over: noon.Add(9 * time.Second)}, 10 * time.Second, ReasonBrief, 0},
		"what was brief comes back":       {plain, Facts{Before: brief}, time.Second, ReasonSettling, time.Minute},
		"what still fires is not told of": {plain, Facts{Over: noon.Add(9 * time.Second), Lower: v1alpha1.SeverityInfo}, 10 * time.Second, ReasonBrief, 0},
		"what still fires is told of too": {with(func(r *Rules) {
			r.Routes = []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: append(both, v1alpha1.SeverityInfo)}, Receivers: []string{"a"}}}
		}), Facts{Over: noon.Add(9 * time.Second), Lower: v1alpha1.SeverityInfo}, 10 * time.Second, ReasonSettling, time.Minute},
		"a digest tells of it": {with(func(r *Rules) { r.Learned, r.DigestEvery = says{action: learn.Digest}, time.Hour }), Facts{Incident: &learn.Incident{Kind: "A"}}, 0, ReasonDigest, 0},
		"nobody is told of it": {with(func(r *Rules) { r.Routes = nil }), Facts{}, 0, ReasonNotRouted, 0},
		"a team alone is told of it": {with(func(r *Rules) {
			r.Routes, r.Teams = nil, []TeamRoute{{Namespace: "shop", Match: v1alpha1.AlertRouteMatch{Severities: both}, Receivers: []string{"shop/r/a"}}}
		}), Facts{Namespace: "shop"}, 0, ReasonSettling, time.Minute},
		"a team alone is told of it in time": {with(func(r *Rules) {
			r.Routes, r.Teams = nil, []TeamRoute{{Namespace: "shop", Match: v1alpha1.AlertRouteMatch{Severities: both}, Receivers: []string{"shop/r/a"}}}
		}), Facts{Namespace: "shop"}, time.Minute, ReasonTeam, 0},
		"it is older than the KubeBot": {with(func(r *Rules) { r.QuietStart = true }), Facts{Opened: noon, Made: noon.Add(time.Second), Began: noon.Add(time.Second)}, 2 * time.Second, ReasonQuietStart, 0},
		"a storm":                      {with(func(r *Rules) { r.StormAbove = 1 }), Facts{Crowded: []string{"a"}}, 0, ReasonSettling, time.Minute},
		"a storm that has lasted":      {with(func(r *Rules) { r.StormAbove = 1 }), Facts{Crowded: []string{"a"}}, time.Minute, ReasonStorm, 0},
		"a mute time holds": {with(func(r *Rules) {
			r.Mutes = map[string]Mute{"lunch": lunch}
			r.Routes = []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: both}, Receivers: []string{"a"}, MuteTimes: []string{"lunch"}}}
		}), Facts{}, 0, ReasonMuted, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if c.facts.Severity == "" {
				c.facts.Severity = v1alpha1.SeverityWarning
			}
			if c.facts.Fires.IsZero() {
				c.facts.Fires = noon
			}
			out := Decide(c.rules, c.facts, noon.Add(c.after))
			assert.Equal(t, c.reason, out.Reason, out.Message)
			assert.Equal(t, c.reason == ReasonSettling, out.PushesAt != nil)
			if c.again > 0 {
				assert.Equal(t, noon.Add(c.again), out.Again.UTC())
			}
			if out.Reason == ReasonSettling || out.Reason == ReasonBrief {
				assert.Equal(t, v1alpha1.VerdictQuiet, out.Verdict)
				assert.Empty(t, out.Receivers)
				assert.Empty(t, out.Bundle)
			}
		})
	}
}

func TestWhatWaitsKeepsWhatPeopleTaught(t *testing.T) {
	rules := Rules{Receivers: []string{"a"}, PushAfter: time.Minute, Learned: says{action: learn.Push}}
	facts := Facts{Severity: v1alpha1.SeverityWarning, Fires: noon, Incident: &learn.Incident{Kind: "A"}}
	first := Decide(rules, facts, noon)
	assert.Equal(t, ReasonSettling, first.Reason)
	assert.NotNil(t, first.Decision.Learned)
	rules.Learned, facts.Before = Keep(first.Decision.Learned), &first.Decision
	assert.Equal(t, ReasonImportant, Decide(rules, facts, noon.Add(time.Minute)).Reason)
}
