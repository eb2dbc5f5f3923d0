package controllers

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/apply"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/status"
)

var (
	noon   = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	before = noon.Add(-time.Hour)
)

func well(conditionType string) seenPart {
	return seenPart{conditionType: conditionType, health: component.Health{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: "answers"}}
}

func unwell(conditionType, reason, message string) seenPart {
	return seenPart{conditionType: conditionType, health: component.Health{Status: metav1.ConditionFalse, Reason: reason, Message: message}}
}

func with(p seenPart, extra metav1.Condition) seenPart {
	p.health.Extra = append(p.health.Extra, extra)
	return p
}

// computed is the status that kstatus computes for a custom resource (sigs.k8s.io/cli-utils, pkg/kstatus/status,
// generic.go and core.go): the generation first, then Reconciling and Stalled, then Ready.
func computed(generation int64, st v1alpha1.KubeBotStatus) string {
	is := func(conditionType string, value metav1.ConditionStatus) bool {
		c := meta.FindStatusCondition(st.Conditions, conditionType)
		return c != nil && c.Status == value
	}
	switch {
	case st.ObservedGeneration != generation:
		return "InProgress"
	case is("Reconciling", metav1.ConditionTrue):
		return "InProgress"
	case is("Stalled", metav1.ConditionTrue):
		return "Failed"
	case is("Ready", metav1.ConditionTrue), meta.FindStatusCondition(st.Conditions, "Ready") == nil:
		return "Current"
	}
	return "InProgress"
}

