package gather

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
)

const (
	// rulesPage is how many rules are read at a time: generated ones have some 20 KB each, and can have a megabyte.
	rulesPage = 50
	// rulesFor is how long the rules of the cluster are taken as known, for each page of them: a look reads all, so that
	// the load stays the same however many there are. It is at most rulesForMost.
	rulesFor     = 20 * time.Second
	rulesForMost = 10 * time.Minute
	// eventsFor is how long the events about rules are taken as known: the API server reads all events of the cluster to find
	// them, eventsPage at a time.
	eventsFor  = 2 * time.Minute
	eventsPage = 500
	// refusedReason is that of the Prometheus Operator's events about what it leaves out (pkg/operator of its version 0.94).
	refusedReason = "InvalidConfiguration"
)

var ruleKind = monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.PrometheusRuleKind)

// refusedRules are the PrometheusRules that the Prometheus Operator has marked as not accepted for the Prometheus of a
// KubeBot, or, where it marks none, has told of in an event. A manager that may read neither leaves them unknown.
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
		why, is := refusedFor(kb, rule.bindings, rule.generation)
		if len(rule.bindings) == 0 {
			why, is = rule.said, rule.said != ""
		}
		if is {
			refused = append(refused, component.RefusedRule{Namespace: rule.namespace, Name: rule.name, Message: why})
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

// refusal is why a rule was refused, and of which generation.
type refusal struct {
	generation int64
	why        string
}

// toldRefusals reads the operator's events about rules: what they say, by the rule's UID and the version of it that they are
// about.
func (g *Gatherer) toldRefusals(ctx context.Context) map[types.UID]map[string]string {
	if g.Now().Before(g.toldUntil) {
		return nil
	}
	told := map[types.UID]map[string]string{}
	list := &eventsv1.EventList{}
	for more := true; more; more = list.Continue != "" {
		err := g.Reader.List(ctx, list, client.Limit(eventsPage), client.Continue(list.Continue), client.MatchingFields{
			"reason": refusedReason, "type": corev1.EventTypeWarning, "regarding.kind": monitoringv1.PrometheusRuleKind,
		})
		if apierrors.IsForbidden(err) {
			break
		}
		if err != nil { // what is known of users' rules keeps nothing else from going on
			ctrl.LoggerFrom(ctx).Error(err, "Failed to list events about PrometheusRules")
			break
		}
		for _, e := range list.Items {
			if told[e.Regarding.UID] == nil {
				told[e.Regarding.UID] = map[string]string{}
			}
			why := e.Note
			if _, after, ok := strings.Cut(why, "invalid configuration: "); ok {
				why = after
			}
			told[e.Regarding.UID][e.Regarding.ResourceVersion] = why
		}
	}
	g.toldUntil = g.Now().Add(eventsFor)
	return told
}

// remember keeps what an event says of a rule until the rule's content changes: the operator tells of it once, the event is
// gone after an hour, and a changed annotation makes another version of a rule that is refused all the same.
func (g *Gatherer) remember(rule *monitoringv1.PrometheusRule, told map[string]string, refused map[types.UID]refusal) string {
	known := g.refused[rule.UID]
	if why := told[rule.ResourceVersion]; why != "" {
		known = refusal{rule.Generation, why}
	}
	if known.why == "" || known.generation != rule.Generation {
		return ""
	}
	refused[rule.UID] = known
	return known.why
}

// markedRule is a rule that an operator has marked or told of, without its content.
type markedRule struct {
	namespace, name string
	generation      int64
	bindings        []monitoringv1.WorkloadBinding
	// said is why it was refused as it is now, of an event.
	said string
}

// allRules are the rules of the cluster that are marked or told of.
func (g *Gatherer) allRules(ctx context.Context) ([]markedRule, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Now().Before(g.rulesUntil) {
		return g.rules, nil
	}
	told := g.toldRefusals(ctx)
	var rules []markedRule
	pages, next, refused := 0, "", map[types.UID]refusal{}
	for more := true; more; more = next != "" {
		page, after, err := g.rulePage(ctx, next, told, refused)
		if err != nil {
			return nil, err
		}
		rules, next = append(rules, page...), after
		pages++
	}
	g.refused = refused
	g.rules, g.rulesUntil = rules, g.Now().Add(min(time.Duration(pages)*rulesFor, rulesForMost))
	return g.rules, nil
}

// rulePage reads a page of the rules, the first for an empty token, and returns the token of the next one. It adds to refused
// what events told of them.
func (g *Gatherer) rulePage(
	ctx context.Context, token string, told map[types.UID]map[string]string, refused map[types.UID]refusal,
) (rules []markedRule, next string, err error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(ruleKind.GroupVersion().WithKind(ruleKind.Kind + "List"))
	err = g.Reader.List(ctx, list, client.Limit(rulesPage), client.Continue(token))
	if err != nil && !apierrors.IsForbidden(err) && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
		return nil, "", fmt.Errorf("list PrometheusRules: %w", err)
	}
	for _, item := range list.Items {
		var rule monitoringv1.PrometheusRule
		unstructured.RemoveNestedField(item.Object, "spec")
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &rule); err != nil {
			return nil, "", fmt.Errorf("read PrometheusRule %s/%s: %w", item.GetNamespace(), item.GetName(), err)
		}
		if said := g.remember(&rule, told[rule.UID], refused); said != "" || len(rule.Status.Bindings) > 0 {
			rules = append(rules, markedRule{rule.Namespace, rule.Name, rule.Generation, rule.Status.Bindings, said})
		}
	}
	return rules, list.GetContinue(), nil
}
