package controllers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/collector"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/internal/testutil/servicename"
)

const (
	labelInstrumentation = "kubebot.io/instrumentation"
	injectJava           = "instrumentation.opentelemetry.io/inject-java"
	injectPython         = "instrumentation.opentelemetry.io/inject-python"
)

// operated is the OpenTelemetry Operator's resource.
func operated() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "opentelemetry.io", Version: "v1alpha1", Kind: "Instrumentation"})
	return u
}

// instrumented waits until the status of the KubeBot main lists these languages, and the admission policy may use it.
func (b *bench) instrumented(want ...string) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("the status to list the languages %v", want), func() error {
		kb := &v1alpha1.KubeBot{}
		if err := b.client.Get(b.t.Context(), client.ObjectKey{Namespace: b.ns, Name: "main"}, kb); err != nil {
			return err
		}
		if !slices.Equal(kb.Status.InstrumentedLanguages, want) || len(kb.Status.Inventory) == 0 {
			return fmt.Errorf("it lists %v", kb.Status.InstrumentedLanguages)
		}
		return nil
	})
}

// fill sets fields of the Instrumentation as somebody else, such as the operator's webhook.
func (b *bench) fill(fields map[string]string) {
	b.t.Helper()
	b.eventually("the Instrumentation to be filled", func() error {
		live := operated()
		if err := b.client.Get(b.t.Context(), client.ObjectKey{Namespace: b.ns, Name: "main"}, live); err != nil {
			return err
		}
		for path, value := range fields {
			if err := unstructured.SetNestedField(live.Object, value, append([]string{"spec"}, strings.Split(path, ".")...)...); err != nil {
				return err
			}
		}
		return b.client.Update(b.t.Context(), live, client.FieldOwner("somebody"))
	})
}

