package endpoints_test

import (
	"maps"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

func selecting(selector, namespaces *metav1.LabelSelector) *v1alpha1.KubeBot {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	kb.Spec.Metrics.Prometheus.UserMonitors = v1alpha1.MonitorSelection{Selector: selector, NamespaceSelector: namespaces}
	return kb
}

func expression(key string, op metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: op, Values: values}}}
}

func TestOwnRulesMatchEverySelectionOfUsers(t *testing.T) {
	for name, c := range map[string]struct {
		selector *metav1.LabelSelector
		refused  bool
	}{
		"none":                            {nil, false},
		"a label":                         {&metav1.LabelSelector{MatchLabels: map[string]string{"release": "ours"}}, false},
		"another part-of":                 {&metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/part-of": "x"}}, false},
		"one of":                          {expression("team", metav1.LabelSelectorOpIn, "a", "b"), false},
		"there":                           {expression("team", metav1.LabelSelectorOpExists), false},
		"not one of":                      {expression("team", metav1.LabelSelectorOpNotIn, "a"), false},
		"not there":                       {expression("team", metav1.LabelSelectorOpDoesNotExist), false},
		"of another KubeBot":              {&metav1.LabelSelector{MatchLabels: map[string]string{naming.LabelName: "other"}}, true},
		"not of this KubeBot":             {expression(naming.LabelName, metav1.LabelSelectorOpNotIn, "main"), true},
		"without any manager":             {expression("app.kubernetes.io/managed-by", metav1.LabelSelectorOpDoesNotExist), true},
		"an operator that does not exist": {expression("team", "Near", "a"), true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := endpoints.RuleLabels(selecting(c.selector, nil), "rules")
			if (err != nil) != c.refused {
				t.Fatalf("RuleLabels: %v, want an error: %v", err, c.refused)
			}
			if err != nil || c.selector == nil {
				return
			}
			matcher, err := metav1.LabelSelectorAsSelector(c.selector)
			if err != nil {
				t.Fatal(err)
			}
			if !matcher.Matches(labels.Set(got)) {
				t.Errorf("the selector does not match %v", got)
			}
			if got[naming.LabelName] != "main" || got[naming.LabelComponent] != "rules" {
				t.Errorf("labels of KubeBot are lost: %v", got)
			}
		})
	}
}

func TestTheOwnNamespaceIsAmongThoseOfRules(t *testing.T) {
	const nameLabel = "kubernetes.io/metadata.name"
	for name, c := range map[string]struct {
		selector *metav1.LabelSelector
		want     []string // nil for every namespace
	}{
		"none":          {nil, nil},
		"one name":      {&metav1.LabelSelector{MatchLabels: map[string]string{nameLabel: "shop"}}, []string{"kubebot", "shop"}},
		"several names": {expression(nameLabel, metav1.LabelSelectorOpIn, "shop", "kubebot"), []string{"kubebot", "shop"}},
		"other labels":  {&metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}, nil},
		"not a name":    {expression(nameLabel, metav1.LabelSelectorOpNotIn, "shop"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := endpoints.RuleNamespaces(selecting(nil, c.selector))
			if c.want == nil {
				if len(got.MatchLabels)+len(got.MatchExpressions) != 0 {
					t.Errorf("RuleNamespaces = %v, want every namespace", got)
				}
				return
			}
			if len(got.MatchExpressions) != 1 || !slices.Equal(got.MatchExpressions[0].Values, c.want) {
				t.Errorf("RuleNamespaces = %v, want the names %v", got, c.want)
			}
		})
	}
}

func TestLabelsOfTheUserStayUntouched(t *testing.T) {
	mine := map[string]string{"release": "ours"}
	kb := selecting(&metav1.LabelSelector{MatchLabels: mine}, nil)
	if _, err := endpoints.RuleLabels(kb, "rules"); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(mine, map[string]string{"release": "ours"}) {
		t.Errorf("the selector of the spec was changed to %v", mine)
	}
}