func TestSummary(t *testing.T) {
	invalid := seenPart{conditionType: "RulesReady", err: &component.InvalidError{Field: "spec.x", Message: "choose y"}}
	crds := seenPart{conditionType: "RulesReady", missing: []schema.GroupVersionKind{{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"}}}
	receivers := func(reason string) seenPart {
		return with(well("ResponderReady"), metav1.Condition{Type: "ReceiversReady", Status: metav1.ConditionFalse, Reason: reason, Message: "say what"})
	}
	for _, test := range []struct {
		name  string
		in    seen
		ready metav1.ConditionStatus
		// reason and message are of Ready; the message is compared by a part of it.
		reason, message string
		// other is Reconciling or Stalled, or empty when neither may be there.
		other   string
		kstatus string
	}{
		{
			name: "all answer", in: seen{parts: []seenPart{well("PrometheusReady"), well("RulesReady")}},
			ready: "True", reason: "Ready", message: "All 2 components are ready", kstatus: "Current",
		}, {
			name:  "switched off does not count",
			in:    seen{parts: []seenPart{well("PrometheusReady"), unwell("RulesReady", "Disabled", "switched off")}},
			ready: "True", reason: "Ready", message: "All 1 components are ready", kstatus: "Current",
		}, {
			name: "pods start", in: seen{parts: []seenPart{well("RulesReady"), unwell("PrometheusReady", "Progressing", "0 of 1 pods are ready")}},
			ready: "False", reason: "Progressing", message: "Prometheus: 0 of 1 pods are ready", other: "Reconciling", kstatus: "InProgress",
		}, {
			name:  "first answer is awaited after a change",
			in:    seen{changed: true, parts: []seenPart{unwell("PrometheusReady", "NotAnswering", "no answer in time")}},
			ready: "False", reason: "NotAnswering", message: "Prometheus: no answer", other: "Reconciling", kstatus: "InProgress",
		}, {
			name:  "fails at rest, which no change explains",
			in:    seen{parts: []seenPart{unwell("PrometheusReady", "NotAnswering", "no answer in time")}},
			ready: "False", reason: "NotAnswering", message: "Prometheus: no answer", kstatus: "InProgress",
		}, {
			name: "bad field", in: seen{parts: []seenPart{well("PrometheusReady"), invalid}},
			ready: "False", reason: "InvalidSpec", message: "Rules: spec.x: choose y", other: "Stalled", kstatus: "Failed",
		}, {
			name: "no Prometheus Operator", in: seen{parts: []seenPart{crds}},
			ready: "False", reason: "PrometheusOperatorCRDsMissing", message: "PrometheusRule.monitoring.coreos.com/v1: install", other: "Stalled", kstatus: "Failed",
		}, {
			name: "a Secret is missing", in: seen{parts: []seenPart{receivers("SecretMissing")}},
			ready: "False", reason: "SecretMissing", message: "Receivers: say what", other: "Stalled", kstatus: "Failed",
		}, {
			name: "nobody to tell is a choice", in: seen{parts: []seenPart{receivers("NoReceivers")}},
			ready: "True", reason: "Ready", message: "All 1 components are ready; Receivers: say what", kstatus: "Current",
		}, {
			name: "Slack's outage is not the stack's", in: seen{parts: []seenPart{receivers("Undelivered")}},
			ready: "True", reason: "Ready", message: "Receivers: say what", kstatus: "Current",
		}, {
			name:  "data in an emptyDir are only said",
			in:    seen{parts: []seenPart{with(well("PrometheusReady"), metav1.Condition{Type: "StorageEphemeral", Status: metav1.ConditionTrue, Reason: "EmptyDir"})}},
			ready: "True", reason: "Ready", message: "All 1 components are ready", kstatus: "Current",
		}, {
			name:  "a mute stack is not ready",
			in:    seen{parts: []seenPart{with(well("LokiReady"), metav1.Condition{Type: "LogsFlowing", Status: metav1.ConditionFalse, Reason: "NoProof", Message: "no line arrived"})}},
			ready: "False", reason: "NoProof", message: "LogsFlowing: no line arrived", kstatus: "InProgress",
		}, {
			name:  "a signal that flows is no component",
			in:    seen{parts: []seenPart{with(well("LokiReady"), metav1.Condition{Type: "LogsFlowing", Status: metav1.ConditionTrue, Reason: "Flowing"})}},
			ready: "True", reason: "Ready", message: "All 1 components are ready", kstatus: "Current",
		}, {
			name: "what a person must do comes first",
			in: seen{parts: []seenPart{
				unwell("PrometheusReady", "Progressing", "a"), unwell("LokiReady", "Progressing", "b"), unwell("JaegerReady", "Progressing", "c"),
				unwell("GrafanaReady", "Progressing", "d"), invalid,
			}},
			ready: "False", reason: "InvalidSpec", message: "Rules: spec.x: choose y; Prometheus: a; Loki: b; and Jaeger, Grafana", other: "Stalled", kstatus: "Failed",
		}, {
			name: "an object could not be removed", in: seen{pruneFailure: errors.New("remove Service a/b: refused"), parts: []seenPart{well("RulesReady")}},
			ready: "False", reason: "PruneFailed", message: "Removal: remove Service a/b", kstatus: "InProgress",
		}, {
			name: "an object could not be applied", in: seen{parts: []seenPart{{conditionType: "RulesReady", err: errors.New("apply Service a/b: refused")}}},
			ready: "False", reason: "ApplyFailed", message: "Rules: apply Service a/b: refused", kstatus: "InProgress",
		}, {
			name: "a predecessor is being removed", in: seen{parts: []seenPart{{conditionType: "RulesReady", err: &status.WaitError{Message: "Service a/b is being removed"}}}},
			ready: "False", reason: "Progressing", message: "Rules: Service a/b is being removed", other: "Reconciling", kstatus: "InProgress",
		}, {
			name: "suspended", in: seen{suspended: true, parts: []seenPart{well("RulesReady")}},
			ready: "True", reason: "Suspended", message: "Suspended, nothing is changed; All 1", kstatus: "Current",
		}, {
			name: "another KubeBot is active", in: seen{failure: &status.StallError{Reason: "ClusterScopeTaken", Message: "a/b is older"}},
			ready: "False", reason: "ClusterScopeTaken", message: "a/b is older", other: "Stalled", kstatus: "Failed",
		}, {
			name: "the pass ended early", in: seen{failure: errors.New("read Secret main-credentials: refused")},
			ready: "False", reason: "ApplyFailed", message: "read Secret", other: "Reconciling", kstatus: "InProgress",
		}, {
			name: "the pass ended at an object of somebody else", in: seen{failure: &apply.TakenError{Message: "Secret a/b belongs to ExternalSecret b"}},
			ready: "False", reason: "NameTaken", message: "Secret a/b belongs to ExternalSecret b", other: "Stalled", kstatus: "Failed",
		}, {
			name: "a component needs an object of somebody else", in: seen{parts: []seenPart{well("PrometheusReady"), {conditionType: "RulesReady", err: &apply.TakenError{Message: "Service a/b belongs to KubeBot c/d"}}}},
			ready: "False", reason: "NameTaken", message: "Rules: Service a/b belongs to KubeBot c/d", other: "Stalled", kstatus: "Failed",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.in.now, test.in.generation, test.in.previous.ObservedGeneration = noon, 3, 3
			out := summarize(test.in)
			ready := meta.FindStatusCondition(out.Conditions, "Ready")
			if ready == nil || ready.Status != test.ready || ready.Reason != test.reason || !strings.Contains(ready.Message, test.message) {
				t.Errorf("Ready is %+v", ready)
			}
			for _, other := range []string{"Reconciling", "Stalled"} {
				if got := meta.FindStatusCondition(out.Conditions, other); (got != nil) != (other == test.other) {
					t.Errorf("%s is %+v", other, got)
				} else if got != nil && got.Status != metav1.ConditionTrue {
					t.Errorf("%s is there and not true", other)
				}
			}
			if got := computed(3, out); got != test.kstatus {
				t.Errorf("kstatus computes %s, want %s", got, test.kstatus)
			}
			test.in.previous = out
			test.in.now = noon.Add(time.Minute)
			if again := summarize(test.in); !equalStatus(again, out) {
				t.Errorf("the same pass a minute later gives another status:\n%+v\n%+v", again, out)
			}
		})
	}
}

func equalStatus(a, b v1alpha1.KubeBotStatus) bool {
	if len(a.Conditions) != len(b.Conditions) {
		return false
	}
	for i := range a.Conditions {
		if a.Conditions[i] != b.Conditions[i] {
			return false
		}
	}
	return true
}

// unready are the reasons of a KubeBot that make Ready false: all but these, which only conditions that do not count, events or
// AlertRoutes have, or which leave a KubeBot ready.
func unready(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "api", "v1alpha1", "conditions.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("read the reasons: %v", err)
	}
	other := []string{
		v1alpha1.ReasonReady, v1alpha1.ReasonDisabled, v1alpha1.ReasonSuspended, v1alpha1.ReasonFlowing, v1alpha1.ReasonRestarted,
		v1alpha1.ReasonNoHeartbeat, v1alpha1.ReasonEmptyDir, v1alpha1.ReasonExpanding, v1alpha1.ReasonNotExpandable,
		v1alpha1.ReasonSecretForbidden, v1alpha1.ReasonTooManyRoutes,
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatalf("read the reason %s: %v", spec.Names[0], err)
		}
		if !onlySaid[reason] && !slices.Contains(other, reason) {
			out = append(out, reason)
		}
		return true
	})
	return out
}

