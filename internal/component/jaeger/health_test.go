package jaeger

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// live is the StatefulSet with so many available pods.
func live(available int32) []client.Object {
	return []client.Object{&appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "main-jaeger", Namespace: "kubebot"},
		Spec:       appsv1.StatefulSetSpec{Replicas: new(int32(1))},
		Status:     appsv1.StatefulSetStatus{UpdatedReplicas: 1, AvailableReplicas: available},
	}}
}

func answer(status int, body string) map[string]component.Answer {
	return map[string]component.Answer{keyServices: {Status: status, Body: []byte(body)}}
}

func TestHealth(t *testing.T) {
	external := v1alpha1.JaegerSpec{Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalJaeger{ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: "https://jaeger.example.com/base/"}}}
	const services = `{"data":["a"],"total":1,"limit":0,"offset":0,"errors":null}`
	for name, c := range map[string]struct {
		spec   v1alpha1.JaegerSpec
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"switched off":           {v1alpha1.JaegerSpec{Mode: v1alpha1.ModeDisabled}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "spec.traces.jaeger.mode"},
		"not applied yet":        {v1alpha1.JaegerSpec{}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "does not exist"},
		"a pod is not ready":     {v1alpha1.JaegerSpec{}, component.Observed{Objects: live(0)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "0 of 1"},
		"answers":                {v1alpha1.JaegerSpec{}, component.Observed{Objects: live(1), Answers: answer(200, services)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "answers queries"},
		"runs and does not":      {v1alpha1.JaegerSpec{}, component.Observed{Objects: live(1), Answers: answer(0, "")}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "does not answer"},
		"serves a page":          {v1alpha1.JaegerSpec{}, component.Observed{Objects: live(1), Answers: answer(200, "<html>")}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "format"},
		"can't read its storage": {v1alpha1.JaegerSpec{}, component.Observed{Objects: live(1), Answers: answer(200, `{"errors":[{"code":500,"msg":"x"}]}`)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "store"},
		"external is well":       {external, component.Observed{Answers: answer(200, services)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "external"},
		"external is away":       {external, component.Observed{Answers: answer(502, "")}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "external.url"},
	} {
		t.Run(name, func(t *testing.T) {
			h := Component{}.Health(input(c.spec), c.seen)
			if h.Status != c.status || h.Reason != c.reason || !strings.Contains(h.Message, c.part) {
				t.Errorf("%s %s %q; want %s %s with %q", h.Status, h.Reason, h.Message, c.status, c.reason, c.part)
			}
		})
	}
}

func TestOnlyAnEmptyDirIsCalledEphemeral(t *testing.T) {
	for spec, want := range map[*v1alpha1.JaegerSpec]int{
		{}: 1,
		{Elasticsearch: &v1alpha1.Elasticsearch{ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: "https://elastic"}}}: 0,
		{Mode: v1alpha1.ModeDisabled}: 0,
	} {
		if got := (Component{}).Health(input(*spec), component.Observed{}).Extra; len(got) != want {
			t.Errorf("%+v: further conditions are %v", spec, got)
		}
	}
}

func FuzzUnansweredSurvivesEveryAnswer(f *testing.F) {
	f.Add(200, []byte(`{"data":["a"],"errors":null}`))
	f.Add(200, []byte(`[]`))
	f.Add(0, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if why := unanswered(component.Answer{Status: status, Body: body}); status != 200 && why == "" {
			t.Errorf("status %d counts as an answer", status)
		}
	})
}

// The manager's question is answered by the real program from its embedded store, and a span that was taken is there
// after the program was killed: there is no queue in between.
func TestARealJaegerKeepsWhatItTookWhenItIsKilled(t *testing.T) {
	program := golden.Program(t, "jaeger")
	dir := t.TempDir()
	first := startJaeger(t, program, dir, v1alpha1.JaegerSpec{})
	send(t, first.otlp)
	first.kill()
	second := startJaeger(t, program, dir, v1alpha1.JaegerSpec{})

	in := input(v1alpha1.JaegerSpec{})
	path := strings.TrimPrefix(Component{}.Questions(in)[0].URL, "http://main-jaeger.kubebot.svc:"+strconv.Itoa(endpoints.JaegerQueryPort))
	h := Component{}.Health(in, component.Observed{Objects: live(1), Answers: map[string]component.Answer{keyServices: golden.Ask(t, second.query+path)}})
	if h.Status != metav1.ConditionTrue {
		t.Errorf("%s %q; want ready", h.Reason, h.Message)
	}
	trace := golden.Ask(t, second.query+"/api/traces/0102030405060708090a0b0c0d0e0f10")
	if trace.Status != http.StatusOK || !strings.Contains(string(trace.Body), `"operationName":"pay"`) {
		t.Errorf("the trace is not there: %d %s", trace.Status, trace.Body)
	}
	metrics := golden.Ask(t, second.metrics+"/metrics")
	if !strings.Contains(string(metrics.Body), "otelcol_process_uptime") {
		t.Errorf("the metrics are %d %s", metrics.Status, metrics.Body)
	}
}

// send sends one span by OTLP, as the collector does.
func send(t *testing.T, base string) {
	t.Helper()
	traces := ptrace.NewTraces()
	resource := traces.ResourceSpans().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "payment")
	span := resource.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetName("pay")
	span.SetTraceID(pcommon.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	span.SetSpanID(pcommon.SpanID{1, 2, 3, 4, 5, 6, 7, 8})
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(time.Millisecond)))
	body, err := ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(base+"/v1/traces", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		t.Fatalf("send a span: %v", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("Jaeger answers %s", response.Status)
	}
}
