package rules

import (
	"slices"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/component"
)

const disabledReason = "spec.alerting.defaultRules.disabled names it; taking it out of there brings it back"

// selected returns the groups that are shipped for the input, and the alerts that are left out with the reason, by the
// order of the groups; those that the responder's watch alone knows come last.
func selected(in component.Input) ([]Group, []v1alpha1.OmittedRule, error) {
	windows, err := windowsOf(in.KubeBot)
	if err != nil {
		return nil, nil, err
	}
	disabled := in.KubeBot.Spec.Alerting.DefaultRules.Disabled
	s := settings{
		windows:    windows,
		downKnown:  !slices.Contains(disabled, alertWorkloadDown),
		lostKnown:  !slices.Contains(disabled, alert.NodeNotReady),
		spansKnown: !slices.Contains(disabled, alertSpanErrors),
		critical:   criticalValues(in.KubeBot.Spec.Alerting.Severities),
	}
	var shipped []Group
	var omitted []v1alpha1.OmittedRule
	known := map[string]bool{}
	for _, g := range groups(s) {
		kept := Group{Name: g.Name, Interval: g.Interval}
		for _, r := range g.Rules {
			known[r.Alert] = true
			reason := leftOut(in, r)
			switch {
			case reason == "":
				kept.Rules = append(kept.Rules, r)
			case r.Alert != "":
				omitted = append(omitted, v1alpha1.OmittedRule{Name: r.Alert, Reason: reason})
			}
		}
		if len(kept.Rules) > 0 {
			shipped = append(shipped, kept)
		}
	}
	for _, name := range disabled {
		switch {
		case known[name]:
		case slices.Contains(alert.Watched(), name):
			omitted = append(omitted, v1alpha1.OmittedRule{Name: name, Reason: disabledReason})
		default:
			omitted = append(omitted, v1alpha1.OmittedRule{Name: name, Reason: "no alert of KubeBot has the name that " +
				"spec.alerting.defaultRules.disabled gives; take it out, or see docs/runbooks.md for the names"})
		}
	}
	return shipped, omitted, nil
}

// leftOut says why the rule is left out, or nothing.
func leftOut(in component.Input, r Rule) string {
	if r.Alert != "" && !r.Always && slices.Contains(in.KubeBot.Spec.Alerting.DefaultRules.Disabled, r.Alert) {
		return disabledReason
	}
	for _, need := range r.Needs {
		if !need.has(in) {
			return need.without
		}
	}
	return ""
}
