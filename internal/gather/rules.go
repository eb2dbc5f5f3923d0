package gather

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// rulesFor is how long the rules of the cluster are taken as known: each look reads all of them.
const rulesFor = 20 * time.Second

var ruleKind = monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.PrometheusRuleKind)

// refusedRules are the PrometheusRules that the Prometheus Operator has marked as not accepted for the Prometheus of a
// KubeBot. An operator that marks none, or a manager that may not read them, leaves them unknown.
func (g *Gatherer) refusedRules(ctx context.Context, kb *v1alpha1.KubeBot, cluster component.Cluster) ([]component.RefusedRule, error) {
	m := kb.Spec.Metrics.Prometheus.Mode
	if !cluster.Kinds[ruleKind] || m == v1alpha1.ModeExternal || m == v1alpha1.ModeDisabled {
		return nil, nil
	}
	all, err := g.allRules(ctx)
	if err != nil {
		return nil, err
	}
	var refused []component.RefusedRule
	for _, rule := range all {
		if why, is := refusedFor(kb, rule.Status.Bindings, rule.Generation); is {
			refused = append(refused, component.RefusedRule{Namespace: rule.Namespace, Name: rule.Name, Message: why})
		}
	}
	slices.SortFunc(refused, func(a, b component.RefusedRule) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return refused, nil
}

// refusedFor tells whether, and why, a rule was refused as it is now.
func refusedFor(kb *v1alpha1.KubeBot, bindings []monitoringv1.WorkloadBinding, generation int64) (why string, is bool) {
	for _, b := range bindings {
		if b.Resource != monitoringv1.PrometheusName || b.Namespace != kb.Namespace || b.Name != endpoints.PrometheusResource(kb) {
			continue
		}
		for _, c := range b.Conditions {
			if c.Type == monitoringv1.Accepted && c.Status == monitoringv1.ConditionFalse && c.ObservedGeneration == generation {
				return c.Message, true
			}
		}
	}
	return "", false
}

// allRules are the rules of the cluster with what is marked on them, without their content.
func (g *Gatherer) allRules(ctx context.Context) ([]monitoringv1.PrometheusRule, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.rulesKnown.IsZero() && g.Now().Sub(g.rulesKnown) < rulesFor {
		return g.rules, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(ruleKind.GroupVersion().WithKind(ruleKind.Kind + "List"))
	if err := g.Reader.List(ctx, list); err != nil && !apierrors.IsForbidden(err) && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("list PrometheusRules: %w", err)
	}
	g.rules = nil
	for _, item := range list.Items {
		unstructured.RemoveNestedField(item.Object, "spec")
		var rule monitoringv1.PrometheusRule
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &rule); err != nil {
			return nil, fmt.Errorf("read PrometheusRule %s/%s: %w", item.GetNamespace(), item.GetName(), err)
		}
		if len(rule.Status.Bindings) > 0 {
			g.rules = append(g.rules, rule)
		}
	}
	g.rulesKnown = g.Now()
	return g.rules, nil
}
