package rules

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// loadedAll is what a Prometheus answers that has loaded all rules of the input and evaluates them.
func loadedAll(t *testing.T, in component.Input) loadedRules {
	t.Helper()
	var out loadedRules
	for _, g := range rendered(t, in) {
		group := loadedGroup{Name: g.Name}
		for _, r := range g.Rules {
			group.Rules = append(group.Rules, loadedRule{Name: r.Alert + r.Record, Health: "ok"})
		}
		out.Groups = append(out.Groups, group)
	}
	return out
}

func answer(t *testing.T, l loadedRules) component.Answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"status": "success", "data": l})
	if err != nil {
		t.Fatalf("marshal the answer: %v", err)
	}
	return component.Answer{Status: 200, Body: body}
}

func TestHealthFollowsWhatPrometheusLoaded(t *testing.T) {
	for _, tc := range []struct {
		name string
		// change alters the input and the answers of two replicas.
		change func(in *component.Input, answers map[string]component.Answer)
		// spoil alters what the second replica has loaded.
		spoil   func(l *loadedRules)
		status  metav1.ConditionStatus
		reason  string
		message string
	}{{
		name:    "all groups on all replicas",
		status:  metav1.ConditionTrue,
		reason:  v1alpha1.ReasonReady,
		message: "Prometheus evaluates 55 alerts",
	}, {
		name: "rules of others that fail are not KubeBot's",
		spoil: func(l *loadedRules) {
			l.Groups = append(l.Groups, loadedGroup{Name: "user", Rules: []loadedRule{{Name: "Mine", Health: "err"}}})
		},
		status:  metav1.ConditionTrue,
		reason:  v1alpha1.ReasonReady,
		message: "Prometheus evaluates 55 alerts",
	}, {
		name:    "one replica has not loaded a group",
		spoil:   func(l *loadedRules) { l.Groups = l.Groups[1:] },
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonRulesNotLoaded,
		message: "not as they are now: kubebot-watchdog",
	}, {
		name:    "one replica still has the rules of another release",
		spoil:   func(l *loadedRules) { l.Groups[1].Rules[0].Name = "kubebot:older" },
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonRulesNotLoaded,
		message: "not as they are now: kubebot-owners",
	}, {
		name: "a rule can't be evaluated; what changes with each evaluation is left out of the message",
		spoil: func(l *loadedRules) {
			l.Groups[0].Rules[0].Health = "err"
			l.Groups[0].Rules[0].LastError = `found duplicate series for the match group {namespace="shop", pod="x"} on the right side`
		},
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonRulesNotLoaded,
		message: "Prometheus can't evaluate Watchdog (found duplicate series for the match group … on the right side)",
	}, {
		name:    "a rule waits for its first evaluation",
		spoil:   func(l *loadedRules) { l.Groups[0].Rules[0].Health = "unknown" },
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonProgressing,
		message: "wait for their first evaluation",
	}, {
		name: "a replica does not answer",
		change: func(_ *component.Input, a map[string]component.Answer) {
			a["rules/1"] = component.Answer{Err: "dial tcp 10.0.0.1:9090: connection refused"}
		},
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonNotAnswering,
		message: "Prometheus does not answer when asked for its rules",
	}, {
		name: "something else answers",
		change: func(_ *component.Input, a map[string]component.Answer) {
			a["rules/0"] = component.Answer{Status: 200, Body: []byte("<html>")}
		},
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonNotAnswering,
		message: "not its format",
	}, {
		name:    "no replica is there yet",
		change:  func(_ *component.Input, a map[string]component.Answer) { clear(a) },
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonProgressing,
		message: "no Prometheus is there yet",
	}, {
		name:    "the cluster does not know PrometheusRules",
		change:  func(in *component.Input, a map[string]component.Answer) { in.Cluster.Kinds = nil; clear(a) },
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonCRDsMissing,
		message: "prometheusOperator.install=true",
	}, {
		name: "the rules are switched off",
		change: func(in *component.Input, _ map[string]component.Answer) {
			in.KubeBot.Spec.Alerting.DefaultRules.Mode = v1alpha1.SwitchDisabled
		},
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonDisabled,
		message: "spec.alerting.defaultRules.mode",
	}, {
		name: "the scrape interval is nonsense",
		change: func(in *component.Input, _ map[string]component.Answer) {
			in.KubeBot.Spec.Metrics.Prometheus.ScrapeInterval = "1m1h"
		},
		status:  metav1.ConditionFalse,
		reason:  v1alpha1.ReasonInvalidSpec,
		message: "spec.metrics.prometheus.scrapeInterval",
	}} {
		t.Run(tc.name, func(t *testing.T) {
			in := defaultInput()
			good := loadedAll(t, in)
			answers := map[string]component.Answer{"rules/0": answer(t, good)}
			if tc.spoil != nil {
				tc.spoil(&good)
			}
			answers["rules/1"] = answer(t, good)
			if tc.change != nil {
				tc.change(&in, answers)
			}
			h := Component{}.Health(in, component.Observed{Answers: answers})
			if h.Status != tc.status || h.Reason != tc.reason || !strings.Contains(h.Message, tc.message) {
				t.Errorf("%s %s %q; want %s %s with %q", h.Status, h.Reason, h.Message, tc.status, tc.reason, tc.message)
			}
		})
	}
}

