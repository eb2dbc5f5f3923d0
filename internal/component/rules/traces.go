package rules

import (
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// Series of the requests that spans tell of, all per second, by workload and service name. Those of calls are by the
// caller's service name.
const (
	tracedRequests   = "kubebot:traced_requests:rate"
	tracedErrors     = "kubebot:traced_errors:rate"
	tracedSeconds    = "kubebot:traced_seconds:rate"
	calledErrors     = "kubebot:called_errors:rate"
	calledSeconds    = "kubebot:called_seconds:rate"
	tracedOwnErrors  = "kubebot:traced_own_errors:rate"
	tracedOwnSeconds = "kubebot:traced_own_seconds:mean"
	tracedUsual      = "kubebot:traced_own_seconds:usual"
)

// Thresholds of the alerts about slow services: how many times slower than usual, and how many seconds.
const (
	slowTimes, slowMore         = "2", "0.1"
	verySlowTimes, verySlowMore = "5", "1"
	// usualWindow ends usualOffset ago, and must hold usualSamples.
	usualWindow, usualOffset, usualSamples = "6h", "5m", "20"
)

var needCollector = Need{
	has: func(in component.Input) bool { return endpoints.CollectorHost(in.KubeBot) != "" },
	without: "KubeBot runs no OpenTelemetry collector, which makes metrics of spans; spec.traces.collector.mode: Managed " +
		"brings it back",
}

// tracesGroup tells of services by their spans alone: they need no metrics of their own.
func tracesGroup(window string) Group {
	rules := append(traced(window), slowAlerts()...)
	rules = append(rules, tracedErrorAlert())
	for i := range rules {
		rules[i].Needs = append(rules[i].Needs, needCollector)
	}
	return Group{Name: "kubebot-traces", Rules: rules}
}

// traced records what each workload served, and what of that passed in services that it called. What remains is its own:
// its code, the way to its callees, and what has no spans, such as most databases. So when one service is slow or fails,
// its callers are not told of too.
func traced(window string) []Rule {
	named := " and on (service_name) (count by (service_name) (" + tracedRequests + ") == 1)"
	own := func(all, called string) string {
		return "clamp_min(" + all + " - on (service_name) group_left () " + called + ", 0)\nor " + all
	}
	return []Rule{
		{Record: tracedRequests, Expr: served("calls_total", "", window)},
		{Record: tracedErrors, Expr: served("calls_total", `, status_code="STATUS_CODE_ERROR"`, window) + "\nor " + tracedRequests + " * 0"},
		{Record: tracedSeconds, Expr: served("duration_seconds_sum", "", window)},
		// A name that several workloads share says not whose calls they are.
		{Record: calledErrors, Expr: called("failed_total", window) + named},
		{Record: calledSeconds, Expr: called("server_seconds_sum", window) + named},
		{Record: tracedOwnErrors, Expr: own(tracedErrors, calledErrors)},
		{Record: tracedOwnSeconds, Expr: "(\n" + own(tracedSeconds, calledSeconds) + "\n) / (" + tracedRequests + " > 0)"},
		{
			Record: tracedUsual,
			Expr: "quantile_over_time(0.5, " + tracedOwnSeconds + "[" + usualWindow + "] offset " + usualOffset + ")\nand count_over_time(" +
				tracedOwnSeconds + "[" + usualWindow + "] offset " + usualOffset + ") >= " + usualSamples,
		},
	}
}

// served sums a series of span metrics over the pods of the collector, by the workload that the spans name.
func served(series, selector, window string) string {
	var kinds []string
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		label := "k8s_" + strings.ToLower(kind) + "_name"
		kinds = append(kinds, `label_replace(label_replace(label_replace(
    rate(traces_span_metrics_`+series+`{span_kind="SPAN_KIND_SERVER", service_name!="`+endpoints.ProofService+
			`", k8s_namespace_name!="", `+label+`!=""`+selector+`}[`+window+`]),
    "namespace", "$1", "k8s_namespace_name", "(.+)"), "workload", "$1", "`+label+`", "(.+)"), "workload_kind", "`+kind+`", "", "")`)
	}
	return "sum by (" + byWorkload + ", service_name) (\n  " + strings.Join(kinds, "\n  or ") + "\n)"
}

// called sums a series of the service graph by the caller. Only calls whose two sides are known are in it: what a
// database or a queue does has no spans of its own.
func called(series, window string) string {
	return `sum by (service_name) (label_replace(
  rate(traces_service_graph_request_` + series + `{connection_type="", client!="", server!=""}[` + window + `]),
  "service_name", "$1", "client", "(.+)"))`
}

func slowAlerts() []Rule {
	// Who waits for a callee that fails, or is down, is not told of: the callee is.
	waits := workloadFailed + " and on (dependency) " + failingDependency
	slower := func(times, more string) string {
		return tracedOwnSeconds + " > " + times + " * " + tracedUsual + "\nand " + tracedOwnSeconds + " - " + tracedUsual + " > " + more +
			"\nand " + tracedRequests + " >= " + minRequests + "\nunless on (" + byWorkload + ") (" + waits + ")"
	}
	const described = about + " takes {{ $value | humanizeDuration }} for a request on average, without the time that passes in the " +
		"services that it calls, and was faster in the hours before."
	const usual = "; usual is the median of the 6 hours until 5 minutes ago, which a trouble of less than 3 hours does not move; " +
		"at least 0.5 requests a second, as for ServiceErrorRateHigh"
	return []Rule{{
		Alert: "ServiceSlow", Expr: slower(slowTimes, slowMore), For: "2m", Severity: string(v1alpha1.SeverityWarning),
		Summary:     about + " is slower than usual",
		Description: described,
		ThresholdFrom: "twice the usual, and 0.1 s more, the limit of what people feel as instantaneous (Nielsen, Usability Engineering, " +
			"1993, chapter 5)" + usual + "; 2 minutes, so that a restart and cold caches are over",
	}, {
		Alert: "ServiceVerySlow", Expr: slower(verySlowTimes, verySlowMore), For: "1m", Severity: string(v1alpha1.SeverityCritical),
		Summary:     about + " is far slower than usual",
		Description: described,
		ThresholdFrom: "five times the usual, and 1 s more, the limit at which people's flow of thought breaks (Nielsen, Usability " +
			"Engineering, 1993, chapter 5)" + usual + "; 1 minute is four evaluations",
	}}
}

// tracedErrorAlert is for workloads of which ServiceErrorRateHigh is not, because nobody scrapes metrics of their own.
func tracedErrorAlert() Rule {
	return Rule{
		Alert: alertSpanErrors,
		Expr: tracedOwnErrors + " / " + tracedRequests + " > " + errorShare + "\nand " + tracedRequests + " >= " + minRequests +
			"\nunless on (" + byWorkload + ") " + scrapedRequests,
		For:      "30s",
		Severity: string(v1alpha1.SeverityCritical),
		Summary:  about + " fails requests, as its spans say",
		Description: about + " ends {{ $value | humanizePercentage }} of the requests that it serves with an error, without those that " +
			"failed because a service that it called did.",
		ThresholdFrom: "the figures of ServiceErrorRateHigh",
	}
}
