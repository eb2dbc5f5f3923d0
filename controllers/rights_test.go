package controllers_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/registry"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

// refusals records what the API server forbids.
type refusals struct {
	mu            sync.Mutex
	seen, granted map[string]bool
}

func (r *refusals) wrap(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return tripper(func(req *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(req)
			if err == nil {
				r.note(req.Method+" "+req.URL.Path, response.StatusCode == http.StatusForbidden)
			}
			return response, err
		})
	})
	return config
}

// note takes a refusal back when the same is granted later: the API server learns of new roles a moment after they were
// made.
func (r *refusals) note(request string, refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !refused:
		r.granted[request] = true
		delete(r.seen, request)
	case !r.granted[request]:
		r.seen[request] = true
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// shipped creates what config/rbac holds: the roles of the chart's defaults, for the namespaces kubebot and
// kubebot-nodes.
func (b *bench) shipped() {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "config", "rbac", "rbac.yaml"))
	if err != nil {
		b.t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(u); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			b.t.Fatal(err)
		}
		if len(u.Object) > 0 {
			b.create(u)
		}
	}
}

// TestManagerAsksForNoMoreThanItsRoleGives runs the real components as the ServiceAccount of the manager.
func TestManagerAsksForNoMoreThanItsRoleGives(t *testing.T) {
	b := newBench(t, registry.All()...)
	t.Cleanup(b.installOperator())
	t.Cleanup(b.install(apitest.CRDs(apitest.OpenTelemetryOperator)))
	b.ns, b.nodes, b.release = "kubebot", "kubebot-nodes", "kubebot"
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.ns}})
	b.shipped()

	refused := &refusals{seen: map[string]bool{}, granted: map[string]bool{}}
	as := refused.wrap(config)
	as.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:kubebot:kubebot-manager",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:kubebot", "system:authenticated"},
	}
	b.options.Config, b.options.LeaderElect, b.options.Namespaces = b.writes.Wrap(as), true, []string{b.ns}
	b.options.Install = component.Install{
		ReleaseNamespace: b.release, NodesNamespace: b.nodes, ServiceAccountPrefix: "kubebot", Image: "kubebot:test",
	}
	b.start()

	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "data", Labels: map[string]string{
		naming.LabelName: "main", naming.LabelNamespace: b.ns, naming.LabelComponent: "prometheus",
	}}}
	claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: quantity("1Gi")}
	b.create(claim)
	elsewhere := b.kubebot("default", "elsewhere")
	b.condition(elsewhere, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNamespaceNotServed)
	kb := b.kubebot(b.ns, "main", func(kb *v1alpha1.KubeBot) {
		kb.Spec.Metrics.Prometheus.Storage.WhenDeleted = v1alpha1.WhenDeletedDelete
		kb.Spec.Traces.Collector.ExtraConfig = vendor
	})
	b.trial("collector")
	b.condition(kb, "RulesReady", metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	b.update(kb, func(kb *v1alpha1.KubeBot) {
		kb.Spec.Traces.Collector.ExtraConfig = ""
		kb.Spec.Metrics.Prometheus.Mode, kb.Spec.Metrics.Alertmanager.Mode = v1alpha1.ModeDisabled, v1alpha1.ModeDisabled
		kb.Spec.Metrics.NodeExporter.Mode, kb.Spec.Metrics.KubeStateMetrics.Mode = "Disabled", "Disabled"
	})
	b.condition(kb, "PrometheusReady", metav1.ConditionFalse, v1alpha1.ReasonDisabled)
	b.untried()
	for _, obj := range []client.Object{kb, elsewhere} {
		if err := b.client.Delete(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		b.gone(&v1alpha1.KubeBot{}, obj.GetNamespace(), obj.GetName())
	}
	b.quiet()
	b.stop()
	for request := range refused.seen {
		t.Errorf("forbidden: %s", request)
	}
}
