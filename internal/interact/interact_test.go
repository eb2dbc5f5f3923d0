package interact_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/interact"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const anna, ben = "anna (Slack U0000000011)", "ben (Slack U0000000012)"

func press(action interact.Action, by string) interact.Press {
	return interact.Press{ID: fmt.Sprintf("%s-%s", action, by), Action: action, By: by, At: noon.Add(-time.Second)}
}

func alertOf(name string, labels map[string]string) v1alpha1.IncidentAlert {
	return v1alpha1.IncidentAlert{Fingerprint: name + fmt.Sprint(labels), Name: name, Severity: v1alpha1.SeverityCritical, State: v1alpha1.AlertFiring,
		Source: v1alpha1.AlertSourceAlertmanager, StartsAt: metav1.NewTime(noon.Add(-time.Minute)), Labels: labels}
}

func incident(change func(*v1alpha1.Incident)) *v1alpha1.Incident {
	inc := &v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: "main-1", Namespace: "kubebot"}}
	inc.Spec.KubeBot = "main"
	inc.Status.State = v1alpha1.IncidentOpen
	inc.Status.Alerts = []v1alpha1.IncidentAlert{alertOf("A", map[string]string{"alertname": "A", "severity": "critical", "namespace": "shop", "workload": "checkout", "pod": "checkout-1"})}
	inc.Status.Causes = []v1alpha1.Cause{{Object: v1alpha1.CauseObject{Kind: "Deployment", Name: "catalog"}}, {Object: v1alpha1.CauseObject{Kind: "Node", Name: "n1"}}}
	if change != nil {
		change(inc)
	}
	return inc
}

