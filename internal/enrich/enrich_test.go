package enrich

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/gather"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	catalog = diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "catalog"}
	asked   = Question{Subject: catalog, Alarm: noon, Now: noon.Add(2 * time.Minute), Troubled: true}
)

// store is a source that does as it is told.
type store struct {
	name string
	read func(ctx context.Context) (Telemetry, error)
}

func (s store) Name() string { return s.name }
func (s store) Read(ctx context.Context, _ Question) (Telemetry, error) {
	return s.read(ctx)
}

// oneSpan is telemetry that holds a little.
func oneSpan() Telemetry {
	t := NewTelemetry()
	t.Traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	return t
}

func TestSourcesAreReadAtOnceAndNoneIsWaitedForBeyondItsDeadline(t *testing.T) {
	forever := make(chan struct{})
	defer close(forever)
	sources := []Source{
		store{"well", func(context.Context) (Telemetry, error) { return oneSpan(), nil }},
		store{"empty", func(context.Context) (Telemetry, error) { x := NewTelemetry(); x.Empty = true; return x, nil }},
		store{"deaf", func(context.Context) (Telemetry, error) { <-forever; return NewTelemetry(), nil }},
		store{"slow", func(ctx context.Context) (Telemetry, error) { <-ctx.Done(); return NewTelemetry(), ctx.Err() }},
		store{"torn", func(context.Context) (Telemetry, error) { return oneSpan(), &StatusError{Status: 503} }},
		store{"broken", func(context.Context) (Telemetry, error) { panic("bad answer") }},
		store{"away", func(context.Context) (Telemetry, error) {
			return NewTelemetry(), errors.New("dial http://user:hunter2@loki: connection refused")
		}},
	}
	begin := time.Now()
	got := readAll(t.Context(), sources, asked, time.Second)
	assert.Less(t, time.Since(begin), 10*time.Second)
	var said []string
	for _, r := range got {
		said = append(said, fmt.Sprintf("%s %s %s", r.report.Name, r.report.State, r.report.Message))
	}
	assert.Equal(t, []string{
		"well Read ",
		"empty Read it holds nothing about the subject",
		"deaf Missing no answer within 1s",
		"slow Missing no answer within 1s",
		"torn Partial it answered with HTTP status 503 Service Unavailable",
		"broken Missing the answer could not be read (string)",
		"away Missing it can't be reached: connection refused",
	}, said)
}

func TestStatusIsBoundedAndMasked(t *testing.T) {
	long := strings.Repeat("wörds ", 400)
	var causes []v1alpha1.Cause
	for range 9 {
		c := v1alpha1.Cause{Sentence: "password=hunter2hunter2 " + long, Fix: &v1alpha1.CauseFix{Explanation: "token: hunter2hunter2 " + long}}
		for range 20 {
			c.Evidence = append(c.Evidence, v1alpha1.CauseEvidence{From: v1alpha1.EvidenceLogs, Text: "token: hunter2hunter2 " + long})
			c.Path = append(c.Path, long)
		}
		causes = append(causes, c)
	}
	got := Answer{Causes: causes, Found: true, Message: long, Sources: []v1alpha1.AnalysisSource{{Name: "loki", Message: long}}}.Status()
	assert.LessOrEqual(t, size(got.Causes), maxCausesBytes)
	assert.LessOrEqual(t, len(got.Causes), maxCauses)
	first := got.Causes[0]
	assert.LessOrEqual(t, len(first.Sentence), maxText)
	assert.LessOrEqual(t, len(first.Fix.Explanation), maxText)
	assert.NotContains(t, fmt.Sprintf("%+v", got.Causes), "hunter2")
	assert.LessOrEqual(t, len(got.Analysis.Sources[0].Message), maxText)
}

