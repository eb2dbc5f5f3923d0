package controllers_test

import (
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// rules is a component of the Prometheus Operator's types.
func rules() *fake {
	return &fake{name: "rules", build: func(in component.Input) ([]client.Object, error) {
		duration := monitoringv1.Duration("1m")
		group := monitoringv1.RuleGroup{Name: "g", Rules: []monitoringv1.Rule{{Alert: "A", For: &duration}}}
		group.Rules[0].Expr.StrVal, group.Rules[0].Expr.Type = "up == 0", 1
		return []client.Object{&monitoringv1.PrometheusRule{
			ObjectMeta: objectMeta(in, in.KubeBot.Namespace, "rules", "rules"),
			Spec:       monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{group}},
		}}, nil
	}}
}

// TestMissingPrometheusOperator runs through the life of the operator's resources in one cluster: not there, there,
// removed under a running KubeBot, and there again.
func TestMissingPrometheusOperator(t *testing.T) {
	b := newBench(t, rules(), web()).start()
	kb := b.kubebot(b.ns, "main")
	live := b.condition(kb, "RulesReady", metav1.ConditionFalse, v1alpha1.ReasonCRDsMissing)
	message := meta.FindStatusCondition(live.Status.Conditions, "RulesReady").Message
	if !strings.Contains(message, "PrometheusRule") || !strings.Contains(message, "install the Prometheus Operator") {
		t.Errorf("message %q does not say what is missing and how to get it", message)
	}
	b.condition(kb, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonCRDsMissing)
	b.condition(kb, "WebReady", metav1.ConditionTrue, v1alpha1.ReasonReady)
	b.get(&appsv1.Deployment{}, b.ns, "main-web")

	remove := b.installOperator()
	b.ready(kb)
	b.get(&monitoringv1.PrometheusRule{}, b.ns, "main-rules")
	b.rests(kb)

	remove()
	b.condition(kb, "RulesReady", metav1.ConditionFalse, v1alpha1.ReasonCRDsMissing)
	remove = b.installOperator()
	b.ready(kb)
	b.get(&monitoringv1.PrometheusRule{}, b.ns, "main-rules")

	remove()
	if err := b.client.Delete(t.Context(), kb); err != nil {
		t.Fatal(err)
	}
	b.gone(&v1alpha1.KubeBot{}, b.ns, "main")
}