func TestWhatAPressDoesToAnIncident(t *testing.T) {
	hour := metav1.NewTime(noon.Add(time.Hour - time.Second))
	for name, c := range map[string]struct {
		before func(*v1alpha1.Incident)
		press  interact.Press
		text   string
		// want is what is to be changed in the spec besides actions; nil for nothing.
		want func(*v1alpha1.IncidentSpec)
	}{
		"acknowledge": {nil, press(interact.Acknowledge, anna), "You have acknowledged the incident.", func(s *v1alpha1.IncidentSpec) { s.Acknowledge = &v1alpha1.Request{By: anna} }},
		"acknowledge what another looks after": {
			func(i *v1alpha1.Incident) { i.Spec.Acknowledge = &v1alpha1.Request{By: ben} }, press(interact.Acknowledge, anna), "ben (Slack U0000000012) has acknowledged the incident already.", nil,
		},
		"acknowledge what is over": {
			func(i *v1alpha1.Incident) { i.Status.State = v1alpha1.IncidentResolved }, press(interact.Acknowledge, anna), "there is nothing to acknowledge", nil,
		},
		"take back": {
			func(i *v1alpha1.Incident) { i.Spec.Acknowledge = &v1alpha1.Request{By: ben} }, press(interact.Release, anna), "no longer acknowledged",
			func(s *v1alpha1.IncidentSpec) { s.Acknowledge = nil },
		},
		"silence": {nil, press(interact.SilenceHour, anna), "Silenced until 2026-11-21 12:59 UTC.", func(s *v1alpha1.IncidentSpec) { s.Silence = &v1alpha1.SilenceRequest{By: anna, Until: hour} }},
		"a shorter silence": {
			func(i *v1alpha1.Incident) {
				i.Spec.Silence = &v1alpha1.SilenceRequest{By: ben, Until: metav1.NewTime(noon.Add(2 * time.Hour))}
			}, press(interact.SilenceHour, anna), "has silenced the incident until 2026-11-21 14:00 UTC already", nil,
		},
		"silence what the watch saw": {
			func(i *v1alpha1.Incident) { i.Status.Alerts[0].Source = v1alpha1.AlertSourceWatch }, press(interact.SilenceHour, anna), "nothing that it could silence", nil,
		},
		"a silence that was asked for long ago": {
			nil, interact.Press{ID: "x", Action: interact.SilenceHour, By: anna, At: noon.Add(-2 * time.Hour)}, "pressed too long ago", nil,
		},
		"end the silence": {
			func(i *v1alpha1.Incident) { i.Spec.Silence = &v1alpha1.SilenceRequest{By: ben, Until: hour} }, press(interact.Unsilence, anna), "The silence is ended.",
			func(s *v1alpha1.IncidentSpec) { s.Silence = nil },
		},
		"noise": {nil, press(interact.Noise, anna), "this was noise", func(s *v1alpha1.IncidentSpec) {
			s.Feedback = []v1alpha1.Feedback{{Verdict: v1alpha1.FeedbackNoise, By: anna, At: metav1.NewTime(noon.Add(-time.Second))}}
		}},
		"another mind": {
			func(i *v1alpha1.Incident) {
				i.Spec.Feedback = []v1alpha1.Feedback{{Verdict: v1alpha1.FeedbackMattered, By: anna}, {Verdict: v1alpha1.FeedbackMattered, By: ben}}
			}, press(interact.Noise, anna), "this was noise", func(s *v1alpha1.IncidentSpec) {
				s.Feedback = []v1alpha1.Feedback{{Verdict: v1alpha1.FeedbackMattered, By: ben}, {Verdict: v1alpha1.FeedbackNoise, By: anna, At: metav1.NewTime(noon.Add(-time.Second))}}
			},
		},
		"the same mind": {
			func(i *v1alpha1.Incident) {
				i.Spec.Feedback = []v1alpha1.Feedback{{Verdict: v1alpha1.FeedbackNoise, By: anna}}
			}, press(interact.Noise, anna), "said so already", nil,
		},
		"cause right": {nil, press(interact.CauseRight, anna), "the cause is right", func(s *v1alpha1.IncidentSpec) {
			s.Cause = &v1alpha1.CauseJudgement{Confirm: new(int32(1)), By: anna}
		}},
		"another cause": {nil, press("cause-is-2", anna), "the right cause is Node n1", func(s *v1alpha1.IncidentSpec) {
			s.Cause = &v1alpha1.CauseJudgement{Confirm: new(int32(2)), By: anna}
		}},
		"cause wrong": {nil, press(interact.CauseWrong, anna), "the cause is wrong", func(s *v1alpha1.IncidentSpec) {
			s.Cause = &v1alpha1.CauseJudgement{Reject: new(int32(1)), By: anna}
		}},
		"cause right, which another person corrected by kubectl": {func(i *v1alpha1.Incident) {
			i.Spec.Cause = &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: "db", Kind: "disk"}, By: ben}
		}, press(interact.CauseRight, anna), "the cause is right", func(s *v1alpha1.IncidentSpec) {
			s.Cause = &v1alpha1.CauseJudgement{Confirm: new(int32(1)), By: anna}
		}},
		"cause right, of a message that is older than the list": {
			nil, interact.Press{ID: "x", Action: interact.CauseRight, By: anna, At: noon, Cause: interact.CauseKey(v1alpha1.Cause{Object: v1alpha1.CauseObject{Kind: "Node", Name: "n1"}})}, "the right cause is Node n1",
			func(s *v1alpha1.IncidentSpec) { s.Cause = &v1alpha1.CauseJudgement{Confirm: new(int32(2)), By: anna} },
		},
		"cause wrong, of a message that is older than the list": {
			nil, interact.Press{ID: "x", Action: interact.CauseWrong, By: anna, At: noon, Cause: interact.CauseKey(v1alpha1.Cause{Object: v1alpha1.CauseObject{Kind: "Node", Name: "n1"}})}, "the cause is wrong",
			func(s *v1alpha1.IncidentSpec) { s.Cause = &v1alpha1.CauseJudgement{Reject: new(int32(2)), By: anna} },
		},
		"cause right, of a message whose cause is no longer one": {
			nil, interact.Press{ID: "x", Action: interact.CauseRight, By: anna, At: noon, Cause: "0123456789ab"}, "The causes have changed since", nil,
		},
		"a cause that is gone":  {nil, press("cause-is-3", anna), "The causes have changed since", nil},
		"right without a cause": {func(i *v1alpha1.Incident) { i.Status.Causes = nil }, press(interact.CauseRight, anna), "names no cause", nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := incident(c.before)
			kept := in.DeepCopy()
			out, outcome := interact.Apply(in, c.press, noon)
			assert.Equal(t, kept, in, "it is pure")
			assert.Contains(t, outcome.Text, c.text)
			assert.Equal(t, c.want != nil, outcome.Changed)
			want := in.DeepCopy()
			if c.want != nil {
				c.want(&want.Spec)
				require.Len(t, out.Spec.Actions, 1)
				assert.Equal(t, c.press.By, out.Spec.Actions[0].By, "who pressed what is recorded")
				want.Spec.Actions = out.Spec.Actions
			}
			assert.Equal(t, want.Spec, out.Spec)
			again, repeated := interact.Apply(out, c.press, noon)
			assert.False(t, repeated.Changed, "the same press is taken once")
			assert.Equal(t, out, again)
		})
	}
}

func TestAPressThatArrivesAfterItWasTakenBackDoesNothing(t *testing.T) {
	inc, _ := interact.Apply(incident(nil), press(interact.Acknowledge, anna), noon)
	inc, _ = interact.Apply(inc, press(interact.Release, anna), noon)
	inc, outcome := interact.Apply(inc, press(interact.Acknowledge, anna), noon)
	assert.False(t, outcome.Changed)
	assert.Nil(t, inc.Spec.Acknowledge)
}