// told waits until a field of the Instrumentation is what a check wants, and returns it.
func (b *bench) told(want func(string) bool, path ...string) string {
	b.t.Helper()
	var got string
	b.eventually(strings.Join(path, "."), func() error {
		live := operated()
		if err := b.client.Get(b.t.Context(), client.ObjectKey{Namespace: b.ns, Name: "main"}, live); err != nil {
			return err
		}
		if got, _, _ = unstructured.NestedString(live.Object, path...); !want(got) {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
	return got
}

// TestTheOpenTelemetryOperatorIsTold runs through the life of the OpenTelemetry Operator's resource in one cluster: not
// there, there, removed under a running KubeBot, and there again until the collector is switched off.
func TestTheOpenTelemetryOperatorIsTold(t *testing.T) {
	b := newBench(t, collector.Component{}).start()
	kb := b.kubebot(b.ns, "main")
	untroubled := func() {
		t.Helper()
		b.condition(kb, v1alpha1.ConditionCollectorReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing) // no pod runs here
	}
	untroubled()
	b.instrumented()

	remove := b.install(apitest.CRDs(apitest.OpenTelemetryOperator))
	live := operated()
	b.get(live, b.ns, "main")
	if owner := metav1.GetControllerOf(live); owner == nil || owner.Kind != "KubeBot" || owner.Name != "main" {
		t.Errorf("it does not go with its KubeBot: %v", live.GetOwnerReferences())
	}
	untroubled()

	// Without images, which the operator's webhook fills in, no pod may ask for it, and the webhook is asked again.
	asked := []string{"metadata", "annotations", component.AnnotationAsked}
	first := b.told(func(s string) bool { return s != "" }, asked...)
	b.clock.forward(time.Minute)
	b.told(func(s string) bool { return s > first }, asked...)
	b.instrumented()

	// What others set stays; what KubeBot sets comes back.
	b.fill(map[string]string{"java.image": "java:1", "exporter.endpoint": "http://elsewhere:4317"})
	b.instrumented("java")
	b.told(func(s string) bool { return s == "http://main-collector."+b.ns+".svc:4318" }, "spec", "exporter", "endpoint")
	b.told(func(s string) bool { return s == "java:1" }, "spec", "java", "image")
	b.quietFor(observed)
	b.clock.forward(2 * time.Minute)
	time.Sleep(observed)
	if writes := b.writes.Take(); len(writes) > 0 {
		t.Errorf("the operator is asked for what it has filled in: %v", writes)
	}

	remove()
	b.instrumented()
	untroubled()
	remove = b.install(apitest.CRDs(apitest.OpenTelemetryOperator))
	t.Cleanup(remove)
	b.get(operated(), b.ns, "main")
	untroubled()

	b.update(kb, func(kb *v1alpha1.KubeBot) {
		kb.Spec.Traces.Collector.Mode = "Disabled"
	})
	b.gone(operated(), b.ns, "main")
	b.instrumented()
}

// policy creates what the chart ships for instrumentation, for the KubeBots of the bench's namespace. It returns what
// removes it again.
func (b *bench) policy() (remove func()) {
	b.t.Helper()
	return b.policyOf("v1")
}

// policyOf does so for a cluster that has mutating admission policies in a version.
func (b *bench) policyOf(version string) (remove func()) {
	b.t.Helper()
	out, err := exec.CommandContext(b.t.Context(), golden.Program(b.t, "helm"), "template", "kubebot", filepath.Join("..", "charts", "kubebot"),
		"--namespace", b.ns, "--kube-version", "1.36.3", "--show-only", "templates/instrumentation.yaml",
		"--api-versions", "admissionregistration.k8s.io/"+version+"/MutatingAdmissionPolicy").Output()
	if err != nil {
		b.t.Fatalf("render the chart: %v", err)
	}
	var shipped []*unstructured.Unstructured
	remove = func() {
		b.t.Helper()
		for _, u := range shipped {
			if err := b.client.Delete(context.Background(), u); err != nil && !apierrors.IsNotFound(err) {
				b.t.Error(err)
			}
		}
	}
	b.t.Cleanup(func() { remove() })
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(out), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(u); errors.Is(err, io.EOF) {
			return remove
		} else if err != nil {
			b.t.Fatal(err)
		}
		if len(u.Object) > 0 {
			b.create(u)
			shipped = append(shipped, u)
		}
	}
}

// wish is a pod and its namespace, and what must become of the pod.
type wish struct {
	namespace, pod        string            // values of the label, none where empty
	namespaceNotes, notes map[string]string // annotations
	env                   []corev1.EnvVar
	want                  map[string]string // annotations of the pod that is made
	unchanged             bool              // no variables
}

// pod is what the API server would make of a wish's pod.
func (b *bench) pod(namespace string, w wish) (*corev1.Pod, error) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app", Annotations: w.notes, Labels: map[string]string{"app.kubernetes.io/name": "shop"}}}
	if w.pod != "" {
		pod.Labels[labelInstrumentation] = w.pod
	}
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: "app:1", Env: w.env}, {Name: "second", Image: "app:1"}}
	return pod, b.client.Create(b.t.Context(), pod, client.DryRunAll)
}

// wishes are made in namespaces of their own and checked until all came true at the same time.
func (b *bench) wishes(prefix string, wishes []wish) {
	b.t.Helper()
	for i, w := range wishes {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%s-%d", b.ns, prefix, i), Annotations: w.namespaceNotes}}
		if w.namespace != "" {
			ns.Labels = map[string]string{labelInstrumentation: w.namespace}
		}
		b.create(ns)
	}
	b.eventually("all wishes to come true", func() error {
		for i, w := range wishes {
			pod, err := b.pod(fmt.Sprintf("%s-%s-%d", b.ns, prefix, i), w)
			if err != nil {
				return fmt.Errorf("%+v: %w", w, err)
			}
			if !maps.Equal(pod.Annotations, w.want) {
				return fmt.Errorf("%+v: annotations %v", w, pod.Annotations)
			}
			for _, c := range pod.Spec.Containers {
				if changed := len(c.Env) > 0; changed == w.unchanged {
					return fmt.Errorf("%+v: container %s has %v", w, c.Name, c.Env)
				}
			}
		}
		return nil
	})
}

