package rules

import (
	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/fluentbit"
	"github.com/kubebot/kubebot/internal/endpoints"
)

var needFluentBit = Need{
	has: func(in component.Input) bool {
		return in.KubeBot.Spec.Logs.FluentBit.Mode.Managed()
	},
	without: "KubeBot runs no Fluent Bit; spec.logs.fluentBit.mode: Managed brings it back",
}

// logsGroup tells of the way of lines from the files of the nodes to the collector.
func logsGroup() Group {
	const job = `{job="` + endpoints.JobFluentBit + `"}`
	needs := []Need{needManagedPrometheus, needFluentBit}
	return Group{Name: "kubebot-logs", Rules: []Rule{{
		Alert:         "LogLinesLost",
		Expr:          `sum by (node) (increase(fluentbit_routing_logs_drop_records_total` + job + `[5m])) > 0`,
		For:           "1m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Log lines of {{ $labels.node }} are lost",
		Description:   "Fluent Bit on {{ $labels.node }} has given up {{ $value | humanize }} log lines within 5 minutes: the collector refused them for good, or what waits on the node's disk has reached its limit.",
		ThresholdFrom: "any loss; 1 minute are four scrapes",
		Needs:         needs,
	}, {
		Alert: "LogLinesWaiting",
		Expr: `sum by (node) (increase(fluentbit_output_retries_total` + job + `[5m])) > 0
unless sum by (node) (increase(fluentbit_output_proc_records_total` + job + `[5m])) > 0`,
		For:           "10m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Log lines of {{ $labels.node }} wait on its disk",
		Description:   "Fluent Bit on {{ $labels.node }} has tried for 10 minutes and the collector took nothing. The lines wait on the node's disk until spec.logs.fluentBit.bufferLimit is reached.",
		ThresholdFrom: "10 minutes outlast a restart of the collector, image pull included; the default buffer of 1 GiB holds half an hour of 1,000 lines a second",
		Needs:         needs,
	}, {
		Alert:         "LogLinesNotRead",
		Expr:          fluentbit.Unread,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Log lines of {{ $labels.node }} are not read",
		Description:   "Fluent Bit runs on {{ $labels.node }} and has read no line for 20 minutes, although the kubelet sees the log files of containers there grow, or it finds no log file at all.",
		ThresholdFrom: "a node whose log files grow has lines to read, and each has the file of Fluent Bit itself; 20 minutes are eighty scrapes, so that one write of which the kubelet tells later is not taken for an unread one",
		Needs:         needs,
	}}}
}