func TestAWrongCauseAsksForTheRightOneAndIsNoLongerConfirmed(t *testing.T) {
	inc, _ := interact.Apply(incident(nil), press(interact.CauseRight, anna), noon)
	inc, outcome := interact.Apply(inc, press(interact.CauseWrong, anna), noon)
	assert.True(t, outcome.Others)
	assert.Equal(t, &v1alpha1.CauseJudgement{Reject: new(int32(1)), By: anna}, inc.Spec.Cause)
	inc, outcome = interact.Apply(inc, press("cause-is-2", anna), noon)
	assert.False(t, outcome.Others)
	assert.Equal(t, &v1alpha1.CauseJudgement{Confirm: new(int32(2)), By: anna}, inc.Spec.Cause)
	assert.Empty(t, inc.Spec.Feedback)
}

func TestListsKeepTheirBounds(t *testing.T) {
	inc := incident(nil)
	for i := range 100 {
		inc, _ = interact.Apply(inc, press(interact.Noise, fmt.Sprintf("p%d (Slack U%d)", i, i)), noon)
	}
	assert.Len(t, inc.Spec.Feedback, 32)
	assert.Len(t, inc.Spec.Actions, 32)
	assert.Contains(t, inc.Spec.Feedback[31].By, "p99")
}

func TestActions(t *testing.T) {
	for _, text := range []string{"acknowledge", "silence-1h", "cause-is-1", "cause-is-5", "details"} {
		a, ok := interact.Parse(text)
		assert.True(t, ok, text)
		assert.NotEmpty(t, a.Right(), text)
	}
	for _, text := range []string{"", "Acknowledge", "cause-is-", "cause-is-0", "cause-is-6", "cause-is-22", "link_dashboard"} {
		_, ok := interact.Parse(text)
		assert.False(t, ok, text)
	}
}

func TestMatchersOfASilence(t *testing.T) {
	shop := func(more ...string) map[string]string {
		m := map[string]string{"namespace": "shop", "severity": "critical"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	many := []v1alpha1.IncidentAlert{}
	for i := range 30 {
		many = append(many, alertOf("A", shop("workload", "w", "shard", fmt.Sprint(i))))
	}
	for name, c := range map[string]struct {
		alerts []v1alpha1.IncidentAlert
		want   string
	}{
		"pods of a workload come and go": {
			[]v1alpha1.IncidentAlert{alertOf("A", shop("workload", "w", "pod", "w-1")), alertOf("A", shop("workload", "w", "pod", "w-2"))},
			`alertname="A" namespace="shop" severity="critical" workload="w"`,
		},
		"alerts of several names": {
			[]v1alpha1.IncidentAlert{alertOf("A", shop("workload", "w")), alertOf("B.x", shop("workload", "w"))},
			`alertname=~"A|B\.x" namespace="shop" severity="critical" workload="w"`,
		},
		"pods without a workload are named": {
			[]v1alpha1.IncidentAlert{alertOf("A", shop("pod", "a")), alertOf("A", shop("pod", "b"))},
			`alertname="A" namespace="shop" pod=~"a|b" severity="critical"`,
		},
		"a label with too many values":   {many, `alertname="A" namespace="shop" severity="critical" workload="w"`},
		"one alert without more labels":  {[]v1alpha1.IncidentAlert{alertOf("A", map[string]string{"severity": "critical"})}, `alertname="A" severity="critical"`},
		"nothing in common but the name": {[]v1alpha1.IncidentAlert{alertOf("A", map[string]string{"x": "1"}), alertOf("A", map[string]string{"y": "1"})}, ""},
		"a value that was cut":           {[]v1alpha1.IncidentAlert{alertOf("A", shop("workload", "w", "path", "/a…"))}, `alertname="A" namespace="shop" severity="critical" workload="w"`},
		"no alert":                       {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inc := incident(func(i *v1alpha1.Incident) { i.Status.Alerts = c.alerts })
			var got []string
			for _, m := range interact.Matchers(inc) {
				sign := "="
				if m.IsRegex {
					sign = "=~"
				}
				got = append(got, fmt.Sprintf("%s%s%q", m.Name, sign, m.Value))
				assert.True(t, m.IsEqual)
			}
			assert.Equal(t, strings.ReplaceAll(c.want, `\.`, `\\.`), strings.Join(got, " "))
			slices.Reverse(inc.Status.Alerts)
			assert.Len(t, interact.Matchers(inc), len(got), "the order of alerts does not matter")
		})
	}
}
