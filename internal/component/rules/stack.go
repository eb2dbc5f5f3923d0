package rules

import (
	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// ownJobs are the scrape jobs of the stack that have no alert of their own.
const ownJobs = endpoints.JobPrometheus + "|" + endpoints.JobConfigReloader + "|" + endpoints.JobAlertmanager + "|" +
	endpoints.JobKubeStateMetrics + "|" + endpoints.JobKubeStateMetricsSelf + "|" + endpoints.JobNodeExporter +
	"|" + endpoints.JobLoki + "|" + endpoints.JobJaeger + "|" + endpoints.JobFluentBit

func stackGroup() Group {
	rules := []Rule{{
		Alert:         "PrometheusNotIngesting",
		Expr:          `absent(up == 1)`,
		For:           "2m",
		Severity:      string(v1alpha1.SeverityCritical),
		Summary:       "Prometheus collects no metrics",
		Description:   "No scrape of Prometheus has succeeded for 2 minutes, so no other alert can fire.",
		ThresholdFrom: "2 minutes are eight scrapes of every target",
	}, {
		Alert: "TargetDown",
		Expr: `count by (job) (
  up{job=~"` + ownJobs + `"} == 0
  or up{job="` + endpoints.JobKubelet + `", metrics_path="` + endpoints.MetricsPathCAdvisor + `"} == 0
)`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Targets of {{ $labels.job }} are down",
		Description:   "Prometheus has not reached {{ $value }} target(s) of {{ $labels.job }} for 5 minutes. Alerts that need their metrics can't fire.",
		ThresholdFrom: "5 minutes are a restart on another node, image pull included",
	}, {
		Alert:         "ResponderDown",
		Expr:          `absent(up{job="` + endpoints.JobResponder + `"} == 1)`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityCritical),
		Summary:       "The responder is down",
		Description:   "No replica of the responder has answered for 5 minutes: alerts are kept by Alertmanager and reach nobody.",
		ThresholdFrom: "5 minutes are a restart on another node, image pull included",
	}, {
		Alert:         "MessagesUndelivered",
		Expr:          `max by (receiver_type) (kubebot_responder_undelivered{job="` + endpoints.JobResponder + `"}) > 0`,
		For:           "10m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Messages wait for a {{ $labels.receiver_type }} receiver",
		Description:   "{{ $value }} message(s) have found no way to receivers of type {{ $labels.receiver_type }} for 10 minutes. The responder tries again until they get through.",
		ThresholdFrom: "10 minutes outlast a rate limit and a short outage of a chat service, over which the responder's own retries help",
	}, {
		Alert:         "KubeBotManagerDown",
		Expr:          `absent(up{job="` + endpoints.JobManager + `"} == 1)`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "The manager of KubeBot is down",
		Description:   "No replica of KubeBot's manager has answered for 5 minutes. What it deployed goes on; changes and drift are not acted upon.",
		ThresholdFrom: "5 minutes are a restart on another node, image pull included",
	}, {
		Alert:         "ComponentNotReady",
		Expr:          `max by (component) (kubebot_component_ready{job="` + endpoints.JobManager + `"}) == 0`,
		For:           "15m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "The {{ $labels.component }} of KubeBot is not ready",
		Description:   "The condition of {{ $labels.component }} in the status of the KubeBot has not been true for 15 minutes; its message says why.",
		ThresholdFrom: "15 minutes are a slow pull of an image and a restart on another node; what is urgent has an alert of its own",
	}, {
		Alert:         "PrometheusRuleFailures",
		Expr:          `sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total{job="` + endpoints.JobPrometheus + `"}[5m])) > 0`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Prometheus can't evaluate rules",
		Description:   "Rules of group {{ $labels.rule_group }} have failed for 5 minutes; their alerts can't fire.",
		ThresholdFrom: "one failure is one too many, 5 minutes of them are no restart",
	}, {
		Alert: "PrometheusAlertsDropped",
		Expr: `sum(increase(prometheus_notifications_dropped_total{job="` + endpoints.JobPrometheus + `"}[5m])) > 0
or max(prometheus_notifications_alertmanagers_discovered{job="` + endpoints.JobPrometheus + `"}) < 1`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Prometheus can't send alerts to Alertmanager",
		Description:   "Prometheus has dropped alerts or found no Alertmanager for 5 minutes. The responder still compares with what Alertmanager holds.",
		ThresholdFrom: "one dropped alert is one too many, 5 minutes are a restart of Alertmanager",
		Needs:         []Need{needAlertmanager},
	}, {
		Alert: "PrometheusRemoteWriteFailing",
		Expr: `sum by (remote_name) (
  rate(prometheus_remote_storage_samples_failed_total{job="` + endpoints.JobPrometheus + `"}[5m])
  + rate(prometheus_remote_storage_samples_dropped_total{job="` + endpoints.JobPrometheus + `"}[5m])
) > 0`,
		For:           "15m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Remote write to {{ $labels.remote_name }} fails",
		Description:   "Prometheus loses {{ $value | humanize }} samples a second on the way to {{ $labels.remote_name }}.",
		ThresholdFrom: "any loss; 15 minutes are within the 2 hours for which Prometheus can send again",
		Needs:         []Need{needRemoteWrite},
	}, {
		Alert: "ConfigReloadFailed",
		Expr: `max by (job) (prometheus_config_last_reload_successful{job="` + endpoints.JobPrometheus + `"} == 0
  or alertmanager_config_last_reload_successful{job="` + endpoints.JobAlertmanager + `"} == 0) == 0`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "{{ $labels.job }} refuses its configuration",
		Description:   "The last reload of the configuration of {{ $labels.job }} failed; it runs with the one before.",
		ThresholdFrom: "5 minutes: a half-written mount heals within the kubelet's sync period of 1 minute",
	}, {
		Alert: "AlertmanagerNotificationsFailing",
		Expr: `sum by (integration) (rate(alertmanager_notifications_failed_total{job="` + endpoints.JobAlertmanager + `"}[5m]))
/ sum by (integration) (rate(alertmanager_notifications_total{job="` + endpoints.JobAlertmanager + `"}[5m]) > 0) > 0.1`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Alertmanager can't deliver by {{ $labels.integration }}",
		Description:   "{{ $value | humanizePercentage }} of Alertmanager's notifications by {{ $labels.integration }} fail. The responder still reads alerts from Alertmanager's API every minute.",
		ThresholdFrom: "10 % of 5 minutes for 5 minutes: Alertmanager repeats a failed notification, a restart of the responder fails a few",
		Needs:         []Need{needManagedAlertmanager},
	}}
	for i := range rules {
		if rules[i].Alert != "PrometheusNotIngesting" {
			rules[i].Needs = append([]Need{needManagedPrometheus}, rules[i].Needs...)
		}
	}
	return Group{Name: "kubebot-stack", Rules: rules}
}
