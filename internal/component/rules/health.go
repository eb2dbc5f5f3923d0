package rules

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/truncate"
)

const (
	// questionRules asks Prometheus for the rules that it evaluates.
	questionRules = "rules"
	// namedAtMost is how many rules or groups a message names.
	namedAtMost = 5
	// errorLength is how much of an error of Prometheus a message holds, in bytes.
	errorLength = 200
)

// Questions asks each Prometheus for KubeBot's groups, without their alerts.
func (Component) Questions(in component.Input) []component.Question {
	if off(in) != "" || !in.Cluster.Kinds[ruleKind] {
		return nil
	}
	shipped, _, err := selected(in)
	if err != nil {
		return nil // Build reports it
	}
	query := url.Values{"exclude_alerts": {"true"}}
	for _, g := range shipped {
		query.Add("rule_group[]", g.Name)
	}
	q := component.Question{
		Key: questionRules,
		URL: strings.TrimSuffix(endpoints.Prometheus(in.KubeBot), "/") + "/api/v1/rules?" + query.Encode(),
	}
	if in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() {
		q.ReplicasOf = naming.Object(in.KubeBot, "prometheus")
	}
	return []component.Question{q}
}

// Health is ready when each Prometheus has loaded every shipped rule and evaluates it without error.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	h := ownHealth(in, seen)
	h.Extra = append(h.Extra, refused(in.RefusedRules)...)
	return h
}

// refused tells of rules of users: they say nothing of KubeBot's own, and are not the KubeBot's owner's.
func refused(rules []component.RefusedRule) []metav1.Condition {
	if len(rules) == 0 {
		return nil
	}
	var named []string
	for _, r := range rules {
		named = append(named, fmt.Sprintf("PrometheusRule %s/%s: %s", r.Namespace, r.Name, short(r.Message)))
	}
	return []metav1.Condition{{
		Type: v1alpha1.ConditionUserRulesRefused, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConfigRefused,
		Message: "The Prometheus Operator refuses these, and all others are loaded: " + some(named) +
			" (the log of the Prometheus Operator names group, rule and column)",
	}}
}

// short makes of an error one line that a message can hold.
func short(err string) string {
	return truncate.Ellipsis(strings.Join(strings.Fields(err), " "), errorLength)
}

func ownHealth(in component.Input, seen component.Observed) component.Health {
	if field := off(in); field != "" {
		return observe.Disabled("the default rules", field)
	}
	shipped, omitted, err := selected(in)
	if err != nil {
		return observe.NotReady(v1alpha1.ReasonInvalidSpec, err.Error())
	}
	h := judge(in, shipped, seen)
	h.OmittedRules = omitted
	return h
}

func judge(in component.Input, shipped []Group, seen component.Observed) component.Health {
	if !in.Cluster.Kinds[ruleKind] {
		return observe.NotReady(v1alpha1.ReasonCRDsMissing, "the cluster does not serve PrometheusRules "+
			"(monitoring.coreos.com/v1): install the chart with prometheusOperator.install=true, or the CRDs of the Prometheus Operator")
	}
	answers := answersTo(questionRules, seen.Answers)
	if len(answers) == 0 {
		return observe.NotReady(v1alpha1.ReasonProgressing, "no Prometheus is there yet that could load the rules")
	}
	waiting := false
	for _, answer := range answers {
		loaded, problem := parse(answer)
		if problem != "" {
			return observe.NotReady(v1alpha1.ReasonNotAnswering, "Prometheus "+problem+" when asked for its rules")
		}
		if missing := loaded.missing(shipped); len(missing) > 0 {
			return observe.NotReady(v1alpha1.ReasonRulesNotLoaded, "Prometheus has not loaded these groups of rules, or not as they are now: "+
				some(missing)+"; "+hint(in))
		}
		loaded = loaded.only(shipped)
		if failing := loaded.failing(); len(failing) > 0 {
			return observe.NotReady(v1alpha1.ReasonRulesNotLoaded, "Prometheus can't evaluate "+some(failing))
		}
		waiting = waiting || loaded.waiting()
	}
	if waiting {
		return observe.NotReady(v1alpha1.ReasonProgressing, "the rules are loaded and wait for their first evaluation")
	}
	return observe.Ready(fmt.Sprintf("Prometheus evaluates %d alerts", alerts(shipped)))
}

