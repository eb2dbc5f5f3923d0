package decide

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/learn"
)

// says always proposes an action, and keeps what it was asked.
type says struct {
	action learn.Action
	asked  *learn.Question
}

func (s says) Advise(_ learn.Holdable, q learn.Question) learn.Advice {
	if s.asked != nil {
		*s.asked = q
	}
	return learn.Advice{Action: max(s.action, q.Floor), Reason: learn.ReasonTaughtNoise, Message: "taught", Permille: 1000}
}

func TestWhatWasLearnedDecidesAfterTheRules(t *testing.T) {
	crit, warn := v1alpha1.SeverityCritical, v1alpha1.SeverityWarning
	both := []v1alpha1.Severity{crit, warn}
	routed := []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: both}, Receivers: []string{"a"}}}
	labelled := []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: both, Labels: map[string]string{"alertname": "JobFailed"}}, Receivers: []string{"a"}}}
	nobody := []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: both}}}
	facts := Facts{Severity: warn, AlertLabels: []map[string]string{{"alertname": "JobFailed"}}, Incident: &learn.Incident{Kind: "JobFailed"}}
	with := func(change func(*Facts)) Facts {
		f := facts
		change(&f)
		return f
	}
	for name, c := range map[string]struct {
		routes   []v1alpha1.Route
		facts    Facts
		learned  Learned
		noDigest bool
		reason   string
		told     []string
		digest   bool
	}{
		"nothing was learned":                         {routed, facts, nil, false, ReasonRouted, []string{"a"}, false},
		"noise is kept quiet":                         {routed, facts, says{action: learn.Quiet}, false, ReasonUnimportant, nil, false},
		"noise waits for the digest":                  {routed, facts, says{action: learn.Digest}, false, ReasonDigest, []string{"a"}, true},
		"without a digest nothing waits for it":       {routed, facts, says{action: learn.Digest}, true, ReasonRouted, []string{"a"}, false},
		"what matters is pushed":                      {routed, facts, says{action: learn.Push}, false, ReasonRouted, []string{"a"}, false},
		"critical is pushed whatever was learned":     {routed, with(func(f *Facts) { f.Severity = crit }), says{action: learn.Quiet}, false, ReasonRouted, []string{"a"}, false},
		"critical by what else is known":              {nil, with(func(f *Facts) { f.Severity, f.Incident = crit, &learn.Incident{Case: learn.Case{Severity: "warning"}} }), says{action: learn.Quiet}, false, ReasonCritical, []string{"a", "b"}, false},
		"a route by labels is explicit":               {labelled, facts, says{action: learn.Quiet}, false, ReasonRouted, []string{"a"}, false},
		"a route to nobody stays one":                 {nobody, facts, says{action: learn.Push}, false, ReasonRoutedToNobody, nil, false},
		"an incident that is not described":           {routed, with(func(f *Facts) { f.Incident = nil }), says{action: learn.Quiet}, false, ReasonRouted, []string{"a"}, false},
		"no route, and nothing speaks for it":         {nil, facts, says{action: learn.Quiet}, false, ReasonNotRouted, nil, false},
		"no route, and people taught that it matters": {nil, facts, says{action: learn.Push}, false, ReasonImportant, []string{"a", "b"}, false},
		"no route, and good for the digest":           {nil, facts, says{action: learn.Digest}, false, ReasonDigest, []string{"a", "b"}, true},
		"no route, no digest":                         {nil, facts, says{action: learn.Digest}, true, ReasonNotRouted, nil, false},
		"what matters is inhibited all the same":      {nil, with(func(f *Facts) { f.LostNode = "n1" }), says{action: learn.Push}, false, ReasonInhibited, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			rules := Rules{Receivers: []string{"a", "b"}, Routes: c.routes, Learned: c.learned, DigestEvery: 8 * time.Hour}
			if c.noDigest {
				rules.DigestEvery = 0
			}
			out := Decide(rules, c.facts, noon)
			assert.Equal(t, c.reason, out.Reason)
			if c.digest {
				assert.Equal(t, c.told, out.Bundle)
				assert.Equal(t, v1alpha1.VerdictDigest, out.Verdict)
			} else {
				assert.Equal(t, c.told, out.Receivers)
			}
			assert.Equal(t, c.told != nil && !c.digest, out.Verdict == v1alpha1.VerdictNotify)
			assert.NotEmpty(t, out.Message)
			if c.digest {
				assert.Equal(t, noon.Add(4*time.Hour), out.Digest, "the digest of 16:00")
			} else {
				assert.Zero(t, out.Digest)
			}
		})
	}
}

