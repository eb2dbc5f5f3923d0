package rules

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// fallbackAfter is how long the watchdog is unconfirmed before critical alerts are repeated, in seconds.
const fallbackAfter = "300"

// fallbackGroup repeats each firing critical alert while no responder has confirmed the watchdog, for Alertmanager's own
// receivers. In the first minutes of Prometheus there was no time for a confirmation.
func fallbackGroup(s settings) Group {
	return Group{Name: "kubebot-fallback", Rules: []Rule{{
		Alert: alert.Fallback,
		Expr: `max without (alertstate) (
  label_replace(
    ALERTS{alertstate="firing", severity=~` + s.critical + `, alertname!="` + alert.Fallback + `"},
    "` + alert.LabelOriginal + `", "$1", "alertname", "(.+)"
  )
)
unless on () (time() - max(max_over_time(kubebot_responder_watchdog_timestamp_seconds{job="` + endpoints.JobResponder + `"}[10m])) <= ` + fallbackAfter + `)
and on () (time() - max(process_start_time_seconds{job="` + endpoints.JobPrometheus + `"}) > ` + fallbackAfter + `)`,
		Labels:   map[string]string{alert.LabelFallback: "true"},
		Severity: string(v1alpha1.SeverityCritical),
		Summary:  "{{ $labels." + alert.LabelOriginal + " }} fires, and KubeBot's responder does not answer",
		Description: "No responder has confirmed the watchdog for 5 minutes. So that nothing is lost, Alertmanager itself sends " +
			"{{ $labels." + alert.LabelOriginal + " }} to the receivers; there is no incident and no analysis until the responder is back.",
		ThresholdFrom: "5 minutes are five repetitions of the watchdog, and a restart of the responder on another node",
		Needs:         []Need{needManagedPrometheus, needAlertmanager},
	}}}
}

// criticalValues is a PromQL string with a regular expression of the values of the label severity that mean critical.
func criticalValues(mappings []v1alpha1.SeverityMapping) string {
	values := []string{"(?i:" + string(v1alpha1.SeverityCritical) + ")"}
	for _, m := range mappings {
		if m.Severity == v1alpha1.SeverityCritical {
			values = append(values, regexp.QuoteMeta(m.Value))
		}
	}
	slices.Sort(values[1:])
	return strconv.Quote(strings.Join(values, "|"))
}
