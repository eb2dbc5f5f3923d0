package proof

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func input(change func(*v1alpha1.KubeBotSpec)) component.Input {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	if change != nil {
		change(&kb.Spec)
	}
	return golden.Input(kb)
}

func TestConfigLeavesOutWhatHasNoPath(t *testing.T) {
	all := config.Signals()
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(names, s) })
	}
	for name, c := range map[string]struct {
		change  func(*v1alpha1.KubeBotSpec)
		signals []string
		logsBy  string
	}{
		"the default":              {nil, all, config.LogsByOutput},
		"no shipper on the nodes":  {func(s *v1alpha1.KubeBotSpec) { s.Logs.FluentBit.Mode = "Disabled" }, all, config.LogsByOTLP},
		"no collector":             {func(s *v1alpha1.KubeBotSpec) { s.Traces.Collector.Mode = "Disabled" }, []string{config.SignalAlerts}, ""},
		"no Loki":                  {func(s *v1alpha1.KubeBotSpec) { s.Logs.Loki.Mode = "Disabled" }, without(config.SignalLogs, config.SignalEvents), ""},
		"no Jaeger":                {func(s *v1alpha1.KubeBotSpec) { s.Traces.Jaeger.Mode = "Disabled" }, without(config.SignalTraces), config.LogsByOutput},
		"no Prometheus":            {func(s *v1alpha1.KubeBotSpec) { s.Metrics.Prometheus.Mode = "Disabled" }, without(config.SignalMetrics, config.SignalAlerts), config.LogsByOutput},
		"no Alertmanager":          {func(s *v1alpha1.KubeBotSpec) { s.Metrics.Alertmanager.Mode = "Disabled" }, without(config.SignalAlerts), config.LogsByOutput},
		"no rules":                 {func(s *v1alpha1.KubeBotSpec) { s.Alerting.DefaultRules.Mode = "Disabled" }, without(config.SignalAlerts), config.LogsByOutput},
		"no watchdog":              {func(s *v1alpha1.KubeBotSpec) { s.Alerting.DefaultRules.Disabled = []string{"Watchdog"} }, without(config.SignalAlerts), config.LogsByOutput},
		"events are not collected": {func(s *v1alpha1.KubeBotSpec) { s.Events.Collection = "Disabled" }, without(config.SignalEvents), config.LogsByOutput},
		"a Loki outside is proven": {func(s *v1alpha1.KubeBotSpec) { s.Logs.Loki = externalLoki() }, all, config.LogsByOutput},
		"nothing can be proven there": {func(s *v1alpha1.KubeBotSpec) {
			s.Traces.Collector.Mode, s.Alerting.DefaultRules.Mode = "Disabled", "Disabled"
		}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(c.change)
			got := Config(in.KubeBot)
			if got == nil {
				if c.signals != nil || len((Component{}).Questions(in)) > 0 {
					t.Errorf("nothing is proven; want %v", c.signals)
				}
				return
			}
			if !slices.Equal(got.Signals, c.signals) || got.LogsBy != c.logsBy {
				t.Errorf("proves %v, logs by %q; want %v by %q", got.Signals, got.LogsBy, c.signals, c.logsBy)
			}
		})
	}
}

func externalLoki() v1alpha1.LokiSpec {
	return v1alpha1.LokiSpec{Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalLoki{ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: "https://loki.example.com"}}}
}

// replica is the report of one replica that began so long ago.
func replica(t *testing.T, age time.Duration, signals ...config.SignalReport) component.Answer {
	t.Helper()
	body, err := json.Marshal(config.Report{Proof: &config.ProofReport{Started: now.Add(-age), Signals: signals}})
	if err != nil {
		t.Fatal(err)
	}
	return component.Answer{Status: 200, Body: body}
}

func proven(name string, age time.Duration, problem string) config.SignalReport {
	s := config.SignalReport{Name: name, Problem: problem}
	if age > 0 {
		s.Proven = now.Add(-age)
	}
	return s
}

