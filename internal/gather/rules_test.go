package gather

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
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

// pager is an API server with many rules, of which every one is refused. It answers as many at once as it is asked for.
type pager struct {
	client.Reader
	rules  int
	pages  []int
	events []eventsv1.Event
	// unmarked are rules that the operator has told of in events alone.
	unmarked   bool
	version    string
	generation int64
}

func (p *pager) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	from, _ := strconv.Atoi(o.Continue)
	to := p.rules
	if o.Limit > 0 {
		to = min(to, from+int(o.Limit))
	}
	if events, ok := list.(*eventsv1.EventList); ok {
		events.Items = p.events
		return nil
	}
	into, ok := list.(*unstructured.UnstructuredList)
	if !ok {
		return fmt.Errorf("a list of type %T", list)
	}
	for i := from; i < to; i++ {
		name := fmt.Sprintf("rule-%04d", i)
		into.Items = append(into.Items, unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": "shop", "name": name, "uid": name, "resourceVersion": p.version, "generation": 1 + p.generation},
			"spec":     map[string]any{"groups": []any{}},
			"status": map[string]any{"bindings": []any{map[string]any{
				"group": "monitoring.coreos.com", "resource": "prometheuses", "name": "main-prometheus", "namespace": "kubebot",
				"conditions": []any{map[string]any{"type": "Accepted", "status": "False", "observedGeneration": int64(1), "message": "bad", "lastTransitionTime": "2026-01-01T00:00:00Z"}},
			}}},
		}})
		if p.unmarked {
			delete(into.Items[len(into.Items)-1].Object, "status")
		}
	}
	if to < p.rules {
		into.SetContinue(strconv.Itoa(to))
	}
	p.pages = append(p.pages, to-from)
	return nil
}

// The chart's operator marks no rule: it tells of what it refuses in events, which outlive a mended rule by an hour.
func TestARuleIsRefusedByAnEventAboutItAsItIsNow(t *testing.T) {
	event := func(rule, version, note string) eventsv1.Event {
		return eventsv1.Event{Regarding: corev1.ObjectReference{Kind: "PrometheusRule", UID: types.UID(rule), ResourceVersion: version}, Note: note}
	}
	const said = "PrometheusRule rule-0001 was rejected due to invalid configuration: group \"a\", rule 0: could not parse expression"
	api := &pager{rules: 3, unmarked: true, version: "7", events: []eventsv1.Event{
		event("rule-0000", "6", "an earlier version of it"), event("rule-0001", "7", said), event("gone", "7", "what is deleted"),
	}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := &Gatherer{Reader: api, Now: func() time.Time { return now }}
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	look := func(what string, want ...component.RefusedRule) {
		t.Helper()
		refused, err := g.refusedRules(t.Context(), kb, component.Cluster{Kinds: map[schema.GroupVersionKind]bool{ruleKind: true}})
		if err != nil || !slices.Equal(refused, want) {
			t.Errorf("%s: refused are %v, %v; want %v", what, refused, err, want)
		}
		now = now.Add(time.Hour)
	}
	refused := component.RefusedRule{Namespace: "shop", Name: "rule-0001", Message: `group "a", rule 0: could not parse expression`}
	look("told of", refused)
	api.events, api.version = nil, "8"
	look("its event is gone, and an annotation made another version", refused)
	api.generation++
	look("changed")
}

func TestManyRulesAreReadInPagesAndLessOften(t *testing.T) {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	cluster := component.Cluster{Kinds: map[schema.GroupVersionKind]bool{ruleKind: true}}
	for _, c := range []struct {
		rules, pages int
		known        time.Duration
	}{
		{0, 1, 20 * time.Second}, {50, 1, 20 * time.Second}, {51, 2, 40 * time.Second}, {1500, 30, 10 * time.Minute}, {5000, 100, 10 * time.Minute},
	} {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		api := &pager{rules: c.rules}
		g := &Gatherer{Reader: api, Now: func() time.Time { return now }}
		look := func(pages int) {
			t.Helper()
			refused, err := g.refusedRules(t.Context(), kb, cluster)
			if err != nil || len(refused) != c.rules {
				t.Fatalf("%d rules: %d refused, %v", c.rules, len(refused), err)
			}
			if len(api.pages) != pages || slices.Max(api.pages) > 50 {
				t.Errorf("%d rules were read in pages of %v, want %d", c.rules, api.pages, pages)
			}
		}
		look(c.pages)
		now = now.Add(c.known - time.Second)
		look(c.pages)
		now = now.Add(time.Second)
		look(2 * c.pages)
	}
}
