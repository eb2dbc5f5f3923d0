package endpoints

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// RuleLabels returns the labels of KubeBot's own PrometheusRules: the usual ones and those that the user's selector of
// rules asks for, because a label selector can't say "these or ours". The error says why no labels can match.
func RuleLabels(kb *v1alpha1.KubeBot, component string) (map[string]string, error) {
	own := naming.Labels(kb, component)
	selector := kb.Spec.Metrics.Prometheus.UserMonitors.Selector
	if selector == nil {
		return own, nil
	}
	all := maps.Clone(own)
	maps.Copy(all, selector.MatchLabels)
	for _, e := range selector.MatchExpressions {
		value, has := all[e.Key]
		switch {
		case e.Operator == metav1.LabelSelectorOpIn && len(e.Values) > 0 && !slices.Contains(e.Values, value):
			all[e.Key] = e.Values[0]
		case e.Operator == metav1.LabelSelectorOpExists && !has:
			all[e.Key] = "true"
		}
	}
	matcher, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("the label selector can't be used: %w", err)
	}
	for _, key := range []string{naming.LabelName, naming.LabelNamespace, naming.LabelComponent, "app.kubernetes.io/managed-by"} {
		if all[key] != own[key] {
			return nil, fmt.Errorf("the selector asks for %s=%s, which KubeBot's own rules can't have: leave that label out", key, all[key])
		}
	}
	if !matcher.Matches(labels.Set(all)) {
		return nil, fmt.Errorf(
			"the selector leaves out KubeBot's own rules, whatever labels they get: take back what contradicts itself or excludes labels of KubeBot")
	}
	return all, nil
}

// RuleNamespaces returns the selector of the namespaces of rules. It always holds the KubeBot's own namespace, whose
// labels are unknown here: a selection by namespace name gets that name too; one by other labels can't be widened, so
// rules are then taken from every namespace and chosen by their own labels alone.
func RuleNamespaces(kb *v1alpha1.KubeBot) *metav1.LabelSelector {
	selector := kb.Spec.Metrics.Prometheus.UserMonitors.NamespaceSelector
	if selector == nil {
		return &metav1.LabelSelector{}
	}
	var names []string
	switch {
	case len(selector.MatchLabels) == 1 && len(selector.MatchExpressions) == 0:
		names = []string{selector.MatchLabels[corev1.LabelMetadataName]}
	case len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 1 &&
		selector.MatchExpressions[0].Operator == metav1.LabelSelectorOpIn && selector.MatchExpressions[0].Key == corev1.LabelMetadataName:
		names = slices.Clone(selector.MatchExpressions[0].Values)
	}
	if len(names) == 0 || names[0] == "" {
		return &metav1.LabelSelector{}
	}
	names = append(names, kb.Namespace)
	slices.Sort(names)
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: slices.Compact(names),
	}}}
}