func TestAFixIsKeptWithAllOfItsCommandsAsTheyAreOrWithNone(t *testing.T) {
	undo := "kubectl -n shop rollout undo deployment/web --to-revision=1"
	for name, c := range map[string]struct {
		commands []string
		kept     bool
	}{
		"what only the user knows": {[]string{"kubectl create secret docker-registry x --docker-username=USER --docker-password=PASSWORD --docker-server=r.example.com",
			"kubectl create secret generic x --from-literal=password=VALUE", `kubectl patch secret x --type=merge -p '{"stringData":{"password":"VALUE"}}'`}, true},
		"what a detector hid, as it quoted it":     {[]string{"kubectl -n shop exec web-1 -c app -- redis-cli -a '***' ping"}, true},
		"half a command is none":                   {[]string{undo, strings.Repeat("x", maxCommand+1)}, false},
		"a deletion without what is made anew":     {[]string{undo, undo, undo, undo, undo}, false},
		"a secret":                                 {[]string{undo, "curl -H 'Authorization: Bearer hunter2hunter2'"}, false},
		"a secret beside what the user fills in":   {[]string{"kubectl create secret generic x --from-literal=password=VALUE --from-literal=token=hunter2"}, false},
		"a secret that begins like a word of ours": {[]string{"kubectl create secret generic x --from-literal=password=VALUEhunter2"}, false},
		"one that goes on behind it":               {[]string{`app --password "VALUE hunter2"`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := Bound([]v1alpha1.Cause{{Fix: &v1alpha1.CauseFix{Explanation: strings.Repeat("Mend it. ", 60), Commands: c.commands}}})[0].Fix
			assert.LessOrEqual(t, len(got.Explanation), maxText)
			if c.kept {
				assert.Equal(t, c.commands, got.Commands)
				return
			}
			assert.Empty(t, got.Commands)
			assert.True(t, strings.HasSuffix(got.Explanation, leftOut), got.Explanation)
		})
	}
}

func TestTheCommandsOfDetectorsAreKeptAsTheyAre(t *testing.T) {
	files, err := filepath.Glob("../diagnosis/*/testdata/*.want")
	require.NoError(t, err)
	seen := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			if command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ "); ok {
				seen++
				assert.True(t, fits([]string{command}), "%s: %s", file, command)
			}
		}
	}
	assert.Greater(t, seen, 100)
}

func TestQuestionOfAnIncident(t *testing.T) {
	at := func(d time.Duration) *metav1.Time { x := metav1.NewTime(noon.Add(d)); return &x }
	for name, c := range map[string]struct {
		alert  string
		start  *metav1.Time
		signal string
		alarm  time.Time
		now    time.Time
	}{
		"errors":                        {"HighErrorRate", at(-time.Minute), rca.SignalAvailability, noon.Add(-time.Minute), noon},
		"slowness":                      {"LatencyHigh", at(-time.Minute), rca.SignalLatency, noon.Add(-time.Minute), noon},
		"a state":                       {"OOMKilled", at(-time.Minute), "", noon.Add(-time.Minute), noon},
		"a clock that is ahead":         {"OOMKilled", at(time.Minute), "", noon, noon},
		"what goes on for hours":        {"OOMKilled", at(-5 * time.Hour), "", noon.Add(-5 * time.Hour), noon.Add(-270 * time.Minute)},
		"an Incident without any times": {"OOMKilled", nil, "", noon, noon},
	} {
		inc := &v1alpha1.Incident{Status: v1alpha1.IncidentStatus{StartedAt: c.start, Alerts: []v1alpha1.IncidentAlert{{Name: c.alert}}}}
		q := QuestionOf(inc, noon)
		assert.Equal(t, c.signal, q.Signal, name)
		assert.True(t, c.alarm.Equal(q.Alarm) && c.now.Equal(q.Now), "%s: %s, %s", name, q.Alarm, q.Now)
	}
}

