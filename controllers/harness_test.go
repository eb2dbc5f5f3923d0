package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/cmd/manager"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/gather"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

var config *rest.Config

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(apitest.Main(m, func(c *rest.Config) { config = c }, "bases"))
}

// fake is a component of a test.
type fake struct {
	name   string
	build  func(component.Input) ([]client.Object, error)
	health func(component.Input, component.Observed) component.Health
	asks   []component.Question
}

func (f *fake) Name() string { return f.name }
func (f *fake) ConditionType() string {
	return strings.ToUpper(f.name[:1]) + f.name[1:] + "Ready"
}
func (f *fake) Build(in component.Input) ([]client.Object, error) { return f.build(in) }
func (f *fake) Questions(component.Input) []component.Question    { return f.asks }
func (f *fake) Health(in component.Input, seen component.Observed) component.Health {
	if f.health != nil {
		return f.health(in, seen)
	}
	return component.Health{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: "answers"}
}

// silent answers no question.
type silent struct{}

func (silent) Ask(context.Context, gather.Request) component.Answer {
	return component.Answer{Err: "connection refused"}
}

// clock is a clock that tests set forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// bench is a running manager with namespaces of its own.
type bench struct {
	t       *testing.T
	client  client.Client
	ns      string
	nodes   string
	release string
	writes  apitest.Writes
	clock   clock
	options manager.Options
	stop    func()
}

var serial atomic.Int64

// newBench makes the namespaces; start runs the manager.
func newBench(t *testing.T, components ...component.Component) *bench {
	t.Helper()
	scheme, err := manager.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	n := serial.Add(1)
	b := &bench{t: t, client: c, ns: fmt.Sprintf("stack-%d", n), nodes: fmt.Sprintf("nodes-%d", n), release: fmt.Sprintf("release-%d", n)}
	for _, name := range []string{b.ns, b.nodes, b.release} {
		b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	b.options = manager.Options{
		Config: b.writes.Wrap(config), Namespaces: []string{b.ns}, Components: components, Asker: silent{}, Now: b.clock.now,
		Install: component.Install{
			ReleaseNamespace: b.release, NodesNamespace: b.nodes, ServiceAccountPrefix: "kubebot", Image: "kubebot:test",
		},
		MetricsBindAddress: "0", HealthProbeBindAddress: "0",
	}
	return b
}

func (b *bench) start() *bench {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	b.options.Registry = prometheus.NewRegistry()
	go func() { ended <- manager.Run(ctx, b.options) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			b.t.Errorf("manager ended: %v", err)
		}
	})
	b.t.Cleanup(b.stop)
	return b
}

func (b *bench) create(obj client.Object) {
	b.t.Helper()
	if err := b.client.Create(b.t.Context(), obj); err != nil {
		b.t.Fatalf("create %T %s: %v", obj, obj.GetName(), err)
	}
}

func (b *bench) kubebot(namespace, name string, change ...func(*v1alpha1.KubeBot)) *v1alpha1.KubeBot {
	b.t.Helper()
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	for _, f := range change {
		f(kb)
	}
	b.create(kb)
	return kb
}

func (b *bench) update(kb *v1alpha1.KubeBot, change func(*v1alpha1.KubeBot)) {
	b.t.Helper()
	b.eventually("update of "+kb.Name, func() error {
		fresh := &v1alpha1.KubeBot{}
		if err := b.client.Get(b.t.Context(), client.ObjectKeyFromObject(kb), fresh); err != nil {
			return err
		}
		change(fresh)
		return b.client.Update(b.t.Context(), fresh)
	})
}

// eventually repeats check until it returns nil; the test fails when it never does.
func (b *bench) eventually(what string, check func() error) {
	b.t.Helper()
	var last error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if last = check(); last == nil {
			return
		}
	}
	b.t.Fatalf("%s: %v", what, last)
}

// condition waits until a condition of a KubeBot has a status and a reason, and returns the KubeBot.
func (b *bench) condition(kb *v1alpha1.KubeBot, conditionType string, want metav1.ConditionStatus, reason string) *v1alpha1.KubeBot {
	b.t.Helper()
	live := &v1alpha1.KubeBot{}
	b.eventually(fmt.Sprintf("%s to be %s with reason %s", conditionType, want, reason), func() error {
		if err := b.client.Get(b.t.Context(), client.ObjectKeyFromObject(kb), live); err != nil {
			return err
		}
		got := meta.FindStatusCondition(live.Status.Conditions, conditionType)
		if got == nil || got.Status != want || got.Reason != reason || live.Status.ObservedGeneration != live.Generation {
			return fmt.Errorf("generation %d, observed %d, conditions %+v", live.Generation, live.Status.ObservedGeneration, live.Status.Conditions)
		}
		return nil
	})
	return live
}