func TestHealth(t *testing.T) {
	logs := func(age time.Duration, problem string) config.SignalReport {
		return proven(config.SignalLogs, age, problem)
	}
	for name, c := range map[string]struct {
		change  func(*v1alpha1.KubeBotSpec)
		answers []component.Answer
		status  metav1.ConditionStatus
		reason  string
		message string
	}{
		"flows": {nil, []component.Answer{replica(t, time.Hour, logs(time.Minute, ""))},
			metav1.ConditionTrue, v1alpha1.ReasonFlowing, "a line of a pod's output was found in Loki"},
		"flows but for the node": {func(s *v1alpha1.KubeBotSpec) { s.Logs.FluentBit.Mode = "Disabled" }, []component.Answer{replica(t, time.Hour, logs(time.Minute, ""))},
			metav1.ConditionTrue, v1alpha1.ReasonFlowing, "not proven, because Fluent Bit is switched off"},
		"one replica knows more": {nil, []component.Answer{replica(t, time.Hour, logs(10*time.Minute, "")), replica(t, time.Minute, logs(time.Minute, ""))},
			metav1.ConditionTrue, v1alpha1.ReasonFlowing, "found"},
		"one failure is no outage": {nil, []component.Answer{replica(t, time.Hour, logs(2*time.Minute, "Loki does not answer"))},
			metav1.ConditionTrue, v1alpha1.ReasonFlowing, "found"},
		"flows no more": {nil, []component.Answer{replica(t, time.Hour, logs(6*time.Minute, "")), replica(t, time.Hour, logs(6*time.Minute, "Loki does not answer"))},
			metav1.ConditionFalse, v1alpha1.ReasonNoProof, "no line of the responder's output was found in Loki of late: Loki does not answer"},
		"is new": {nil, []component.Answer{replica(t, time.Minute, logs(0, ""))},
			metav1.ConditionFalse, v1alpha1.ReasonProgressing, "waits for the first proof"},
		"is new and has a problem": {nil, []component.Answer{replica(t, time.Minute, logs(0, "the collector does not answer"))},
			metav1.ConditionFalse, v1alpha1.ReasonProgressing, "waits for the first proof: the collector does not answer"},
		"never flowed": {nil, []component.Answer{replica(t, 6*time.Minute, logs(0, "it was taken and did not come out at the other end"))},
			metav1.ConditionFalse, v1alpha1.ReasonNoProof, "it was taken and did not come out"},
		"nobody answers": {nil, []component.Answer{{}}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the responder"},
		"an older responder": {nil, []component.Answer{{Status: 200, Body: []byte(`{"replica":"a"}`)}},
			metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the responder"},
		"nonsense":     {nil, []component.Answer{{Status: 200, Body: []byte(`<html>`)}}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the responder"},
		"switched off": {func(s *v1alpha1.KubeBotSpec) { s.Logs.Loki.Mode = "Disabled" }, nil, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "spec.logs.loki.mode"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := component.Observed{Now: now, Answers: map[string]component.Answer{}}
			for i, a := range c.answers {
				seen.Answers[keyStatus+"/"+string(rune('0'+i))] = a
			}
			h := Component{}.Health(input(c.change), seen)
			i := slices.IndexFunc(h.Extra, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionLogsFlowing })
			if got := h.Extra[i]; got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.message) {
				t.Errorf("%s %s %q; want %s %s with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.message)
			}
		})
	}
}

func TestEverySignalHasItsCondition(t *testing.T) {
	var signals []config.SignalReport
	for _, name := range config.Signals() {
		signals = append(signals, proven(name, time.Minute, ""))
	}
	h := Component{}.Health(input(nil), component.Observed{Now: now, Answers: map[string]component.Answer{keyStatus + "/0": replica(t, time.Hour, signals...)}})
	got := map[string]metav1.ConditionStatus{Component{}.ConditionType(): h.Status}
	for _, c := range h.Extra {
		got[c.Type] = c.Status
	}
	for _, condition := range []string{
		v1alpha1.ConditionMetricsFlowing, v1alpha1.ConditionLogsFlowing, v1alpha1.ConditionTracesFlowing, v1alpha1.ConditionEventsFlowing, v1alpha1.ConditionAlertsFlowing,
	} {
		if got[condition] != metav1.ConditionTrue {
			t.Errorf("%s is %q", condition, got[condition])
		}
	}
}

func FuzzHealthSurvivesEveryReport(f *testing.F) {
	f.Add([]byte(`{"proof":{"started":"2026-01-02T03:00:00Z","signals":[{"name":"logs","proven":"2026-01-02T03:04:00Z"}]}}`))
	f.Add([]byte(`{"proof":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		h := Component{}.Health(input(nil), component.Observed{Now: now, Answers: map[string]component.Answer{keyStatus + "/0": {Status: 200, Body: body}}})
		if h.Reason == "" || len(h.Extra) != 4 {
			t.Errorf("%+v", h)
		}
	})
}

func TestAMuteWatcherOfEventsIsRestarted(t *testing.T) {
	events := func(age time.Duration) config.SignalReport { return proven(config.SignalEvents, age, "") }
	logs := func(age time.Duration) config.SignalReport { return proven(config.SignalLogs, age, "") }
	for name, c := range map[string]struct {
		change  func(*v1alpha1.KubeBotSpec)
		started time.Duration
		signals []config.SignalReport
		reads   string
		want    bool
	}{
		"both flow":                  {nil, time.Hour, []config.SignalReport{events(time.Minute), logs(time.Minute)}, "", false},
		"one proof failed":           {nil, time.Hour, []config.SignalReport{events(2 * time.Minute), logs(time.Minute)}, "", false},
		"only lines flow":            {nil, time.Hour, []config.SignalReport{events(4 * time.Minute), logs(time.Minute)}, "", true},
		"events never flowed":        {nil, time.Hour, []config.SignalReport{events(0), logs(time.Minute)}, "", true},
		"nothing flows":              {nil, time.Hour, []config.SignalReport{events(4 * time.Minute), logs(4 * time.Minute)}, "", false},
		"the responder has begun":    {nil, time.Minute, []config.SignalReport{events(4 * time.Minute), logs(time.Minute)}, "", false},
		"the responder is not there": {nil, 0, nil, "", false},
		"events are not collected": {func(s *v1alpha1.KubeBotSpec) { s.Events.Collection = "Disabled" }, time.Hour,
			[]config.SignalReport{events(4 * time.Minute), logs(time.Minute)}, "", false},
		"it sends a long first list": {nil, time.Hour, []config.SignalReport{events(4 * time.Minute), logs(time.Minute)},
			`{"metric":{},"value":[1,"200"]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			seen := component.Observed{Now: now, Answers: map[string]component.Answer{}}
			if c.started > 0 {
				seen.Answers[keyStatus+"/0"] = replica(t, c.started, c.signals...)
			}
			seen.Answers[keyWatcher] = component.Answer{Status: 200,
				Body: []byte(`{"status":"success","data":{"resultType":"vector","result":[` + c.reads + `]}}`)}
			got := Component{}.Health(input(c.change), seen).Restarts
			if want := c.want; (len(got) == 1) != want || want && got[0].Deployment != "main-collector-events" {
				t.Errorf("restarts %+v, want one: %t", got, want)
			}
		})
	}
}