// hint says who loads the rules.
func hint(in component.Input) string {
	if in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() {
		return "the Prometheus Operator does so within two minutes"
	}
	return "the external Prometheus must select the PrometheusRules of namespace " + in.KubeBot.Namespace +
		" with the label " + naming.LabelName + "=" + in.KubeBot.Name
}

// answersTo returns the answer to a question, or those of each replica, in order.
func answersTo(key string, all map[string]component.Answer) []component.Answer {
	if one, ok := all[key]; ok {
		return []component.Answer{one}
	}
	var out []component.Answer
	for i := 0; ; i++ {
		one, ok := all[fmt.Sprintf("%s/%d", key, i)]
		if !ok {
			return out
		}
		out = append(out, one)
	}
}

// loadedRules are the rules in Prometheus' answer, by group.
type loadedRules struct {
	Groups []loadedGroup `json:"groups"`
}

type loadedGroup struct {
	Name  string       `json:"name"`
	Rules []loadedRule `json:"rules"`
}

type loadedRule struct {
	Name string `json:"name"`
	// Health is ok, err, or unknown before the first evaluation.
	Health    string `json:"health"`
	LastError string `json:"lastError"`
}

// parse reads an answer to GET /api/v1/rules, or says what is wrong with it.
func parse(a component.Answer) (loadedRules, string) {
	var body struct {
		Data *loadedRules `json:"data"`
	}
	if why := observe.Read(a, &body); why != "" {
		return loadedRules{}, why
	}
	if body.Data == nil {
		return loadedRules{}, "answers with something that is not its format"
	}
	return *body.Data, ""
}

// missing returns the names of the groups that are not loaded with exactly the rules that they ship.
func (l loadedRules) missing(shipped []Group) []string {
	loaded := map[string][]string{}
	for _, g := range l.Groups {
		names := make([]string, 0, len(g.Rules))
		for _, r := range g.Rules {
			names = append(names, r.Name)
		}
		loaded[g.Name] = names
	}
	var out []string
	for _, g := range shipped {
		names := make([]string, 0, len(g.Rules))
		for _, r := range g.Rules {
			names = append(names, r.Name())
		}
		if !slices.Equal(names, loaded[g.Name]) {
			out = append(out, g.Name)
		}
	}
	return out
}

// only returns the groups that are shipped.
func (l loadedRules) only(shipped []Group) loadedRules {
	return loadedRules{Groups: slices.DeleteFunc(slices.Clone(l.Groups), func(g loadedGroup) bool {
		return !slices.ContainsFunc(shipped, func(s Group) bool { return s.Name == g.Name })
	})}
}

// failing returns the rules whose last evaluation failed, each with the error.
func (l loadedRules) failing() []string {
	var out []string
	for _, g := range l.Groups {
		for _, r := range g.Rules {
			if r.Health == "err" {
				out = append(out, r.Name+" ("+tidy(r.LastError)+")")
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// waiting tells whether a rule has not been evaluated yet.
func (l loadedRules) waiting() bool {
	for _, g := range l.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				return true
			}
		}
	}
	return false
}

// changing are the parts of an error that differ from one evaluation to the next: label sets and quoted names.
var changing = regexp.MustCompile(`\{[^{}]*\}|"[^"]*"|\d+(\.\d+)*(:\d+)?`)

// tidy makes an error fit for a condition: short, and without what changes while nothing changes.
func tidy(err string) string {
	return short(strings.TrimRight(changing.ReplaceAllString(strings.Join(strings.Fields(err), " "), "…"), ". "))
}

// some joins names and leaves out those that are too many for a message.
func some(names []string) string {
	if len(names) > namedAtMost {
		names = append(slices.Clone(names[:namedAtMost]), fmt.Sprintf("%d more", len(names)-namedAtMost))
	}
	return strings.Join(names, ", ")
}

func alerts(groups []Group) int {
	n := 0
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				n++
			}
		}
	}
	return n
}