func TestTheREADMEExplainsWhatMakesAKubeBotUnready(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatalf("read the README: %v", err)
	}
	_, table, _ := strings.Cut(string(readme), "**When it is not Ready**")
	table, _, _ = strings.Cut(table, "\n\nThese leave it Ready")
	var got []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 1 {
			for _, m := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(cells[1], -1) {
				got = append(got, m[1])
			}
		}
	}
	want := unready(t)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("README.md explains the reasons %v; want %v", got, want)
	}
}

func TestTransitionTimeChangesWithTheStatusAlone(t *testing.T) {
	had := []metav1.Condition{
		{Type: "RulesReady", Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(before)},
		{Type: "PrometheusReady", Status: metav1.ConditionFalse, Reason: "NotAnswering", LastTransitionTime: metav1.NewTime(before)},
		{Type: "ResponderReady", Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(before)},
	}
	out := summarize(seen{
		now: noon, previous: v1alpha1.KubeBotStatus{Conditions: had},
		parts: []seenPart{unwell("RulesReady", "RulesNotLoaded", "x"), unwell("PrometheusReady", "TargetsDown", "y"), well("ResponderReady")},
	})
	for conditionType, want := range map[string]time.Time{"RulesReady": noon, "PrometheusReady": before, "ResponderReady": noon} {
		if got := meta.FindStatusCondition(out.Conditions, conditionType).LastTransitionTime.Time; !got.Equal(want) {
			t.Errorf("%s changed at %s, want %s", conditionType, got, want)
		}
	}
}

