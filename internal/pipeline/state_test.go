package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/equality"
	"pgregory.net/rapid"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// fired makes a firing alert; each (name, instance) is one alert.
func fired(name, instance string, severity v1alpha1.Severity, at time.Time) alert.Alert {
	labels := map[string]string{"alertname": name, "instance": instance, "severity": string(severity)}
	return alert.Alert{Fingerprint: alert.Fingerprint(labels), Labels: labels, StartsAt: at, Severity: severity,
		Source: v1alpha1.AlertSourceAlertmanager, Annotations: map[string]string{"summary": name + " on " + instance}}
}

func ended(a alert.Alert, at time.Time) alert.Alert {
	a.EndsAt = at
	return a
}

// opened makes an Incident as create leaves it.
func opened(alerts ...alert.Alert) *v1alpha1.Incident {
	inc := &v1alpha1.Incident{Spec: v1alpha1.IncidentSpec{GroupKey: "k", Number: 1, Subject: v1alpha1.Subject{Kind: "Deployment", Display: "Deployment shop/checkout"}}}
	for _, a := range alerts {
		inc.Spec.OpeningAlerts = append(inc.Spec.OpeningAlerts, record(a, noon))
	}
	return inc
}

func TestApply(t *testing.T) {
	warn, crit := v1alpha1.SeverityWarning, v1alpha1.SeverityCritical
	a := fired("A", "1", warn, noon)
	type at struct {
		after  time.Duration
		alerts []alert.Alert
		person func(*v1alpha1.IncidentSpec)
	}
	acknowledge := func(s *v1alpha1.IncidentSpec) { s.Acknowledge = &v1alpha1.Request{By: "ann"} }
	for name, c := range map[string]struct {
		steps      []at
		state      v1alpha1.IncidentState
		transition v1alpha1.TransitionKind
		sequence   int64
		text       string
		rest       int
		details    []v1alpha1.TransitionDetail
	}{
		"an incident opens with its first alerts": {
			steps: []at{{}}, state: v1alpha1.IncidentOpen, transition: v1alpha1.TransitionOpened, sequence: 1},
		"the same alert again tells nobody": {
			steps: []at{{}, {time.Minute, []alert.Alert{a}, nil}}, state: v1alpha1.IncidentOpen, transition: v1alpha1.TransitionOpened, sequence: 1},
		"another instance of the same alert tells nobody": {
			steps: []at{{}, {time.Minute, []alert.Alert{fired("A", "2", warn, noon)}, nil}}, state: v1alpha1.IncidentOpen, transition: v1alpha1.TransitionOpened, sequence: 1},
		"a new alert name is told": {
			steps: []at{{}, {time.Minute, []alert.Alert{fired("B", "1", warn, noon)}, nil}}, state: v1alpha1.IncidentOpen,
			transition: v1alpha1.TransitionUpdated, sequence: 2, text: "Now also: B"},
		"becoming critical is told": {
			steps: []at{{}, {time.Minute, []alert.Alert{fired("A", "2", crit, noon)}, nil}}, state: v1alpha1.IncidentOpen,
			transition: v1alpha1.TransitionUpdated, sequence: 2, text: "Now critical: A on 2", details: []v1alpha1.TransitionDetail{v1alpha1.DetailBecameCritical}},
		"an acknowledgement is told with its author": {
			steps: []at{{}, {time.Minute, nil, acknowledge}}, state: v1alpha1.IncidentAcknowledged,
			transition: v1alpha1.TransitionUpdated, sequence: 2, text: "Acknowledged by ann", details: []v1alpha1.TransitionDetail{v1alpha1.DetailAcknowledged}},
		"the end of the last alert resolves": {
			steps: []at{{}, {time.Minute, []alert.Alert{ended(a, noon)}, nil}}, state: v1alpha1.IncidentResolved, transition: v1alpha1.TransitionResolved, sequence: 2},
		"firing again soon after reopens": {
			steps: []at{{}, {time.Minute, []alert.Alert{ended(a, noon)}, nil}, {9 * time.Minute, []alert.Alert{a}, nil}},
			state: v1alpha1.IncidentOpen, transition: v1alpha1.TransitionReopened, sequence: 3},
		"reopening keeps who looks after it": {
			steps: []at{{0, nil, acknowledge}, {time.Minute, []alert.Alert{ended(a, noon)}, nil}, {time.Minute, []alert.Alert{a}, nil}},
			state: v1alpha1.IncidentAcknowledged, transition: v1alpha1.TransitionReopened, sequence: 3},
		"the quiet time closes, and the next alert is not its own": {
			steps: []at{{}, {time.Minute, []alert.Alert{ended(a, noon)}, nil}, {QuietTime, []alert.Alert{a}, nil}},
			state: v1alpha1.IncidentClosed, transition: v1alpha1.TransitionResolved, sequence: 2, rest: 1},
		"a person closes although it fires, and it stays closed while the same alert goes on": {
			steps: []at{{}, {time.Minute, nil, func(s *v1alpha1.IncidentSpec) { s.Close = &v1alpha1.Request{By: "bob", Comment: "known"} }}, {time.Hour, []alert.Alert{a}, nil}},
			state: v1alpha1.IncidentClosed, transition: v1alpha1.TransitionResolved, sequence: 2, text: "Closed by bob: known"},
		"after a person closed it, a new start of the alert is not its own": {
			steps: []at{{}, {time.Minute, nil, func(s *v1alpha1.IncidentSpec) { s.Close = &v1alpha1.Request{} }}, {time.Hour, []alert.Alert{fired("A", "1", warn, noon.Add(time.Hour))}, nil}},
			state: v1alpha1.IncidentClosed, transition: v1alpha1.TransitionResolved, sequence: 2, rest: 1},
		"repeated news of the end opens nothing": {
			steps: []at{{}, {time.Minute, []alert.Alert{ended(a, noon)}, nil}, {time.Hour, []alert.Alert{ended(a, noon)}, nil}},
			state: v1alpha1.IncidentClosed, transition: v1alpha1.TransitionResolved, sequence: 2},
	} {
		t.Run(name, func(t *testing.T) {
			inc, now := opened(a), noon
			var rest []alert.Alert
			for _, step := range c.steps {
				now = now.Add(step.after)
				if step.person != nil {
					step.person(&inc.Spec)
				}
				inc, rest = Apply(inc, step.alerts, decide.Damping{}, now)
			}
			assert.Equal(t, c.state, inc.Status.State)
			require.NotNil(t, inc.Status.Transition)
			assert.Equal(t, c.transition, inc.Status.Transition.Kind)
			assert.Equal(t, c.sequence, inc.Status.Transition.Sequence)
			assert.Equal(t, c.details, inc.Status.Transition.Details)
			assert.Len(t, rest, c.rest)
			if c.text != "" {
				assert.Equal(t, c.text, inc.Status.Transition.Text)
			}
		})
	}
}