func TestHealthTellsWhatIsLeftOut(t *testing.T) {
	in := defaultInput()
	h := Component{}.Health(in, component.Observed{})
	if len(h.OmittedRules) != 5 || h.OmittedRules[0].Name != "SchedulerDown" {
		t.Errorf("left out are %v; want the five that the default cluster has no use for", h.OmittedRules)
	}
}

func TestQuestionGoesToWhoeverEvaluates(t *testing.T) {
	in := defaultInput()
	q := Component{}.Questions(in)
	if len(q) != 1 || q[0].ReplicasOf != "main-prometheus" ||
		!strings.HasPrefix(q[0].URL, "http://main-prometheus.kubebot.svc:9090/api/v1/rules?exclude_alerts=true&rule_group%5B%5D=kubebot-watchdog&") {
		t.Errorf("asks %+v; want each replica of the managed Prometheus", q)
	}
	in.KubeBot.Spec.Metrics.Prometheus.Mode = v1alpha1.ModeExternal
	in.KubeBot.Spec.Metrics.Prometheus.External = &v1alpha1.ExternalEndpoint{URL: "https://thanos.example/prefix/"}
	q = Component{}.Questions(in)
	if len(q) != 1 || q[0].ReplicasOf != "" || !strings.HasPrefix(q[0].URL, "https://thanos.example/prefix/api/v1/rules?") {
		t.Errorf("asks %+v; want the external Prometheus", q)
	}
}

func TestExternalPrometheusIsToldWhatToSelect(t *testing.T) {
	in := defaultInput()
	in.KubeBot.Spec.Metrics.Prometheus.Mode = v1alpha1.ModeExternal
	in.KubeBot.Spec.Metrics.Prometheus.External = &v1alpha1.ExternalEndpoint{URL: "http://prometheus.other:9090"}
	h := Component{}.Health(in, component.Observed{Answers: map[string]component.Answer{"rules": answer(t, loadedRules{})}})
	if h.Reason != v1alpha1.ReasonRulesNotLoaded || !strings.Contains(h.Message, "namespace kubebot with the label kubebot.io/name=main") {
		t.Errorf("%s %q; want what the external Prometheus must select", h.Reason, h.Message)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"groups":[{"name":"kubebot-watchdog","rules":[{"name":"Watchdog","health":"err","lastError":"x"}]}]}}`))
	f.Add([]byte(`{"data":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in := defaultInput()
		h := Component{}.Health(in, component.Observed{Answers: map[string]component.Answer{"rules": {Status: 200, Body: body}}})
		if h.Status == metav1.ConditionTrue {
			t.Errorf("ready by %q", body)
		}
		if len(h.Message) > 4096 {
			t.Errorf("the message has %d bytes", len(h.Message))
		}
	})
}