func TestTheLearningIsToldOfTheUsersRules(t *testing.T) {
	var asked learn.Question
	facts := Facts{Severity: v1alpha1.SeverityWarning, Incident: &learn.Incident{}, AlertLabels: []map[string]string{{"k": "v"}}}
	warnings := []v1alpha1.Severity{v1alpha1.SeverityWarning}
	Decide(Rules{Receivers: []string{"a"}, Learned: says{asked: &asked}}, facts, noon)
	assert.Equal(t, learn.Question{Plain: learn.Quiet, Floor: learn.Quiet, Now: noon}, asked)
	Decide(Rules{Receivers: []string{"a"}, Learned: says{asked: &asked}, Routes: []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: warnings}, Receivers: []string{"a"}}}}, facts, noon)
	assert.Equal(t, learn.Question{Plain: learn.Push, Floor: learn.Quiet, Now: noon}, asked)
	Decide(Rules{Receivers: []string{"a"}, Learned: says{asked: &asked}, Routes: []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: warnings, Labels: map[string]string{"k": "v"}}, Receivers: []string{"a"}}}}, facts, noon)
	assert.Equal(t, learn.Question{Plain: learn.Push, Floor: learn.Push, Now: noon}, asked)
}

func TestCriticalAndAnEmptyStateAreDecidedAsWithoutLearning(t *testing.T) {
	severities := []v1alpha1.Severity{v1alpha1.SeverityCritical, v1alpha1.SeverityWarning, v1alpha1.SeverityInfo}
	rapid.Check(t, func(t *rapid.T) {
		rules := Rules{Receivers: []string{"a", "b"}}
		for range rapid.IntRange(0, 2).Draw(t, "routes") {
			r := v1alpha1.Route{Match: v1alpha1.RouteMatch{Severities: rapid.SliceOfDistinct(rapid.SampledFrom(severities), rapid.ID).Draw(t, "severities")}}
			if rapid.Bool().Draw(t, "told") {
				r.Receivers = []string{"a"}
			}
			rules.Routes = append(rules.Routes, r)
		}
		facts := Facts{Severity: rapid.SampledFrom(severities).Draw(t, "severity"), Opened: noon, Incident: &learn.Incident{Name: "inc-1", Team: "shop", Kind: "JobFailed"}}
		if rapid.Bool().Draw(t, "repeated") {
			facts.Previous = noon.Add(-time.Minute)
		}
		plain := Decide(rules, facts, noon)
		rules.DigestEvery = time.Hour
		rules.Learned = learn.NewModel(learn.State{}, learn.Defaults())
		if facts.Severity == v1alpha1.SeverityCritical {
			rules.Learned = says{action: rapid.SampledFrom(learn.Actions[:]).Draw(t, "says")}
		}
		with := Decide(rules, facts, noon)
		if l := with.Decision.Learned; l != nil && (l.Action != l.Without || facts.Severity == v1alpha1.SeverityCritical) {
			t.Fatalf("%+v", l)
		}
		with.Decision.Learned = nil
		if with.Decision != plain.Decision || len(with.Receivers) != len(plain.Receivers) {
			t.Fatalf("%+v became %+v", plain, with)
		}
	})
}
