package gather

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestARuleIsRefusedAsItIsNowAndForTheKubeBotsPrometheus(t *testing.T) {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	binding := func(change func(*monitoringv1.WorkloadBinding, *monitoringv1.ConfigResourceCondition)) []monitoringv1.WorkloadBinding {
		b := monitoringv1.WorkloadBinding{Group: "monitoring.coreos.com", Resource: "prometheuses", Name: "main-prometheus", Namespace: "kubebot"}
		c := monitoringv1.ConfigResourceCondition{Type: monitoringv1.Accepted, Status: monitoringv1.ConditionFalse, ObservedGeneration: 2, Message: "bad"}
		change(&b, &c)
		b.Conditions = []monitoringv1.ConfigResourceCondition{c}
		return []monitoringv1.WorkloadBinding{b}
	}
	for name, c := range map[string]struct {
		change func(*monitoringv1.WorkloadBinding, *monitoringv1.ConfigResourceCondition)
		want   bool
	}{
		"refused": {func(*monitoringv1.WorkloadBinding, *monitoringv1.ConfigResourceCondition) {}, true},
		"accepted": {func(_ *monitoringv1.WorkloadBinding, c *monitoringv1.ConfigResourceCondition) {
			c.Status = monitoringv1.ConditionTrue
		}, false},
		"an earlier one": {func(_ *monitoringv1.WorkloadBinding, c *monitoringv1.ConfigResourceCondition) {
			c.ObservedGeneration = 1
		}, false},
		"another Prometheus": {func(b *monitoringv1.WorkloadBinding, _ *monitoringv1.ConfigResourceCondition) { b.Name = "theirs" }, false},
		"another namespace":  {func(b *monitoringv1.WorkloadBinding, _ *monitoringv1.ConfigResourceCondition) { b.Namespace = "theirs" }, false},
		"an Alertmanager": {func(b *monitoringv1.WorkloadBinding, _ *monitoringv1.ConfigResourceCondition) {
			b.Resource = "alertmanagers"
		}, false},
	} {
		if why, is := refusedFor(kb, binding(c.change), 2); is != c.want || is && why != "bad" {
			t.Errorf("%s: %v %q", name, is, why)
		}
	}
}