func TestTheTroubleOfNowBeganWithItsMostSevereAlerts(t *testing.T) {
	type alert struct {
		severity v1alpha1.Severity
		before   time.Duration
		over     bool
	}
	warn, crit := v1alpha1.SeverityWarning, v1alpha1.SeverityCritical
	for name, c := range map[string]struct {
		alerts []alert
		alarm  time.Duration
	}{
		"a warning that fires for days, and what broke now": {[]alert{{warn, 48 * time.Hour, false}, {crit, time.Minute, false}}, time.Minute},
		"what was over before":                              {[]alert{{crit, 48 * time.Hour, true}, {crit, 2 * time.Minute, false}, {crit, time.Minute, false}}, 2 * time.Minute},
		"a rule that waits longer":                          {[]alert{{warn, 15 * time.Minute, false}, {crit, 5 * time.Minute, false}}, 15 * time.Minute},
		"only warnings":                                     {[]alert{{warn, 48 * time.Hour, false}, {warn, time.Minute, false}}, 48 * time.Hour},
		"nothing fires any more":                            {[]alert{{warn, 48 * time.Hour, true}, {crit, time.Minute, true}}, 48 * time.Hour},
	} {
		inc := &v1alpha1.Incident{}
		for _, a := range c.alerts {
			at := metav1.NewTime(noon.Add(-a.before))
			state := v1alpha1.AlertFiring
			if a.over {
				state = v1alpha1.AlertResolved
			}
			inc.Status.Alerts = append(inc.Status.Alerts, v1alpha1.IncidentAlert{Severity: a.severity, StartsAt: at, State: state})
			if inc.Status.StartedAt == nil || at.Before(inc.Status.StartedAt) {
				inc.Status.StartedAt = &at
			}
		}
		assert.Equal(t, noon.Add(-c.alarm), QuestionOf(inc, noon).Alarm, name)
		if !c.alerts[0].over {
			status := (&Analyst{}).Explain(t.Context(), inc)
			assert.Equal(t, noon.Add(-c.alarm), status.Analysis.Since.Time, name)
		}
	}
}

func engine(t *testing.T) *rca.Engine {
	t.Helper()
	m, err := weights.Default()
	require.NoError(t, err)
	e, err := rca.NewEngine(detectors.All(), m)
	require.NoError(t, err)
	return e
}

// busy is an hour of a processor at 20 %, and at 98 % since the alarm, of a Deployment whose service has another name.
func busy() Telemetry {
	t := NewTelemetry()
	rm := t.Metrics.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("k8s.namespace.name", "shop")
	rm.Resource().Attributes().PutStr("k8s.deployment.name", "catalog")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("k8s.pod.cpu_limit_utilization")
	points := m.SetEmptyGauge().DataPoints()
	for at := noon.Add(-time.Hour); at.Before(noon.Add(2 * time.Minute)); at = at.Add(30 * time.Second) {
		p := points.AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.SetDoubleValue(0.2)
		if at.After(noon) {
			p.SetDoubleValue(0.98)
		}
	}
	t.Homes["product-catalog"] = catalog
	return t
}

func TestAnalysisFromWhatIsThere(t *testing.T) {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "catalog", UID: "d"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "catalog-1-a"}}
	metrics := store{SourcePrometheus, func(context.Context) (Telemetry, error) { return busy(), nil }}
	away := store{SourceLoki, func(context.Context) (Telemetry, error) { return NewTelemetry(), errors.New("connection refused") }}
	a := &Analyst{Kube: fake.NewClientset(deployment, pod), Sources: []Source{metrics, away}, Engine: engine(t), Weights: "test"}
	got := a.Analyse(t.Context(), asked)
	require.NotEmpty(t, got.Causes)
	first := got.Causes[0]
	assert.EqualValues(t, "cpu", first.Kind)
	assert.Equal(t, v1alpha1.CauseObject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "catalog"}, first.Object, "the service leads to its Deployment")
	assert.Equal(t, v1alpha1.EvidenceMetrics, first.Evidence[0].From)
	assert.Equal(t, []string{SourceLoki}, got.Snapshot.Missing)
	assert.Contains(t, got.Message, "loki (it can't be reached: connection refused)")

	gone := &Analyst{Kube: fake.NewClientset(), Sources: []Source{away}, Engine: engine(t)}
	got = gone.Analyse(t.Context(), asked)
	assert.Empty(t, got.Causes)
	assert.False(t, got.Found)
	assert.Contains(t, got.Message, "Nothing that was read explains the trouble; not read, or in part: kubernetes (the subject does not exist any more)")
	assert.Nil(t, got.Snapshot)

	outside := &Analyst{Kube: fake.NewClientset(), Engine: engine(t)}
	got = outside.Analyse(t.Context(), Question{Subject: diagnosis.Object{Kind: "Alert", Name: "Custom"}, Alarm: noon, Now: noon})
	assert.False(t, got.Found)
}