// TestTheLabelWorksAgainAfterAReinstallation removes and makes again what `helm uninstall` and `helm install` do, for the
// API server to find a KubeBot that it has not seen before: it must watch them anew. The last time it is as in an older cluster.
func TestTheLabelWorksAgainAfterAReinstallation(t *testing.T) {
	b := newBench(t, collector.Component{}).start()
	for i, name := range []string{"main", "again", "third"} {
		remove := b.policyOf(map[string]string{"main": "v1", "again": "v1", "third": "v1beta1"}[name])
		kb := b.kubebot(b.ns, name)
		b.wishes(name, []wish{{namespace: "enabled"}, {pod: "enabled"}, {unchanged: true}})
		pod, err := b.pod("default", wish{pod: "enabled"})
		if err != nil {
			t.Fatal(err)
		}
		want := corev1.EnvVar{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: "http://" + name + "-collector." + b.ns + ".svc:4318"}
		if env := pod.Spec.Containers[0].Env; !slices.Contains(env, want) {
			t.Errorf("installation %d: pods have no %v: %v", i+1, want, env)
		}
		if err := b.client.Delete(t.Context(), kb); err != nil {
			t.Fatal(err)
		}
		b.gone(&v1alpha1.KubeBot{}, b.ns, name)
		remove()
		b.wishes(name+"-removed", []wish{{namespace: "enabled", unchanged: true}, {pod: "enabled", unchanged: true}})
	}
}

func TestTheLabelSetsVariablesAndAsksTheOperator(t *testing.T) {
	b := newBench(t, collector.Component{}).start()
	b.policy()
	kb := b.kubebot(b.ns, "main")
	b.instrumented()
	b.wishes("without", []wish{
		{namespace: "enabled"}, {pod: "enabled"}, {namespace: "java"}, {pod: "java"}, {pod: "true"},
		{unchanged: true}, {namespace: "enabled", pod: "disabled", unchanged: true}, {namespace: "disabled", unchanged: true},
		{pod: "false", unchanged: true}, {namespace: "off", unchanged: true}, {namespace: "enabled", pod: "no", unchanged: true},
	})

	t.Cleanup(b.install(apitest.CRDs(apitest.OpenTelemetryOperator)))
	main := b.ns + "/main"
	b.get(operated(), b.ns, "main")
	b.wishes("unfilled", []wish{{namespace: "java"}, {pod: "java"}})
	b.fill(map[string]string{"dotnet.image": "d", "java.image": "j", "nodejs.image": "n", "python.image": "p"})
	b.instrumented("dotnet", "java", "nodejs", "python")
	java := map[string]string{injectJava: main}
	b.wishes("with", []wish{
		{namespace: "java", want: java}, {pod: "java", want: java}, {namespace: "enabled", pod: "java", want: java},
		{namespace: "disabled", pod: "java", want: java},
		{namespace: "java", pod: "python", want: map[string]string{injectPython: main}},
		{pod: "nodejs", want: map[string]string{"instrumentation.opentelemetry.io/inject-nodejs": main}},
		{namespace: "dotnet", want: map[string]string{"instrumentation.opentelemetry.io/inject-dotnet": main}},
		{namespace: "enabled"}, {pod: "enabled"}, {namespace: "java", pod: "enabled"}, {namespace: "java", pod: "disabled", unchanged: true},
		{pod: "go"}, {pod: "Java"}, {namespace: "ruby"}, {namespace: "java", pod: "ruby"}, {unchanged: true},
		// Annotations of others stay, and whoever has asked the operator already is not asked for again.
		{pod: "java", notes: map[string]string{"team": "a"}, want: map[string]string{"team": "a", injectJava: main}},
		{pod: "java", notes: map[string]string{injectJava: "false"}, want: map[string]string{injectJava: "false"}},
		{pod: "java", notes: map[string]string{injectPython: "true"}, want: map[string]string{injectPython: "true"}},
		{namespace: "java", namespaceNotes: map[string]string{injectPython: "true"}},
	})
	b.containersKeepTheirOwn()
	b.servicesAreNamed()

	// Nobody sends to a collector that is not deployed, nor to that of a KubeBot beside the active one.
	b.condition(b.kubebot(b.ns, "younger"), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonClusterScopeTaken)
	b.update(kb, func(kb *v1alpha1.KubeBot) {
		kb.Spec.Traces.Collector.Mode = "Disabled"
	})
	b.wishes("off", []wish{{namespace: "enabled", unchanged: true}, {pod: "java", unchanged: true}})
}

