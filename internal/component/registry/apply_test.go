package registry

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

var config *rest.Config

func TestMain(m *testing.M) {
	os.Exit(apitest.Main(m, func(c *rest.Config) { config = c }, "bases", "prometheus-operator", apitest.OpenTelemetryOperator))
}

// namespaces of the golden cases, with the level of Pod Security that the chart and a careful owner give them.
var namespaces = map[string]string{"kubebot": "restricted", "team-a": "restricted", "kubebot-nodes": "privileged"}

func newClient(t *testing.T) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, monitoringv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatalf("build the scheme: %v", err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	return c
}

func TestTheAPIServerTakesEveryGoldenCase(t *testing.T) {
	c := newClient(t)
	for name, level := range namespaces {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": level}}}
		if err := c.Create(t.Context(), ns); err != nil {
			t.Fatalf("create namespace %s: %v", name, err)
		}
	}
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "high"}, Value: 1000}
	if err := c.Create(t.Context(), class); err != nil {
		t.Fatalf("create the PriorityClass of the golden cases: %v", err)
	}
	for _, part := range All() {
		if cases, err := filepath.Glob(filepath.Join("..", part.Name(), "testdata", "*", "in.yaml")); err != nil || len(cases) == 0 {
			continue
		}
		t.Run(part.Name(), func(t *testing.T) { applyCases(t, c, part) })
	}
}

func applyCases(t *testing.T, c client.Client, part component.Component) {
	golden.Each(t, filepath.Join("..", part.Name(), "testdata"), part, func(t *testing.T, objects []client.Object) {
		for _, o := range objects {
			if err := apply(t.Context(), c, o, client.DryRunAll); err != nil {
				t.Errorf("apply %s %s: %v", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), err)
			}
			if pod := podOf(o); pod != nil {
				if err := c.Create(t.Context(), pod, client.DryRunAll); err != nil {
					t.Errorf("create a pod of %s in a namespace of level %s: %v", o.GetName(), namespaces[o.GetNamespace()], err)
				}
			}
		}
	})
}

// apply applies an object; server-side apply refuses unknown fields.
func apply(ctx context.Context, c client.Client, o client.Object, opts ...client.ApplyOption) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "status")
	return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), append(opts, client.FieldOwner(naming.FieldManager))...)
}

// claimed is the volume that the StatefulSet controller makes of a claim's template.
func claimed(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
	}}
}

// podOf returns a pod of a workload, or nil when the object is none.
func podOf(o client.Object) *corev1.Pod {
	var template corev1.PodTemplateSpec
	switch w := o.(type) {
	case *appsv1.Deployment:
		template = w.Spec.Template
	case *appsv1.DaemonSet:
		template = w.Spec.Template
	case *batchv1.CronJob:
		template = w.Spec.JobTemplate.Spec.Template
	case *appsv1.StatefulSet:
		template = w.Spec.Template
		for _, claim := range w.Spec.VolumeClaimTemplates {
			template.Spec.Volumes = append(slices.Clone(template.Spec.Volumes), claimed(claim.Name))
		}
	case *batchv1.Job:
		template = w.Spec.Template
	default:
		return nil
	}
	meta := *template.ObjectMeta.DeepCopy()
	meta.GenerateName, meta.Namespace = "test-", o.GetNamespace()
	return &corev1.Pod{ObjectMeta: meta, Spec: *template.Spec.DeepCopy()}
}