func TestAnIngressLeadsToWhyItsServiceCantAnswer(t *testing.T) {
	set := map[string]string{"app": "web"}
	none := int32(0)
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: &none,
		Selector: &metav1.LabelSelector{MatchLabels: set}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: set}}}}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.ServiceSpec{Selector: set, Ports: []corev1.ServicePort{{Port: 80}}}}
	ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "front", Annotations: map[string]string{"kubernetes.io/ingress.class": "x"}},
		Spec: networkingv1.IngressSpec{DefaultBackend: &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}}}
	a := &Analyst{Kube: fake.NewClientset(deployment, service, ingress)}
	got := a.Analyse(t.Context(), Question{Subject: diagnosis.Object{Kind: "Ingress", Namespace: "shop", Name: "front"}, Now: noon})
	require.NotEmpty(t, got.Causes)
	assert.Equal(t, "Deployment web is scaled to 0 (spec.replicas), so Service web has no pod", got.Causes[0].Sentence)
	assert.Equal(t, []string{"front", "web"}, got.Causes[0].Path)
}

func TestSameInputGivesTheSameCauses(t *testing.T) {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "catalog", UID: "d"}}
	metrics := store{SourcePrometheus, func(context.Context) (Telemetry, error) { return busy(), nil }}
	a := &Analyst{Kube: fake.NewClientset(deployment), Sources: []Source{metrics}, Engine: engine(t)}
	want := a.Analyse(t.Context(), asked).Status()
	for range 20 {
		assert.Equal(t, want, a.Analyse(t.Context(), asked).Status())
	}
}

// stuckAPI is an API server that gives a pod and its ReplicaSet, and never answers about anything else.
func stuckAPI(t *testing.T) kubernetes.Interface {
	t.Helper()
	owned := func(kind, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: "catalog", Controller: new(true)}}}
	}
	objects := map[string]any{
		"/api/v1/namespaces/shop/pods/catalog-1-a":          corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: owned("ReplicaSet", "catalog-1-a")},
		"/apis/apps/v1/namespaces/shop/replicasets/catalog": appsv1.ReplicaSet{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"}, ObjectMeta: owned("Deployment", "catalog")},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o, ok := objects[r.URL.Path]
		if !ok {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		assert.NoError(t, json.NewEncoder(w).Encode(o))
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	require.NoError(t, err)
	return client
}

func TestTheKubernetesAPIIsReadWithinTheTimeOfASource(t *testing.T) {
	a := &Analyst{Kube: stuckAPI(t), SourceTime: 3 * time.Second}
	begin := time.Now()
	pod := diagnosis.Object{Kind: "Pod", Namespace: "shop", Name: "catalog-1-a"}
	answer := a.Analyse(t.Context(), Question{Subject: pod, Alarm: noon, Now: noon})
	assert.Less(t, time.Since(begin), 5500*time.Millisecond, "without a limit of all, the Deployment and the lists wait 3 s each")
	require.NoError(t, answer.Err)
	require.Len(t, answer.Diagnoses, 1)
	assert.Equal(t, "ReplicaSet", answer.Diagnoses[0].Facts.Workload.Kind, "what was read until then")
	assert.Equal(t, v1alpha1.SourcePartial, answer.Sources[0].State)
	assert.Contains(t, answer.Sources[0].Message, "Deployment catalog: no answer within")
}

func TestABlamedServiceThatCanNotBeReadIsNamed(t *testing.T) {
	report := v1alpha1.AnalysisSource{Name: SourceKubernetes, State: v1alpha1.SourceRead}
	inPart(&report, "Service cart: "+gather.Reason(apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "cart", nil), time.Second))
	inPart(&report, "Service cart: forbidden")
	inPart(&report, "Service pay: "+gather.Reason(context.DeadlineExceeded, time.Second))
	assert.Equal(t, v1alpha1.AnalysisSource{Name: SourceKubernetes, State: v1alpha1.SourcePartial, Message: "Service cart: forbidden; Service pay: no answer within 1s"}, report)
}