func TestIncidentThatWasOverBeforeItWasSeenIsRecordedAsResolved(t *testing.T) {
	inc, rest := Apply(opened(ended(fired("A", "1", v1alpha1.SeverityCritical, noon), noon)), nil, decide.Damping{}, noon)
	assert.Empty(t, rest)
	assert.Equal(t, v1alpha1.IncidentResolved, inc.Status.State)
	assert.EqualValues(t, 2, inc.Status.Transition.Sequence)
}

func TestIncidentStaysWithinItsBounds(t *testing.T) {
	var alerts []alert.Alert
	for i := range 700 {
		a := fired(strings.Repeat("N", 300), fmt.Sprint(i), v1alpha1.SeverityWarning, noon)
		a.Annotations["description"] = strings.Repeat("ü", 5000)
		alerts = append(alerts, a)
	}
	inc, rest := Apply(opened(alerts[0]), alerts, decide.Damping{}, noon)
	data, err := json.Marshal(inc.Status)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(data), statusBytes+2048)
	assert.Equal(t, 700, len(inc.Status.Alerts)+len(rest))
	again, _ := Apply(inc, []alert.Alert{ended(alerts[0], noon)}, decide.Damping{}, noon)
	assert.Len(t, again.Status.Alerts, len(inc.Status.Alerts), "what is stored once stays")
}

// TestApplyProperties plays random alerts, times and people against Apply.
func TestApplyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		severities := []v1alpha1.Severity{v1alpha1.SeverityInfo, v1alpha1.SeverityWarning, v1alpha1.SeverityCritical}
		draw := func() alert.Alert {
			a := fired(rapid.SampledFrom([]string{"A", "B"}).Draw(t, "name"), rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "instance"),
				rapid.SampledFrom(severities).Draw(t, "severity"), noon)
			if rapid.Bool().Draw(t, "over") {
				a = ended(a, noon)
			}
			return a
		}
		now := noon
		inc, _ := Apply(opened(draw()), nil, decide.Damping{}, now)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "seconds")) * time.Second)
			var alerts []alert.Alert
			for range rapid.IntRange(0, 3).Draw(t, "alerts") {
				alerts = append(alerts, draw())
			}
			alerts = dedupe(alerts)
			if rapid.IntRange(0, 9).Draw(t, "person") == 0 {
				inc.Spec.Acknowledge = &v1alpha1.Request{}
			}
			before := inc.DeepCopy()
			next, rest := Apply(inc, alerts, decide.Damping{}, now)
			if !equality.Semantic.DeepEqual(before, inc) {
				t.Fatalf("the input was changed")
			}
			check(t, inc, next, alerts, rest, now)
			inc = next
		}
	})
}

func check(t *rapid.T, before, after *v1alpha1.Incident, alerts, rest []alert.Alert, now time.Time) {
	s := after.Status
	if again, _ := Apply(after, nil, decide.Damping{}, now); !equality.Semantic.DeepEqual(again.Status, s) {
		t.Fatalf("a second look at the same time changed something")
	}
	if got := s.Transition.Sequence - before.Status.Transition.Sequence; got < 0 || got > 1 {
		t.Fatalf("the sequence moved by %d", got)
	}
	if alert.Rank(s.Severity) < alert.Rank(before.Status.Severity) {
		t.Fatalf("the severity fell")
	}
	fire := firing(after) > 0
	switch s.State {
	case v1alpha1.IncidentOpen, v1alpha1.IncidentAcknowledged:
		if !fire || s.ResolvedAt != nil {
			t.Fatalf("%s without a firing alert, or with an end", s.State)
		}
	case v1alpha1.IncidentResolved:
		if fire || s.ResolvedAt == nil {
			t.Fatalf("resolved with a firing alert, or without an end")
		}
	}
	held := map[string]v1alpha1.AlertState{}
	for _, r := range s.Alerts {
		held[r.Fingerprint] = r.State
	}
	returned := map[string]bool{}
	for _, a := range rest {
		returned[a.Fingerprint] = true
	}
	for _, a := range alerts {
		state, ok := held[a.Fingerprint]
		if !ok && !returned[a.Fingerprint] {
			t.Fatalf("an alert was lost")
		}
		if a.Firing() && !returned[a.Fingerprint] && state != v1alpha1.AlertFiring {
			t.Fatalf("a firing alert is held as %s", state)
		}
	}
}
