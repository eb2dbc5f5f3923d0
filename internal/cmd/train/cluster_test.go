package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
	"github.com/kubebot/kubebot/internal/rca/weights"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

var config *rest.Config

func TestMain(m *testing.M) {
	os.Exit(apitest.Main(m, func(c *rest.Config) { config = c }, "bases"))
}

// namespace is the one that config/rbac is rendered for.
const namespace = "kubebot"

func newClient(t *testing.T, c *rest.Config) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, corev1.AddToScheme(scheme))
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	out, err := client.New(c, client.Options{Scheme: scheme})
	require.NoError(t, err)
	return out
}

// shipped creates the namespace and what config/rbac says of the training.
func shipped(t *testing.T, admin client.Client) {
	t.Helper()
	create := func(o client.Object) {
		if err := admin.Create(t.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "rbac", "rbac.yaml"))
	require.NoError(t, err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	found := 0
	for {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(u); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(u.GetName(), "-training") {
			create(u)
			found++
		}
	}
	require.Equal(t, 3, found, "ServiceAccount, Role and RoleBinding")
}

// asTraining reaches the cluster with the rights of the job.
func asTraining() *rest.Config {
	as := rest.CopyConfig(config)
	as.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:kubebot:kubebot-training", Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	return as
}

// rig is a cluster with ConfigMaps as the manager makes them.
type rig struct {
	*testing.T
	admin client.Client
	refitter
	asked int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, admin: newClient(t, config)}
	shipped(t, r.admin)
	for _, name := range []string{endpoints.WeightsConfigMap, endpoints.ExamplesConfigMap} {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		require.NoError(t, r.admin.Create(t.Context(), c))
	}
	t.Cleanup(func() {
		ctx := context.Background()
		require.NoError(t, r.admin.DeleteAllOf(ctx, &v1alpha1.Incident{}, client.InNamespace(namespace)))
		require.NoError(t, r.admin.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace(namespace)))
	})
	r.refitter = refitter{
		ClusterOptions: ClusterOptions{KubeBot: "main", Namespace: namespace}, client: newClient(t, asTraining()), now: time.Now,
		record: func(_ context.Context, q enrich.Question) enrich.Answer {
			r.asked++
			fault := rcatest.Scenario{StockReturns: true}
			name, number, _ := strings.Cut(q.Subject.Name, "-")
			if name == "cart" {
				fault = rcatest.Scenario{CartNetwork: 80 * time.Millisecond}
			}
			return enrich.Answer{Snapshot: renamed(t, fault.Snapshot(), name, q.Subject.Name), Services: map[string]string{"cart-v2-" + number: q.Subject.Name}}
		},
	}
	return r
}

// renamed gives a workload of a snapshot another name.
func renamed(t *testing.T, s *rca.Snapshot, from, to string) *rca.Snapshot {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.Write(&b))
	out, err := rca.ReadSnapshot(bytes.NewReader(bytes.ReplaceAll(b.Bytes(), []byte(`"`+from+`"`), []byte(`"`+to+`"`))))
	require.NoError(t, err)
	return out
}

// incident makes one whose cause is judged. Each is of a workload of its own.
func (r *rig) incident(n int, said *v1alpha1.CauseJudgement) *v1alpha1.Incident {
	r.Helper()
	subject := fmt.Sprintf("stock-%d", n)
	if n%2 == 1 {
		subject = fmt.Sprintf("cart-%d", n)
	}
	inc := &v1alpha1.Incident{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("main-%d", n)},
		Spec: v1alpha1.IncidentSpec{KubeBot: "main", GroupKey: fmt.Sprint(n), Number: 1, Cause: said,
			Subject: v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: subject},
			OpeningAlerts: []v1alpha1.IncidentAlert{{Fingerprint: "0123456789abcdef", Name: "A", Severity: v1alpha1.SeverityCritical, State: v1alpha1.AlertFiring,
				Source: v1alpha1.AlertSourceWatch, StartsAt: metav1.Now()}}},
	}
	require.NoError(r, r.admin.Create(r.Context(), inc))
	return inc
}

// right is the right cause of an Incident, by its number.
func right(n int) *v1alpha1.CauseJudgement {
	if n%2 == 1 {
		return &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: fmt.Sprintf("cart-v2-%d", n), Kind: "network"}}
	}
	return &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: fmt.Sprintf("stock-%d", n), Kind: "code"}}
}

func (r *rig) documents() map[string]string {
	r.Helper()
	var c corev1.ConfigMap
	require.NoError(r, r.admin.Get(r.Context(), client.ObjectKey{Namespace: namespace, Name: endpoints.WeightsConfigMap}, &c))
	return c.Data
}

func (r *rig) refit() *weights.Refit {
	r.Helper()
	out, err := r.run(r.Context())
	require.NoError(r, err)
	return out
}