func TestABlamedWorkloadThatCanNotBeReadIsNamed(t *testing.T) {
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	client := fake.NewClientset(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "front"}})
	client.PrependReactor("get", "deployments", func(action clienttesting.Action) (bool, runtime.Object, error) {
		switch action.(clienttesting.GetAction).GetName() {
		case "catalog":
			return true, nil, apierrors.NewForbidden(deployments, "catalog", nil)
		case "cart":
			return true, nil, context.DeadlineExceeded
		}
		return false, nil, nil
	})
	home := func(name string) diagnosis.Object {
		return diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: name}
	}
	known := collect(nil)
	known.homes = map[string]diagnosis.Object{"cart": home("cart"), "product-catalog": catalog, "gone": home("gone")}
	blame := func(service string) rca.Cause { return rca.Cause{Workload: service, Score: 0.9} }
	a := &Analyst{Kube: client}
	found, failed := a.suspects(t.Context(), asked, known, &rca.Result{Causes: []rca.Cause{blame("product-catalog"), blame("cart")}}, nil, time.Second)
	assert.Empty(t, found)
	assert.Equal(t, []string{"Deployment catalog: forbidden", "Deployment cart: no answer within 1s"}, failed)
	_, failed = a.suspects(t.Context(), asked, known, &rca.Result{Causes: []rca.Cause{blame("gone")}}, nil, time.Second)
	assert.Empty(t, failed, "what does not exist has no state to read")

	metrics := store{SourcePrometheus, func(context.Context) (Telemetry, error) { return busy(), nil }}
	a = &Analyst{Kube: client, Sources: []Source{metrics}, Engine: engine(t)}
	q := asked
	q.Subject = home("front")
	read := a.Analyse(t.Context(), q).Sources[0]
	assert.Equal(t, v1alpha1.AnalysisSource{Name: SourceKubernetes, State: v1alpha1.SourcePartial, Message: "Deployment catalog: forbidden"}, read)
	read = a.Analyse(t.Context(), asked).Sources[0]
	assert.Equal(t, v1alpha1.AnalysisSource{Name: SourceKubernetes, State: v1alpha1.SourceMissing, Message: "Deployment catalog: forbidden"}, read)
}

func TestAPanicOverObjectsLeavesTheRestOfTheAnswer(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("get", "deployments", func(clienttesting.Action) (bool, runtime.Object, error) { panic("bad object") })
	well := store{"loki", func(context.Context) (Telemetry, error) { return oneSpan(), nil }}
	a := &Analyst{Kube: client, Sources: []Source{well}, Engine: engine(t)}
	answer := a.Analyse(t.Context(), asked)
	require.Error(t, answer.Err)
	assert.Equal(t, []v1alpha1.AnalysisSource{
		{Name: SourceKubernetes, State: v1alpha1.SourceMissing, Message: "the state of objects could not be looked at (string)"},
		{Name: "loki", State: v1alpha1.SourceRead},
	}, answer.Sources)
	result := &rca.Result{Causes: []rca.Cause{{Workload: catalog.Name, Score: 0.9}}}
	_, failed := a.suspects(t.Context(), asked, collect(nil), result, nil, time.Second)
	assert.Equal(t, []string{"the state of objects could not be looked at (string)"}, failed)
}