// servicesAreNamed checks that the policy names services as Fluent Bit and the collector do, and leaves those to them of which
// it can't know the name.
func (b *bench) servicesAreNamed() {
	b.t.Helper()
	for _, c := range servicename.Cases() {
		got := b.serviceName(c, "enabled", nil)
		if want := map[bool]string{true: c.Want}[c.Said]; got != want {
			b.t.Errorf("the service of %s is %q, want %q", c.Name, got, want)
		}
	}
}

// serviceName is the name of the service that the API server, and webhooks, give a pod with a value of the label.
func (b *bench) serviceName(c servicename.Case, label string, annotations map[string]string) string {
	b.t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: c.Name, Labels: map[string]string{labelInstrumentation: label}, Annotations: map[string]string{}}}
	maps.Copy(pod.Labels, c.Labels)
	maps.Copy(pod.Annotations, c.Annotations)
	maps.Copy(pod.Annotations, annotations)
	if c.Owner.Name != "" {
		pod.OwnerReferences = []metav1.OwnerReference{c.Owner}
	}
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: "app:1"}}
	if err := b.client.Create(b.t.Context(), pod, client.DryRunAll); err != nil {
		b.t.Fatal(err)
	}
	env := variables(b.t, pod.Spec.Containers[0])
	if env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "" {
		b.t.Errorf("%s has no variables", c.Name)
	}
	return env["OTEL_SERVICE_NAME"]
}

// containersKeepTheirOwn checks the variables themselves, and that a pod which has them all is left as it is: the API
// server asks the policy again after a webhook has changed the pod.
func (b *bench) containersKeepTheirOwn() {
	b.t.Helper()
	own := []corev1.EnvVar{{Name: "OTEL_SERVICE_NAME", Value: "mine"}, {Name: "OTEL_EXPORTER_OTLP_PROTOCOL", Value: "grpc"}}
	pod, err := b.pod("default", wish{pod: "java", env: own})
	if err != nil {
		b.t.Fatal(err)
	}
	for i, want := range []map[string]string{
		{"OTEL_SERVICE_NAME": "mine", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://main-collector." + b.ns + ".svc:4317"},
		{"OTEL_SERVICE_NAME": "shop", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://main-collector." + b.ns + ".svc:4318"},
	} {
		got := map[string]string{}
		for _, v := range pod.Spec.Containers[i].Env {
			if _, twice := got[v.Name]; twice {
				b.t.Errorf("%s is there twice", v.Name)
			}
			got[v.Name] = v.Value
		}
		for name, value := range want {
			if got[name] != value {
				b.t.Errorf("container %d: %s=%s, want %s", i, name, got[name], value)
			}
		}
	}
	again := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "app", Annotations: pod.Annotations, Labels: pod.Labels}}
	again.Spec = *pod.Spec.DeepCopy()
	if err := b.client.Create(b.t.Context(), again, client.DryRunAll); err != nil {
		b.t.Fatal(err)
	}
	for i, c := range again.Spec.Containers {
		if !slices.EqualFunc(c.Env, pod.Spec.Containers[i].Env, func(a, b corev1.EnvVar) bool { return a.Name == b.Name && a.Value == b.Value }) {
			b.t.Errorf("a pod that has the variables was changed: %v", c.Env)
		}
	}
	if !maps.Equal(again.Annotations, pod.Annotations) {
		b.t.Errorf("a pod that has the annotation was changed: %v", again.Annotations)
	}
}
