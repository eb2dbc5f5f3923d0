package rules

import "github.com/kubebot/kubebot/internal/alert"

func watchdogGroup() Group {
	// What is sent before Prometheus has found Alertmanager is lost, and sent again only after a minute, so the first
	// evaluation after a start must not send.
	return Group{Name: "kubebot-watchdog", Interval: "10s", Rules: []Rule{{
		Alert:    alert.Watchdog,
		Expr:     "vector(1)",
		For:      "10s",
		Severity: severityNone,
		Summary:  "Alerts flow from Prometheus to the responder",
		Description: "This alert always fires and tells nobody. When it stops to arrive, alerts no longer reach the " +
			"responder, and the condition ResponderReady of the KubeBot says so.",
		ThresholdFrom: "10 seconds are the time in which Prometheus finds Alertmanager after a start",
		Always:        true,
	}}}
}