func (b *bench) ready(kb *v1alpha1.KubeBot) *v1alpha1.KubeBot {
	b.t.Helper()
	return b.condition(kb, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func (b *bench) get(obj client.Object, namespace, name string) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("%T %s/%s", obj, namespace, name), func() error {
		return b.client.Get(b.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
	})
}

func (b *bench) gone(obj client.Object, namespace, name string) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("%T %s/%s to be gone", obj, namespace, name), func() error {
		err := b.client.Get(b.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there, or not known: %v", err) //nolint:errorlint // nil while it is still there
	})
}

func objectMeta(in component.Input, namespace, suffix, part string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: naming.Object(in.KubeBot, suffix), Labels: naming.Labels(in.KubeBot, part),
	}
}

// web is a component with a Deployment, a Service and a ConfigMap, switched off by the Alertmanager's mode.
func web() *fake {
	return &fake{name: "web", build: func(in component.Input) ([]client.Object, error) {
		if in.KubeBot.Spec.Metrics.Alertmanager.Mode == v1alpha1.ModeDisabled {
			return nil, nil
		}
		selector := naming.Selector(in.KubeBot, "web")
		pod := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: selector}}
		pod.Spec.Containers = []corev1.Container{{
			Name: "web", Image: "web:1", Env: []corev1.EnvVar{{Name: "A", Value: "1"}},
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}},
		}}
		ports := []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}}
		return []client.Object{
			&appsv1.Deployment{
				ObjectMeta: objectMeta(in, in.KubeBot.Namespace, "web", "web"),
				Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: selector}, Template: pod},
			},
			&corev1.Service{
				ObjectMeta: objectMeta(in, in.KubeBot.Namespace, "web", "web"),
				Spec:       corev1.ServiceSpec{Selector: selector, Ports: ports},
			},
			&corev1.ConfigMap{ObjectMeta: objectMeta(in, in.KubeBot.Namespace, "web", "web"), Data: map[string]string{"cluster": in.ClusterName}},
		}, nil
	}}
}

// agent is a component with a DaemonSet in the nodes' namespace, switched off by the node exporter's mode.
func agent() *fake {
	return &fake{name: "agent", build: func(in component.Input) ([]client.Object, error) {
		if in.KubeBot.Spec.Metrics.NodeExporter.Mode == "Disabled" {
			return nil, nil
		}
		selector := naming.Selector(in.KubeBot, "agent")
		pod := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: selector}}
		pod.Spec.Containers = []corev1.Container{{Name: "agent", Image: "agent:1"}}
		return []client.Object{&appsv1.DaemonSet{
			ObjectMeta: objectMeta(in, in.Install.NodesNamespace, "agent", "agent"),
			Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: selector}, Template: pod},
		}}, nil
	}}
}

func quantity(s string) resource.Quantity { return resource.MustParse(s) }

func contains(text, part string) bool { return strings.Contains(text, part) }

// installOperator makes the API server have the Prometheus Operator's resources until the returned function was called.
func (b *bench) installOperator() (remove func()) {
	b.t.Helper()
	return b.install(apitest.CRDs("prometheus-operator"))
}

// install makes the API server have the resources of a file or folder until the returned function was called.
func (b *bench) install(path string) (remove func()) {
	b.t.Helper()
	crds, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{
		Paths: []string{path}, ErrorIfPathMissing: true, MaxTime: time.Minute,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return func() {
		if err := envtest.UninstallCRDs(config, envtest.CRDInstallOptions{CRDs: crds}); err != nil {
			b.t.Error(err)
		}
		began := time.Now()
		for _, crd := range crds { // one that is being removed can't be made anew
			u := &unstructured.Unstructured{}
			u.SetAPIVersion("apiextensions.k8s.io/v1")
			u.SetKind("CustomResourceDefinition")
			b.eventually(crd.Name+" to be gone", func() error {
				err := b.client.Get(context.Background(), client.ObjectKey{Name: crd.Name}, u)
				if err == nil && time.Since(began) > 5*time.Second && len(u.GetFinalizers()) > 0 {
					// The API server's own clean-up of a definition that came and went quickly can get stuck; there is
					// no object of it left to clean up.
					u.SetFinalizers(nil)
					_ = b.client.Update(context.Background(), u)
				}
				if !apierrors.IsNotFound(err) {
					return fmt.Errorf("still there, or not known: %v", err) //nolint:errorlint // nil while it is still there
				}
				return nil
			})
		}
	}
}
