package exporters

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func input(m v1alpha1.MetricsSpec) component.Input {
	return golden.Input(&v1alpha1.KubeBot{
		ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}, Spec: v1alpha1.KubeBotSpec{Metrics: m},
	})
}

// live is kube-state-metrics and node-exporter with so many pods available, of 1 and 3.
func live(states, nodes int32) []client.Object {
	return []client.Object{
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "main-kube-state-metrics"},
			Spec:       appsv1.DeploymentSpec{Replicas: new(int32(1))},
			Status:     appsv1.DeploymentStatus{UpdatedReplicas: 1, AvailableReplicas: states},
		},
		&appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Name: "main-node-exporter"},
			Status:     appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberAvailable: nodes},
		},
	}
}

func scraped(jobs ...string) map[string]component.Answer {
	var samples []string
	for _, job := range jobs {
		samples = append(samples, fmt.Sprintf(`{"metric":{"job":%q},"value":[1,"1"]}`, job))
	}
	return map[string]component.Answer{keyUp: {Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`)}}
}

func TestHealth(t *testing.T) {
	off := v1alpha1.ExporterSpec{Mode: "Disabled"}
	for name, c := range map[string]struct {
		spec   v1alpha1.MetricsSpec
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"both switched off":     {v1alpha1.MetricsSpec{KubeStateMetrics: off, NodeExporter: off}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "kubeStateMetrics.mode"},
		"not applied yet":       {v1alpha1.MetricsSpec{}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "main-node-exporter does not exist yet"},
		"a node lags":           {v1alpha1.MetricsSpec{}, component.Observed{Objects: live(1, 2)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "2 of 3 pods"},
		"run and are scraped":   {v1alpha1.MetricsSpec{}, component.Observed{Objects: live(1, 3), Answers: scraped("kube-state-metrics", "node-exporter")}, metav1.ConditionTrue, v1alpha1.ReasonReady, "scrapes"},
		"one is not scraped":    {v1alpha1.MetricsSpec{}, component.Observed{Objects: live(1, 3), Answers: scraped("kube-state-metrics")}, metav1.ConditionFalse, v1alpha1.ReasonTargetsDown, "node-exporter runs"},
		"Prometheus is silent":  {v1alpha1.MetricsSpec{}, component.Observed{Objects: live(1, 3)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "Prometheus does not answer a query"},
		"no Prometheus of ours": {v1alpha1.MetricsSpec{Prometheus: v1alpha1.PrometheusSpec{Mode: v1alpha1.ModeDisabled}}, component.Observed{Objects: live(1, 3)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "run"},
		"one switched off":      {v1alpha1.MetricsSpec{NodeExporter: off}, component.Observed{Objects: live(1, 0)[:1], Answers: scraped("kube-state-metrics")}, metav1.ConditionTrue, v1alpha1.ReasonReady, "run"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Component{}.Health(input(c.spec), c.seen)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
				t.Errorf("Health = %s %s %q, want %s %s and a message with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
			}
		})
	}
}

func TestANodeThatIsNotReadyIsLeftOut(t *testing.T) {
	seen := component.Observed{Objects: live(1, 2), Answers: scraped("kube-state-metrics", "node-exporter"), Pods: []corev1.Pod{{
		ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "main-node-exporter", Controller: new(true)}}},
		Spec:       corev1.PodSpec{NodeName: "b"},
	}}}
	seen.Answers[observe.KeyNodesNotReady] = component.Answer{Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[{"metric":{"node":"b"},"value":[1,"0"]}]}}`)}
	got := Component{}.Health(input(v1alpha1.MetricsSpec{}), seen)
	if got.Status != metav1.ConditionTrue || !strings.Contains(got.Message, "1 node(s) that are not ready are left out") {
		t.Errorf("Health = %s %s %q", got.Status, got.Reason, got.Message)
	}
}

func TestSecretsAreNotAmongTheResources(t *testing.T) {
	for _, resource := range resources {
		if resource == "secrets" || resource == "configmaps" {
			t.Errorf("kube-state-metrics reads %s", resource)
		}
	}
}

func TestKubeBotsOfSeveralNamespacesShareTheNodesNamespace(t *testing.T) {
	names := map[string]bool{}
	for _, namespace := range []string{"kubebot", "team-a", "team-b"} {
		in := input(v1alpha1.MetricsSpec{})
		in.KubeBot.Namespace = namespace
		names[nodeExporterName(in)] = true
	}
	if len(names) != 3 {
		t.Errorf("names = %v, want one per namespace", names)
	}
}

func TestBuildRefusesABadImage(t *testing.T) {
	bad := v1alpha1.ExporterSpec{PodSettings: v1alpha1.PodSettings{Image: "registry//x"}}
	for field, spec := range map[string]v1alpha1.MetricsSpec{
		"spec.metrics.kubeStateMetrics.image": {KubeStateMetrics: bad},
		"spec.metrics.nodeExporter.image":     {NodeExporter: bad},
	} {
		_, err := Component{}.Build(input(spec))
		var invalid *component.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("Build: %v, want an InvalidError of %s", err, field)
		}
	}
}
