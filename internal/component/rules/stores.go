package rules

import (
	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/proof"
	"github.com/kubebot/kubebot/internal/endpoints"
)

var (
	needLoki = Need{
		has:     func(in component.Input) bool { return in.KubeBot.Spec.Logs.Loki.Mode.Managed() },
		without: "KubeBot runs no Loki; spec.logs.loki.mode: Managed brings it back",
	}
	needJaeger = Need{
		has:     func(in component.Input) bool { return in.KubeBot.Spec.Traces.Jaeger.Mode.Managed() },
		without: "KubeBot runs no Jaeger; spec.traces.jaeger.mode: Managed brings it back",
	}
	needProof = Need{
		has:     func(in component.Input) bool { return proof.Config(in.KubeBot) != nil },
		without: "no signal has a path whose flow could be proven; spec.traces.collector.mode: Managed brings it back",
	}
)

// storesGroup tells of the stores of logs and traces, and of signals that don't reach any store.
func storesGroup() Group {
	const loki, jaeger = `job="` + endpoints.JobLoki + `"`, `job="` + endpoints.JobJaeger + `"`
	return Group{Name: "kubebot-stores", Rules: append(evictedRules(), []Rule{{
		Alert:         "SignalNotFlowing",
		Expr:          `min by (signal) (kubebot_proof_age_seconds{job="` + endpoints.JobResponder + `"}) > 600`,
		For:           "1m",
		Severity:      string(v1alpha1.SeverityCritical),
		Summary:       "{{ $labels.signal }} do not flow",
		Description:   "What KubeBot sent to prove that {{ $labels.signal }} flow was last found in the store {{ $value | humanizeDuration }} ago. Those of your applications get lost or wait in the same place.",
		ThresholdFrom: "10 minutes are ten proofs, and ten times as long as a store is away while it is replaced",
		Needs:         []Need{needManagedPrometheus, needProof},
	}, {
		Alert:         "LokiRefusesLines",
		Expr:          `sum by (reason) (rate(loki_discarded_samples_total{` + loki + `}[5m])) > 0`,
		For:           "10m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Loki refuses lines ({{ $labels.reason }})",
		Description:   "Loki refuses {{ $value | humanize }} lines a second by reason {{ $labels.reason }}. They are lost.",
		ThresholdFrom: "any loss; 10 minutes outlast the lines that come late after an outage",
		Needs:         []Need{needManagedPrometheus, needLoki},
	}, {
		Alert: "LokiRequestsFailing",
		Expr: `sum by (route) (rate(loki_request_duration_seconds_count{` + loki + `, status_code=~"5.."}[5m]))
/ sum by (route) (rate(loki_request_duration_seconds_count{` + loki + `}[5m])) > 0.1`,
		For:           "10m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Loki fails at {{ $labels.route }}",
		Description:   "{{ $value | humanizePercentage }} of the requests to {{ $labels.route }} of Loki fail.",
		ThresholdFrom: "10 % for 10 minutes: the collector tries again, and a restart takes a minute",
		Needs:         []Need{needManagedPrometheus, needLoki},
	}, {
		Alert: "LokiStorageFailing",
		Expr: `sum(increase(loki_ingester_chunks_flush_failures_total{` + loki + `}[15m])) > 0
or sum(increase(loki_ingester_wal_disk_full_failures_total{` + loki + `}[15m])) > 0`,
		For:           "15m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Loki can't write to its store",
		Description:   "Loki has failed to write chunks or its log for 15 minutes. Lines are kept in memory until that is full.",
		ThresholdFrom: "any failure; 15 minutes outlast Loki's own retries",
		Needs:         []Need{needManagedPrometheus, needLoki},
	}, {
		Alert: "LokiRetentionNotApplied",
		Expr: `max(time() - loki_compactor_apply_retention_last_successful_run_timestamp_seconds{` + loki +
			`} and loki_compactor_apply_retention_last_successful_run_timestamp_seconds{` + loki + `} > 0) > 10800`,
		For:           "15m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Loki does not remove what is past its retention",
		Description:   "Loki last applied its retention {{ $value | humanizeDuration }} ago. Its storage grows until it is full.",
		ThresholdFrom: "3 hours are eighteen runs that failed",
		Needs:         []Need{needManagedPrometheus, needLoki},
	}, {
		Alert: "JaegerLosesSpans",
		Expr: `sum(
  rate({__name__=~"otelcol_exporter_send_failed_spans(_total)?", ` + jaeger + `}[5m])
  or rate({__name__=~"otelcol_receiver_refused_spans(_total)?", ` + jaeger + `}[5m])
) > 0`,
		For:           "10m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Jaeger does not store spans",
		Description:   "Jaeger refuses or fails to store {{ $value | humanize }} spans a second. The collector sends them again until its queue is full.",
		ThresholdFrom: "any refusal; 10 minutes are well within the collector's queue",
		Needs:         []Need{needManagedPrometheus, needJaeger},
	}}...)}
}
