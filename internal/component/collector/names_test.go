package collector

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/internal/testutil/servicename"
)

// What an SDK says that was told no name is worth less than what the pod says, and more than nothing.
func TestServicesAreNamedByTheirPods(t *testing.T) {
	config := apitest.Start(t)
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pods := map[string]string{}
	for _, c := range servicename.Cases() {
		pods[c.Name] = createPod(t, api, c)
	}
	store := newStore(t)
	base := startReceiver(t, config, store.URL)
	for _, c := range servicename.Cases() {
		if got := store.named(t, base, "traces", "unknown_service", pods[c.Name]); got != c.Want {
			t.Errorf("what comes from %s is of %q, want %q", c.Name, got, c.Want)
		}
	}
	for _, signal := range []string{"traces", "metrics", "logs"} {
		for sent, want := range map[string]string{"": "bare", "unknown_service": "bare", "unknown_service:java": "bare", "mine": "mine"} {
			if got := store.named(t, base, signal, sent, pods["bare"]); got != want {
				t.Errorf("%s of %q are of %q, want %q", signal, sent, got, want)
			}
		}
		if got := store.named(t, base, signal, "unknown_service:java", "gone"); got != "unknown_service:java" {
			t.Errorf("%s of a pod that is not known are of %q", signal, got)
		}
	}
	if got := store.named(t, base, "logs", "", "gone"); got != "pod-gone" {
		t.Errorf("lines of a pod that is not known are of %q", got)
	}
}

// createPod returns the UID of a pod that is made with what owns it.
func createPod(t *testing.T, api client.Client, c servicename.Case) string {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: c.Name, Labels: c.Labels, Annotations: c.Annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
	if c.Owner.Kind == "ReplicaSet" {
		labels := map[string]string{"for": c.Owner.Name}
		set := &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: c.Owner.Name},
			Spec: appsv1.ReplicaSetSpec{
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod.Spec},
			},
		}
		if c.Deployment != "" {
			set.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: c.Deployment, UID: c.Owner.UID, Controller: new(true)}}
		}
		if err := api.Create(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		c.Owner.UID = set.UID
	}
	if c.Owner.Name != "" {
		pod.OwnerReferences = []metav1.OwnerReference{c.Owner}
	}
	if err := api.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return string(pod.UID)
}

// startReceiver runs the real collector with the receivers' pipelines, which send to a store, and returns where it takes
// OTLP by HTTP.
func startReceiver(t *testing.T, api *rest.Config, store string) string {
	t.Helper()
	const id = "otlp_http/test"
	c := receiverConfig(input(nil))
	own := c.Processors[idAttributes].(k8sAttributes)
	own.AuthType = "kubeConfig"
	c.Processors[idAttributes] = own
	t.Setenv("KUBECONFIG", apitest.Kubeconfig(t, api))
	c.Exporters = map[string]any{id: otelcol.OTLPHTTPExporter{Endpoint: store, Compression: "none"}}
	for signal, p := range c.Service.Pipelines {
		p.Exporters = []string{id}
		c.Service.Pipelines[signal] = p
	}
	otlp := golden.FreeAddress(t)
	c.Receivers[otelcol.OTLPID].(otelcol.OTLPReceiver).Protocols.GRPC.Endpoint = golden.FreeAddress(t)
	c.Receivers[otelcol.OTLPID].(otelcol.OTLPReceiver).Protocols.HTTP.Endpoint = otlp
	startCollector(t, t.TempDir(), c)
	return "http://" + otlp
}

// store keeps the resource of the last request.
type store struct {
	*httptest.Server
	mu   sync.Mutex
	last pcommon.Map
	came bool
}

func newStore(t *testing.T) *store {
	s := &store{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		switch r.URL.Path {
		case "/v1/traces":
			request := ptraceotlp.NewExportRequest()
			err = request.UnmarshalProto(body)
			s.last = request.Traces().ResourceSpans().At(0).Resource().Attributes()
		case "/v1/metrics":
			request := pmetricotlp.NewExportRequest()
			err = request.UnmarshalProto(body)
			s.last = request.Metrics().ResourceMetrics().At(0).Resource().Attributes()
		case "/v1/logs":
			request := plogotlp.NewExportRequest()
			err = request.UnmarshalProto(body)
			s.last = request.Logs().ResourceLogs().At(0).Resource().Attributes()
		}
		if err != nil {
			t.Error(err)
		}
		s.came = true
	}))
	t.Cleanup(s.Close)
	return s
}

// named sends one record of a pod, with the service's name where there is one, and returns the name with which it comes.
func (s *store) named(t *testing.T, base, signal, service, pod string) string {
	t.Helper()
	resource := func(r pcommon.Resource) {
		r.Attributes().PutStr("k8s.pod.uid", pod)
		r.Attributes().PutStr("k8s.pod.name", "pod-"+pod)
		if service != "" {
			r.Attributes().PutStr("service.name", service)
		}
	}
	var body []byte
	var err error
	switch signal {
	case "traces":
		all := ptrace.NewTraces()
		of := all.ResourceSpans().AppendEmpty()
		resource(of.Resource())
		of.ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetTraceID([16]byte{1})
		body, err = ptraceotlp.NewExportRequestFromTraces(all).MarshalProto()
	case "metrics":
		all := pmetric.NewMetrics()
		of := all.ResourceMetrics().AppendEmpty()
		resource(of.Resource())
		point(of.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetEmptyGauge().DataPoints(), 0)
		body, err = pmetricotlp.NewExportRequestFromMetrics(all).MarshalProto()
	case "logs":
		all := plog.NewLogs()
		of := all.ResourceLogs().AppendEmpty()
		resource(of.Resource())
		of.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("a line")
		body, err = plogotlp.NewExportRequestFromLogs(all).MarshalProto()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.after(t, base+"/v1/"+signal, body)
}

func (s *store) after(t *testing.T, url string, body []byte) string {
	t.Helper()
	s.mu.Lock()
	s.came = false
	s.mu.Unlock()
	response, err := http.Post(url, "application/x-protobuf", bytes.NewReader(body)) //nolint:noctx // a local server, ended with the test
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", url, response.Status)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		came, last := s.came, s.last
		s.mu.Unlock()
		if came {
			if left, ok := last.Get("kubebot.unknown_service"); ok {
				t.Errorf("an attribute is left: %s", left.AsString())
			}
			name, _ := last.Get("service.name")
			return name.AsString()
		}
	}
	t.Fatalf("nothing comes of what was sent to %s", url)
	return ""
}