func TestWeightsAreInUseSinceTheyWereFirstSeenToBe(t *testing.T) {
	part := func(weights string) seenPart {
		p := well(v1alpha1.ConditionTrainingReady)
		if weights != "" {
			p.health.Analysis = &v1alpha1.AnalysisStatus{Weights: weights}
		}
		return p
	}
	failed := part("")
	failed.err = errors.New("refused")
	had := &v1alpha1.AnalysisStatus{Weights: "2", Since: &metav1.Time{Time: before}}
	for name, c := range map[string]struct {
		part     seenPart
		previous *v1alpha1.AnalysisStatus
		weights  string
		since    time.Time
	}{
		"the first time":      {part("BuiltIn"), nil, "BuiltIn", noon},
		"as before":           {part("2"), had, "2", before},
		"rolled back":         {part("1"), had, "1", noon},
		"not looked at":       {failed, had, "2", before},
		"no analysis anymore": {part(""), had, "", time.Time{}},
	} {
		got := summarize(seen{now: noon, previous: v1alpha1.KubeBotStatus{Analysis: c.previous}, parts: []seenPart{c.part}}).Analysis
		if c.weights == "" {
			if got != nil {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		if got == nil || got.Weights != c.weights || !got.Since.Time.Equal(c.since) {
			t.Errorf("%s: got %+v, want %s since %s", name, got, c.weights, c.since)
		}
	}
}

func TestNewsAreTransitionsOnly(t *testing.T) {
	c := func(conditionType string, value metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: value, Reason: reason, Message: "m"}
	}
	for _, test := range []struct {
		name      string
		had, have []metav1.Condition
		want      []newsItem
	}{
		{"start", nil, []metav1.Condition{c("Ready", "False", "Progressing"), c("RulesReady", "False", "Progressing")}, nil},
		{"same again", []metav1.Condition{c("Ready", "True", "Ready")}, []metav1.Condition{c("Ready", "True", "Ready")}, nil},
		{"becomes ready", []metav1.Condition{c("RulesReady", "False", "Progressing")}, []metav1.Condition{c("RulesReady", "True", "Ready")},
			[]newsItem{{"Normal", "Ready", "Rules: m"}}},
		{"fails", []metav1.Condition{c("RulesReady", "True", "Ready")}, []metav1.Condition{c("RulesReady", "False", "RulesNotLoaded")},
			[]newsItem{{"Warning", "RulesNotLoaded", "Rules: m"}}},
		{"switched off by the user", []metav1.Condition{c("RulesReady", "True", "Ready")}, []metav1.Condition{c("RulesReady", "False", "Disabled")}, nil},
		{"another KubeBot is active", nil, stalled("ClusterScopeTaken", "m"), []newsItem{{"Warning", "ClusterScopeTaken", "m"}}},
		{"a bad field is told once, by its component", nil,
			append(stalled("InvalidSpec", "m"), c("RulesReady", "False", "InvalidSpec")), []newsItem{{"Warning", "InvalidSpec", "Rules: m"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := news(test.had, test.have)
			if len(got) != len(test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("got %v, want %v", got[i], test.want[i])
				}
			}
		})
	}
}

func TestStatusStaysWithinItsBounds(t *testing.T) {
	part := well("RulesReady")
	for i := range 200 {
		name := strings.Repeat("r", i/2+1)
		part.health.OmittedRules = append(part.health.OmittedRules, v1alpha1.OmittedRule{Name: name})
		part.health.Endpoints = append(part.health.Endpoints, v1alpha1.Endpoint{Name: name})
	}
	part.health.Message = strings.Repeat("ü", 2000)
	out := summarize(seen{parts: []seenPart{part}})
	if len(out.OmittedRules) != 100 || len(out.Endpoints) != maxEndpoints {
		t.Errorf("%d rules and %d endpoints", len(out.OmittedRules), len(out.Endpoints))
	}
	if message := meta.FindStatusCondition(out.Conditions, "RulesReady").Message; len(message) > status.MaxMessage || !strings.HasSuffix(message, "ü…") {
		t.Errorf("message of %d bytes", len(message))
	}
}

func TestInstrumentedLanguagesStayWhileNothingIsKnownOfThem(t *testing.T) {
	previous := v1alpha1.KubeBotStatus{InstrumentedLanguages: []string{"java"}}
	for name, c := range map[string]struct {
		in   seen
		want []string
	}{
		"seen":                     {seen{languages: []string{"java", "python"}}, []string{"java", "python"}},
		"seen to be gone":          {seen{}, nil},
		"not looked at":            {seen{failure: errors.New("no connection")}, []string{"java"}},
		"another KubeBot's affair": {seen{failure: &status.StallError{Reason: v1alpha1.ReasonClusterScopeTaken}}, nil},
	} {
		c.in.previous = previous
		if got := summarize(c.in).InstrumentedLanguages; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestConditionsOfOneTypeAreJoined(t *testing.T) {
	ephemeral := func(p seenPart, message string) seenPart {
		return with(p, metav1.Condition{Type: "StorageEphemeral", Status: metav1.ConditionTrue, Reason: "EmptyDir", Message: message})
	}
	flowing := func(p seenPart, value metav1.ConditionStatus) seenPart {
		return with(p, metav1.Condition{Type: "AlertsFlowing", Status: value, Reason: "r" + string(value), Message: string(value)})
	}
	out := summarize(seen{parts: []seenPart{
		flowing(ephemeral(well("PrometheusReady"), "metrics go"), "True"), flowing(ephemeral(well("AlertmanagerReady"), "silences go"), "False"),
		ephemeral(well("LokiReady"), "logs go"), ephemeral(well("JaegerReady"), "logs go"),
	}})
	got := map[string]string{}
	for _, c := range out.Conditions {
		if got[c.Type] != "" {
			t.Errorf("%s is there twice", c.Type)
		}
		got[c.Type] = string(c.Status) + " " + c.Reason + ": " + c.Message
	}
	for conditionType, want := range map[string]string{
		"StorageEphemeral": "True EmptyDir: metrics go; silences go; logs go", "AlertsFlowing": "False rFalse: False",
	} {
		if got[conditionType] != want {
			t.Errorf("%s is %q, want %q", conditionType, got[conditionType], want)
		}
	}
}

func TestOldestKubeBotIsActive(t *testing.T) {
	kb := func(namespace, name string, made time.Time) v1alpha1.KubeBot {
		return v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(made)}}
	}
	served := func(namespace string) bool { return namespace != "elsewhere" }
	for name, test := range map[string]struct {
		items []v1alpha1.KubeBot
		want  string
	}{
		"none":                       {nil, ""},
		"by age":                     {[]v1alpha1.KubeBot{kb("a", "a", noon), kb("b", "b", before)}, "b/b"},
		"by namespace, then by name": {[]v1alpha1.KubeBot{kb("b", "a", noon), kb("a", "c", noon), kb("a", "b", noon)}, "a/b"},
		"served ones only":           {[]v1alpha1.KubeBot{kb("elsewhere", "a", before), kb("b", "b", noon)}, "b/b"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if holder := oldest(test.items, served); holder != nil {
				got = holder.Namespace + "/" + holder.Name
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestClosedIncidentsExpire(t *testing.T) {
	day := 24 * time.Hour
	in := func(name string, state v1alpha1.IncidentState, closed time.Time) v1alpha1.Incident {
		at := metav1.NewTime(closed)
		return v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.IncidentStatus{State: state, ClosedAt: &at}}
	}
	t.Run("by age", func(t *testing.T) {
		out, next := expire([]v1alpha1.Incident{
			in("open", v1alpha1.IncidentOpen, noon.Add(-99*day)), in("resolved", v1alpha1.IncidentResolved, noon.Add(-99*day)),
			in("young", v1alpha1.IncidentClosed, noon.Add(-30*day+time.Hour)), in("old", v1alpha1.IncidentClosed, noon.Add(-30*day)),
		}, noon)
		if len(out) != 1 || out[0].incident.Name != "old" || out[0].reason != removedByAge {
			t.Errorf("removes %+v", out)
		}
		if next != time.Hour {
			t.Errorf("looks again in %s, want 1h", next)
		}
	})
	t.Run("by count, the oldest first, open ones never", func(t *testing.T) {
		var items []v1alpha1.Incident
		for i := range maxClosed + 2 {
			items = append(items, in(strings.Repeat("i", i%7+1), v1alpha1.IncidentClosed, noon.Add(-time.Duration(i)*time.Minute)))
			items = append(items, in("open", v1alpha1.IncidentOpen, before))
		}
		out, next := expire(items, noon)
		if len(out) != 2 || !out[0].incident.Status.ClosedAt.Time.Equal(noon.Add(-(maxClosed+1)*time.Minute)) || out[0].reason != removedByCount {
			t.Errorf("removes %d", len(out))
		}
		if next != lookAgain {
			t.Errorf("looks again in %s", next)
		}
	})
}
