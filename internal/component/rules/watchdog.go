package rules

import "github.com/kubebot/kubebot/internal/alert"

func watchdogGroup() Group {
	return Group{Name: "kubebot-watchdog", Rules: []Rule{{
		Alert:    alert.Watchdog,
		Expr:     "vector(1)",
		Severity: severityNone,
		Summary:  "Alerts flow from Prometheus to the responder",
		Description: "This alert always fires and tells nobody. When it stops to arrive, alerts no longer reach the " +
			"responder, and the condition ResponderReady of the KubeBot says so.",
		ThresholdFrom: "none: it always fires",
		Always:        true,
	}}}
}
