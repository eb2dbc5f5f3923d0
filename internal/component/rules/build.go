// Package rules is the component of KubeBot's own alerts. Each alert has a section in docs/runbooks.md, which says what
// it means and where its threshold comes from, and promtool tests under testdata/promtool, firing and silent.
package rules

import (
	"maps"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	name = "rules"
	// Alerts that decide about expressions of other rules.
	alertWorkloadDown = "WorkloadDown"
	alertSpanErrors   = "ServiceSpanErrorRateHigh"
	// shortestWindow of a rate, and the number of scrapes that must fit into it.
	shortestWindow   = model.Duration(time.Minute)
	scrapesPerWindow = 4
	// pushInterval is that of SDKs by default, and pushesPerWindow the number that must fit into a window of what they push.
	pushInterval    = model.Duration(time.Minute)
	pushesPerWindow = 3
)

var ruleKind = monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.PrometheusRuleKind)

// Component is the component rules.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionRulesReady }

// Build returns one PrometheusRule per group of rules, or none when the rules are switched off, no Prometheus is there
// to evaluate them, or the cluster does not serve PrometheusRules (which Health tells of).
func (Component) Build(in component.Input) ([]client.Object, error) {
	if off(in) != "" || !in.Cluster.Kinds[ruleKind] {
		return nil, nil
	}
	shipped, _, err := selected(in)
	if err != nil {
		return nil, err
	}
	labels, err := endpoints.RuleLabels(in.KubeBot, name)
	if err != nil {
		return nil, &component.InvalidError{Field: "spec.metrics.prometheus.userMonitors.selector", Message: err.Error()}
	}
	objects := make([]client.Object, 0, len(shipped))
	for _, g := range shipped {
		objects = append(objects, object(in.KubeBot, labels, g))
	}
	return objects, nil
}

// off returns the field that switches the rules off, or nothing.
func off(in component.Input) string {
	switch {
	case in.KubeBot.Spec.Alerting.DefaultRules.Mode == v1alpha1.SwitchDisabled:
		return "spec.alerting.defaultRules.mode"
	case in.KubeBot.Spec.Metrics.Prometheus.Mode == v1alpha1.ModeDisabled:
		return "spec.metrics.prometheus.mode"
	}
	return ""
}

// windowsOf returns the shortest ranges of rates for the KubeBot's scrape interval.
func windowsOf(kb *v1alpha1.KubeBot) (windows, error) {
	interval, err := component.Duration("spec.metrics.prometheus.scrapeInterval",
		kb.Spec.Metrics.Prometheus.ScrapeInterval, v1alpha1.DefaultScrapeInterval)
	if err != nil {
		return windows{}, err
	}
	scraped := max(shortestWindow, scrapesPerWindow*interval)
	pushed := max(pushesPerWindow*pushInterval, scraped)
	return windows{scraped.String(), pushed.String(), max(2*scraped, pushed+pushInterval).String()}, nil
}

func object(kb *v1alpha1.KubeBot, labels map[string]string, g Group) *monitoringv1.PrometheusRule {
	return &monitoringv1.PrometheusRule{
		TypeMeta: metav1.TypeMeta{APIVersion: ruleKind.GroupVersion().String(), Kind: ruleKind.Kind},
		ObjectMeta: metav1.ObjectMeta{
			Name:      naming.Object(kb, name+strings.TrimPrefix(g.Name, "kubebot")),
			Namespace: kb.Namespace,
			Labels:    maps.Clone(labels),
		},
		Spec: monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{render(g)}},
	}
}

func render(g Group) monitoringv1.RuleGroup {
	out := monitoringv1.RuleGroup{Name: g.Name}
	if g.Interval != "" {
		interval := monitoringv1.Duration(g.Interval)
		out.Interval = &interval
	}
	for _, r := range g.Rules {
		rule := monitoringv1.Rule{
			Record:      r.Record,
			Alert:       r.Alert,
			Expr:        intstr.FromString(r.Expr),
			Labels:      r.labels(),
			Annotations: r.annotations(),
		}
		if r.For != "" {
			d := monitoringv1.Duration(r.For)
			rule.For = &d
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}
