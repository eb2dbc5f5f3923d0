package collector

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// instrumentation tells the OpenTelemetry Operator where applications send telemetry, where the cluster has its resources.
// The admission policy that the chart ships needs no object for that: it reads the KubeBot, and finds by the inventory in
// its status whether the Service that receiverObjects makes is deployed.
func instrumentation(in component.Input) []client.Object {
	if !in.Cluster.Kinds[component.InstrumentationKind] {
		return nil
	}
	return []client.Object{operated(in)}
}

// operated is for the pods of every namespace: the annotation that asks for it names its namespace too. The operator
// sets of it only what a container has not, so the admission policy's variables stay. All agents can speak HTTP. Where
// Fluent Bit reads what pods write, agents that send it too would double each line. Services are named by labels too, as
// everywhere. The images are the operator's.
func operated(in component.Input) *unstructured.Unstructured {
	kb := in.KubeBot
	env := []any{map[string]any{"name": "OTEL_EXPORTER_OTLP_PROTOCOL", "value": "http/protobuf"}}
	if kb.Spec.Logs.FluentBit.Mode.Managed() {
		env = append(env, map[string]any{"name": "OTEL_LOGS_EXPORTER", "value": "none"})
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"exporter":    map[string]any{"endpoint": otlp(kb, endpoints.OTLPHTTPPort)},
		"env":         env,
		"defaults":    map[string]any{"useLabelsForResourceAttributes": true},
		"propagators": []any{"tracecontext", "baggage"},
		"sampler":     map[string]any{"type": "parentbased_always_on"},
	}}}
	u.SetGroupVersionKind(component.InstrumentationKind)
	u.SetName(kb.Name)
	u.SetNamespace(kb.Namespace)
	u.SetLabels(labels(kb, name))
	u.SetAnnotations(map[string]string{component.AnnotationAsked: in.Injection.Asked})
	return u
}

func otlp(kb *v1alpha1.KubeBot, port int) string {
	return fmt.Sprintf("http://%s:%d", endpoints.CollectorHost(kb), port)
}