func TestTooFewJudgedIncidentsChangeNothing(t *testing.T) {
	r := newRig(t)
	for n := range 3 {
		r.incident(n, right(n))
	}
	r.incident(3, nil)
	out := r.refit()
	assert.False(t, out.Adopted)
	assert.Equal(t, 3, out.Judged)
	assert.Equal(t, 3, out.Usable)
	assert.Contains(t, out.Reason, "Fewer than 10 judged incidents (3)")
	chosen, err := weights.Choose(r.documents(), detectors.All())
	require.NoError(t, err)
	assert.Equal(t, weights.BuiltIn, chosen.Name)
	assert.Empty(t, chosen.Problem)
}

func TestWeightsAreAdoptedOnlyIfTheyAreBetterAndCanBeRolledBack(t *testing.T) {
	r := newRig(t)
	for n := range 12 {
		r.incident(n, right(n))
	}
	out := r.refit()
	assert.False(t, out.Adopted)
	assert.EqualValues(t, 1, out.Before, "the built-in weights are right already: %+v", out)
	assert.Equal(t, 12, out.HeldBack)

	// Version 1 knows nothing, so that a refit is better than it.
	poor := rca.Model{Version: rca.ModelVersion, Weights: map[string]float64{}}
	for _, d := range detectors.All() {
		for _, f := range d.Features {
			poor.Weights[d.Name+"."+f.Name] = 0
		}
	}
	text, err := json.Marshal(poor)
	require.NoError(t, err)
	require.NoError(t, r.change(t.Context(), endpoints.WeightsConfigMap, func(c *corev1.ConfigMap) bool {
		c.Data[weights.Key(1)], c.Data[weights.IndexKey] = string(text), `{"versions":[{"number":1,"usable":10}]}`
		return true
	}))
	out = r.refit()
	assert.True(t, out.Adopted, "%+v", out)
	assert.Greater(t, out.After, out.Before)
	index, err := weights.ParseIndex(r.documents()[weights.IndexKey])
	require.NoError(t, err)
	require.Len(t, index.Versions, 2)
	assert.Len(t, index.Versions[0].Seen, 12)
	documents := r.documents()
	for pinned, want := range map[string]string{"": "2", "1": "1", weights.BuiltIn: weights.BuiltIn} {
		documents[weights.PinnedKey] = pinned
		chosen, err := weights.Choose(documents, detectors.All())
		require.NoError(t, err)
		assert.Equal(t, want, chosen.Name)
	}

	out = r.refit()
	assert.False(t, out.Adopted)
	assert.Contains(t, out.Reason, "(0) whose cause telemetry shows and the weights in use have not learned from", "what they saw proves nothing")
	assert.Equal(t, 12, r.asked, "telemetry is read once: what was measured is kept")
}

func TestWhatPeopleSayLaterCounts(t *testing.T) {
	r := newRig(t)
	taken, changed, gone := r.incident(0, right(0)), r.incident(1, right(1)), r.incident(2, right(2))
	elsewhere := r.incident(4, &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: "moon", Kind: "disk"}})
	out := r.refit()
	assert.Equal(t, [2]int{4, 4}, [2]int{out.Judged, out.Usable})
	assert.Contains(t, out.Reason, "(3)", "nothing in the telemetry shows one of them")
	say := func(inc *v1alpha1.Incident, c *v1alpha1.CauseJudgement) {
		inc.Spec.Cause = c
		require.NoError(t, r.admin.Update(t.Context(), inc))
	}
	say(taken, nil)
	say(changed, &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: "stock", Kind: "code"}})
	say(elsewhere, right(4))
	require.NoError(t, r.admin.Delete(t.Context(), gone))
	r.refit()
	var c corev1.ConfigMap
	require.NoError(t, r.admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: endpoints.ExamplesConfigMap}, &c))
	all := decodeAll(c.BinaryData)
	assert.NotContains(t, all, taken.Name)
	assert.Contains(t, all, gone.Name, "what was learned outlives the Incident")
	assert.Equal(t, "stock", all[changed.Name].Workload)
	assert.NotEmpty(t, all[elsewhere.Name].Onsets)
	for _, b := range c.BinaryData {
		s, err := decode(b)
		require.NoError(t, err)
		text, err := json.Marshal(s)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "check item", "no line of a log is kept")
	}
}

func TestTheJobMayWriteNoOtherConfigMap(t *testing.T) {
	r := newRig(t)
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "main-responder"}}
	require.NoError(t, r.admin.Create(t.Context(), other))
	assert.True(t, apierrors.IsForbidden(r.client.Update(t.Context(), other)))
	assert.True(t, apierrors.IsForbidden(r.client.Get(t.Context(), client.ObjectKeyFromObject(other), other)))
	assert.True(t, apierrors.IsForbidden(r.client.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace))))
	assert.True(t, apierrors.IsForbidden(r.client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "more"}})))
}

