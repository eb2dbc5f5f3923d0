package responder

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func input(spec v1alpha1.KubeBotSpec) component.Input {
	return golden.Input(&v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}, Spec: spec})
}

func live(age time.Duration, available int32) []client.Object {
	return []client.Object{&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "main-responder", CreationTimestamp: metav1.NewTime(now.Add(-age))},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(2))},
		Status:     appsv1.DeploymentStatus{UpdatedReplicas: 2, AvailableReplicas: available},
	}}
}

// answers are the reports of replicas.
func answers(t *testing.T, reports ...config.Report) map[string]component.Answer {
	t.Helper()
	all := map[string]component.Answer{}
	for i, r := range reports {
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("marshal the report: %v", err)
		}
		all[fmt.Sprintf("%s/%d", keyStatus, i)] = component.Answer{Status: 200, Body: body}
	}
	return all
}

// seenAgo is a report of a replica that saw the watchdog so long ago.
func seenAgo(ago time.Duration, problems ...string) config.Report {
	return config.Report{WatchdogSeen: now.Add(-ago), Problems: problems}
}

func TestHealth(t *testing.T) {
	never := config.Report{}
	fresh := seenAgo(time.Minute)
	withoutAlertmanager := v1alpha1.KubeBotSpec{Metrics: v1alpha1.MetricsSpec{Alertmanager: v1alpha1.AlertmanagerSpec{Mode: v1alpha1.ModeDisabled}}}
	withoutRules := v1alpha1.KubeBotSpec{Alerting: v1alpha1.AlertingSpec{DefaultRules: v1alpha1.DefaultRulesSpec{Mode: v1alpha1.SwitchDisabled}}}
	external := v1alpha1.KubeBotSpec{Metrics: v1alpha1.MetricsSpec{Prometheus: v1alpha1.PrometheusSpec{
		Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalEndpoint{URL: "http://prom.example.com"},
	}}}
	refused := answers(t, fresh, fresh)
	refused[keyStatus+"/1"] = component.Answer{Status: 401}
	for name, c := range map[string]struct {
		spec   v1alpha1.KubeBotSpec
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"not applied yet":                   {v1alpha1.KubeBotSpec{}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "does not exist yet"},
		"one replica starts":                {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(time.Hour, 1), Answers: answers(t, fresh)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "1 of 2"},
		"one replica refuses the manager":   {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(time.Hour, 2), Answers: refused}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "HTTP status 401"},
		"the watchdog came":                 {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(time.Hour, 2), Answers: answers(t, fresh, never)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "watchdog"},
		"the watchdog is just in time":      {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(time.Hour, 2), Answers: answers(t, seenAgo(5*time.Minute), never)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "watchdog"},
		"the watchdog stopped":              {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(time.Hour, 2), Answers: answers(t, seenAgo(301*time.Second), never)}, metav1.ConditionFalse, v1alpha1.ReasonWatchdogMissing, "see the conditions"},
		"a new responder gets time":         {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(time.Minute, 2), Answers: answers(t, never, never)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "waits for the first"},
		"the watchdog never came":           {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(time.Hour, 2), Answers: answers(t, never, never)}, metav1.ConditionFalse, v1alpha1.ReasonWatchdogMissing, "see the conditions"},
		"an external Prometheus lacks it":   {external, component.Observed{Objects: live(time.Hour, 2), Answers: answers(t, never, never)}, metav1.ConditionFalse, v1alpha1.ReasonWatchdogMissing, "named Watchdog"},
		"without Alertmanager none comes":   {withoutAlertmanager, component.Observed{Objects: live(time.Hour, 2), Answers: answers(t, never, never)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "answers"},
		"without rules none comes":          {withoutRules, component.Observed{Objects: live(time.Hour, 2), Answers: answers(t, never, never)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "answers"},
		"problems are told, each only once": {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(time.Hour, 2), Answers: answers(t, seenAgo(0, "A route is odd."), seenAgo(0, "A route is odd."))}, metav1.ConditionTrue, v1alpha1.ReasonReady, "alert; A route is odd."},
	} {
		t.Run(name, func(t *testing.T) {
			c.seen.Now = now
			got := Component{}.Health(input(c.spec), c.seen)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
				t.Errorf("Health = %s %s %q, want %s %s and a message with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
			}
		})
	}
}

func TestReceiversReady(t *testing.T) {
	receivers := []v1alpha1.Receiver{{Name: "oncall"}, {Name: "audit"}}
	well := config.ReceiverReport{Name: "audit"}
	say := func(reason, message string) config.ReceiverReport {
		return config.ReceiverReport{Name: "oncall", Reason: reason, Message: message}
	}
	for name, c := range map[string]struct {
		receivers []v1alpha1.Receiver
		replicas  [][]config.ReceiverReport
		status    metav1.ConditionStatus
		reason    string
		message   string
	}{
		"none in the spec":           {nil, nil, metav1.ConditionTrue, v1alpha1.ReasonNoReceivers, "spec.alerting.receivers is empty: incidents are recorded and nothing is pushed; add a receiver to get messages"},
		"no replica answers":         {receivers, nil, metav1.ConditionUnknown, v1alpha1.ReasonNotAnswering, "the responder does not answer, so nothing is known of the receivers"},
		"all well":                   {receivers, [][]config.ReceiverReport{{well, say("", "")}}, metav1.ConditionTrue, v1alpha1.ReasonReady, "every receiver has its credentials and takes messages"},
		"a Secret is missing":        {receivers, [][]config.ReceiverReport{{well, say(v1alpha1.ReasonSecretMissing, "create the Secret slack")}}, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing, "oncall: create the Secret slack"},
		"one replica knows it worse": {receivers, [][]config.ReceiverReport{{well, say("", "")}, {well, say(v1alpha1.ReasonReceiverRefused, "the token was revoked")}}, metav1.ConditionFalse, v1alpha1.ReasonReceiverRefused, "oncall: the token was revoked"},
		"only the history is closed": {receivers, [][]config.ReceiverReport{{well, say(v1alpha1.ReasonHistoryUnavailable, "add channels:history")}}, metav1.ConditionTrue, v1alpha1.ReasonHistoryUnavailable, "oncall: add channels:history"},
		"a new one is not known yet": {receivers, [][]config.ReceiverReport{{well}}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "oncall: the responder does not know it yet"},
		"the worst names the reason": {receivers, [][]config.ReceiverReport{{
			say(v1alpha1.ReasonUndelivered, "can't be reached"), {Name: "audit", Reason: v1alpha1.ReasonSecretMissing, Message: "create the Secret audit"},
		}}, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing, "oncall: can't be reached; audit: create the Secret audit"},
	} {
		t.Run(name, func(t *testing.T) {
			var reports []config.Report
			for _, r := range c.replicas {
				reports = append(reports, config.Report{Receivers: r})
			}
			kb := input(v1alpha1.KubeBotSpec{Alerting: v1alpha1.AlertingSpec{Receivers: c.receivers}}).KubeBot
			got := receiversReady(kb, reports)
			if got.Type != v1alpha1.ConditionReceiversReady || got.Status != c.status || got.Reason != c.reason || got.Message != c.message {
				t.Errorf("ReceiversReady = %s %s %q, want %s %s %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.message)
			}
		})
	}
}
