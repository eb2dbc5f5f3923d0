package decide

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/learn"
)

func TestStormIsToldInDigests(t *testing.T) {
	rules := Rules{Receivers: []string{"a", "b", "hook"}, StormAbove: 3, NoStorm: map[string]bool{"hook": true}, NoDigest: map[string]bool{"pager": true}}
	for name, c := range map[string]struct {
		facts   Facts
		verdict v1alpha1.Verdict
		reason  string
		push    []string
		bundle  []string
	}{
		"calm":                             {Facts{}, v1alpha1.VerdictNotify, ReasonCritical, []string{"a", "b", "hook"}, nil},
		"a storm at one receiver":          {Facts{Crowded: []string{"a", "hook"}}, v1alpha1.VerdictNotify, ReasonCritical, []string{"b", "hook"}, []string{"a"}},
		"what was told in a digest stays":  {Facts{Bundled: []string{"a"}, BundledReason: ReasonStorm}, v1alpha1.VerdictNotify, ReasonCritical, []string{"b", "hook"}, []string{"a"}},
		"what could wait and no longer is": {Facts{Bundled: []string{"a", "b", "hook"}, BundledReason: ReasonDigest}, v1alpha1.VerdictDigest, ReasonDigest, nil, []string{"a", "b", "hook"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.facts.Severity = v1alpha1.SeverityCritical
			out := Decide(rules, c.facts, noon)
			assert.Equal(t, c.verdict, out.Verdict)
			assert.Equal(t, c.reason, out.Reason)
			assert.Equal(t, c.push, out.Receivers)
			assert.Equal(t, c.bundle, out.Bundle)
			assert.Equal(t, c.bundle != nil, !out.Digest.IsZero())
		})
	}
	everywhere := Facts{Severity: v1alpha1.SeverityCritical, Crowded: []string{"a", "b"}}
	rules.NoStorm = nil
	rules.Receivers = []string{"a", "b"}
	out := Decide(rules, everywhere, noon)
	assert.Equal(t, ReasonStorm, out.Reason)
	assert.Equal(t, v1alpha1.VerdictDigest, out.Verdict)
	assert.Contains(t, out.Message, "More than 3 incidents")
	rules.Routes = []v1alpha1.Route{{Receivers: []string{"a"}, Escalation: &v1alpha1.Escalation{Receivers: []string{"b"}}}}
	everywhere.Made, everywhere.Before = noon.Add(-time.Hour), &v1alpha1.Decision{Reason: ReasonEscalated}
	out = Decide(rules, everywhere, noon)
	assert.Equal(t, ReasonEscalated, out.Reason, "an escalation stays one, so that it is not due again")
	assert.Equal(t, []string{"a", "b"}, out.Bundle)
	assert.Nil(t, out.EscalatesAt)
}

func TestWhatCanWaitIsNotToldWhereNoDigestIsTaken(t *testing.T) {
	rules := Rules{Receivers: []string{"a", "pager"}, DigestEvery: time.Hour, Learned: says{action: learn.Digest}, NoDigest: map[string]bool{"pager": true},
		Routes: []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: []v1alpha1.Severity{v1alpha1.SeverityWarning}}, Receivers: []string{"a", "pager"}}}}
	facts := Facts{Severity: v1alpha1.SeverityWarning, Incident: &learn.Incident{Kind: "A"}}
	assert.Equal(t, []string{"a"}, Decide(rules, facts, noon).Bundle)
	rules.Routes[0].Receivers = []string{"pager"}
	out := Decide(rules, facts, noon)
	assert.Equal(t, v1alpha1.VerdictQuiet, out.Verdict)
	assert.Equal(t, ReasonDigest, out.Reason)
	assert.Zero(t, out.Digest)
}

func TestADigestOfAStormComesWithinHalfAMinute(t *testing.T) {
	for s := range 60 {
		at := noon.Add(time.Duration(s) * time.Second)
		wait := StormTime(at).Sub(at)
		assert.GreaterOrEqual(t, wait, stormLead)
		assert.Less(t, wait, 26*time.Second)
	}
}