func TestVersionsAreBoundedAndTheOneInUseStays(t *testing.T) {
	r := newRig(t)
	x := weights.Index{}
	for n := 1; n <= weights.MaxVersions; n++ {
		x.Versions = append([]weights.Version{{Number: n}}, x.Versions...)
	}
	require.NoError(t, r.change(t.Context(), endpoints.WeightsConfigMap, func(c *corev1.ConfigMap) bool {
		c.Data = map[string]string{weights.PinnedKey: "1", weights.Key(1): "{}", weights.Key(2): "{}"}
		return true
	}))
	x.Versions = append([]weights.Version{{Number: number(x)}}, x.Versions...)
	require.NoError(t, r.write(t.Context(), x, &rca.Model{Version: rca.ModelVersion}))
	d := r.documents()
	assert.Contains(t, d, weights.Key(1))
	assert.NotContains(t, d, weights.Key(2))
	assert.Contains(t, d, weights.Key(weights.MaxVersions+1))
	index, err := weights.ParseIndex(d[weights.IndexKey])
	require.NoError(t, err)
	assert.Len(t, index.Versions, weights.MaxVersions)
}

func TestWithoutItsConfigMapsTheJobSaysWhoMakesThem(t *testing.T) {
	shipped(t, newClient(t, config))
	o := ClusterOptions{Config: asTraining(), KubeBot: "main", Namespace: namespace}
	_, err := o.refit(t.Context())
	assert.ErrorContains(t, err, "the manager makes it")
}

func TestWhatTheStoresNoLongerHoldTheArchiveMay(t *testing.T) {
	dir := t.TempDir()
	traces, logs := rcatest.Scenario{StockReturns: true}.Telemetry()
	var spans, lines bytes.Buffer
	for i := range traces {
		b, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces[i])
		require.NoError(t, err)
		fmt.Fprintf(&spans, "%s\n", b)
		for j := range logs[i].ResourceLogs().Len() {
			logs[i].ResourceLogs().At(j).Resource().Attributes().PutStr("k8s.namespace.name", "shop")
		}
		if b, err = (&plog.JSONMarshaler{}).MarshalLogs(logs[i]); err == nil {
			fmt.Fprintf(&lines, "%s\n", b)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "traces.jsonl"), spans.Bytes(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "logs.jsonl"), lines.Bytes(), 0o600))
	alarm := rcatest.Alarm
	q := enrich.Question{Subject: diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "front"}, Alarm: alarm, Now: alarm.Add(3 * time.Minute), Troubled: true}
	for _, o := range []ClusterOptions{{Archive: dir}, {Archive: dir, Loki: "http://127.0.0.1:1", Jaeger: "http://127.0.0.1:1"}} {
		a := o.recorder()(t.Context(), q)
		require.NotNil(t, a.Snapshot)
		assert.True(t, a.Snapshot.Holds(rca.SignalTraces))
		assert.True(t, a.Snapshot.Holds(rca.SignalLogs))
		engine, err := rca.NewEngine(detectors.All(), model(t))
		require.NoError(t, err)
		result, err := engine.Analyse(a.Snapshot)
		require.NoError(t, err)
		assert.Equal(t, "stock", result.Causes[0].Workload)
	}
	assert.Nil(t, ClusterOptions{}.recorder()(t.Context(), q).Snapshot)
}

func model(t testing.TB) *rca.Model {
	t.Helper()
	m, err := weights.Default()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestExamplesFitIntoAConfigMap(t *testing.T) {
	all := map[string]*stored{}
	for i := range 40 {
		s := &stored{Version: rca.ModelVersion, At: time.Unix(int64(i), 0), Workload: "w"}
		o := onset{}
		for c := range 3000 {
			o.Candidates = append(o.Candidates, candidate{Workload: fmt.Sprintf("%x", c*c*7919+i), Kind: rca.KindCPU, Values: map[string]float64{"cpu.rise": float64(c*i%997) / 997}})
		}
		s.Onsets = []onset{o}
		all[fmt.Sprintf("inc-%d", i)] = s
	}
	data, err := encodeAll(all)
	require.NoError(t, err)
	size := 0
	for key, b := range data {
		size += len(key) + len(b)
	}
	assert.LessOrEqual(t, size, maxStoredBytes)
	assert.Contains(t, data, "inc-39.json.gz")
	assert.NotContains(t, data, "inc-0.json.gz", "the oldest go first")
	assert.NotEmpty(t, decodeAll(data))
}

func FuzzStoredExample(f *testing.F) {
	s := stored{Version: 1, Workload: "a", Kind: "cpu", Onsets: []onset{{Candidates: []candidate{{"a", "cpu", map[string]float64{"cpu.rise": 1}}}}}}
	b, err := s.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decode(b)
		if err != nil {
			return
		}
		if e, ok := got.example("x"); ok && len(e.Hypotheses) == 0 {
			t.Error("an example with nothing to learn from")
		}
	})
}
