package rules

import (
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Series of the requests that workloads serve and of the calls that they make, all per second.
const (
	podRequests       = "kubebot:pod_server_requests:rate"
	podErrors         = "kubebot:pod_server_errors:rate"
	podClientErrors   = "kubebot:pod_client_errors:rate"
	podFailed         = "kubebot:pod_dependency_errors:rate"
	workloadRequests  = "kubebot:workload_server_requests:rate"
	scrapedRequests   = "kubebot:workload_scraped_requests:rate"
	workloadErrors    = "kubebot:workload_server_errors:rate"
	workloadOwnErrors = "kubebot:workload_own_errors:rate"
	workloadFailed    = "kubebot:workload_client_errors:rate"
	addressDependency = "kubebot:address:dependency"
	serviceDependency = "kubebot:dependency:workload"
	failingDependency = "kubebot:dependency:failing"
)

// Thresholds of the error rate of a service.
const (
	errorShare  = "0.1"
	minRequests = "0.5"
	slowShare   = "0.05"
	slowErrors  = "10"
	slowWindow  = "10m"
	slowSeconds = "600"
	lastWindow  = "2m"
)

// protocol is one way in which OpenTelemetry's instrumentation libraries count requests.
type protocol struct {
	name string
	// server and client are counters of requests and of calls.
	server, client string
	// failed selects the requests that failed by the server's fault. clientFailed are further selectors of calls.
	failed       string
	clientFailed []string
	// address is the label of the client's counter that holds whom it called.
	address string
}

// protocols are those of OpenTelemetry's semantic conventions: the stable ones for HTTP (1.23) and RPC, and those
// before, which many libraries still speak. The failed gRPC codes are the server's of the conventions: UNKNOWN,
// DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. A call without an answer has an error_type and
// no status.
var protocols = []protocol{{
	name:   "http",
	server: "http_server_request_duration_seconds_count", client: "http_client_request_duration_seconds_count",
	failed:       `http_response_status_code=~"5.."`,
	clientFailed: []string{`http_response_status_code="", error_type!=""`},
	address:      "server_address",
}, {
	name:   "rpc",
	server: "rpc_server_call_duration_seconds_count", client: "rpc_client_call_duration_seconds_count",
	failed:  `rpc_response_status_code=~"UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"`,
	address: "server_address",
}, {
	name:   "http-old",
	server: "http_server_duration_milliseconds_count", client: "http_client_duration_milliseconds_count",
	failed:  `http_status_code=~"5.."`,
	address: "net_peer_name",
}, {
	name:   "rpc-old",
	server: "rpc_server_duration_milliseconds_count", client: "rpc_client_duration_milliseconds_count",
	failed:  `rpc_grpc_status_code=~"2|4|12|13|14|15"`,
	address: "server_address",
}}

func serviceGroup(s settings) Group {
	rules := podTraffic(s.windows)
	rules = append(rules, workloadTraffic()...)
	rules = append(rules, blame(s.downKnown, s.explains)...)
	rules = append(rules, serviceAlerts(s.spansKnown, s.explains)...)
	for i := range rules {
		rules[i].Needs = append(rules[i].Needs, needKubeStateMetrics)
	}
	return Group{Name: "kubebot-services", Rules: rules}
}

// A pod's metrics are scraped, or it pushes them by OTLP: then the resource attributes that Prometheus promotes say whose
// they are. The label source of what is recorded tells which.
const (
	scraped = `namespace!="", pod!=""`
	pushed  = `pod="", k8s_namespace_name!="", k8s_pod_name!=""`
)

// podTraffic records what each pod served and called, whatever the protocol. Of a pod that is scraped and pushes as well,
// what is scraped counts.
func podTraffic(w windows) []Rule {
	var out []Rule
	for _, p := range protocols {
		add := func(record, more string, of func(source, window string) string) {
			out = append(out, Rule{
				Record: record, Labels: map[string]string{"protocol": p.name, "source": "scraped"},
				Expr: "sum by (namespace, pod" + more + ") (" + of(scraped, w.scraped) + ")",
			}, Rule{
				Record: record, Labels: map[string]string{"protocol": p.name, "source": "pushed"},
				Expr: `sum by (namespace, pod` + more + `) (label_replace(label_replace(
  sum by (k8s_namespace_name, k8s_pod_name` + more + `) (` + of(pushed, w.pushed) + `),
  "namespace", "$1", "k8s_namespace_name", "(.+)"), "pod", "$1", "k8s_pod_name", "(.+)"))
unless on (namespace, pod) ` + record + `{protocol="` + p.name + `", source="scraped"}`,
			})
		}
		add(podRequests, "", func(source, window string) string { return rate(p.server, "", source, window) })
		add(podErrors, "", func(source, window string) string { return rate(p.server, p.failed, source, window) })
		add(podClientErrors, ", server_address", p.failedCalls)
	}
	return out
}

func rate(metric, selector, source, window string) string {
	return "rate(" + metric + "{" + strings.TrimPrefix(selector+", "+source, ", ") + "}[" + window + "])"
}

// failedCalls are those that failed by the fault of whom they called, with its address.
func (p protocol) failedCalls(source, window string) string {
	calls := rate(p.client, p.failed, source, window)
	for _, selector := range p.clientFailed {
		calls += " or " + rate(p.client, selector, source, window)
	}
	if p.address != "server_address" {
		calls = `label_replace(` + calls + `, "server_address", "$1", "` + p.address + `", "(.+)")`
	}
	return calls
}

// workloadTraffic sums over the pods of a workload, and names whom it called: namespace/name of a Service or workload
// where the address is one of this cluster's, else the host.
func workloadTraffic() []Rule {
	return []Rule{{
		Record: workloadRequests,
		Expr:   perWorkload("sum by (namespace, pod) (" + podRequests + ")"),
	}, {
		Record: scrapedRequests,
		Expr:   perWorkload("sum by (namespace, pod) (" + podRequests + `{source="scraped"})`),
	}, {
		Record: workloadErrors,
		Expr:   perWorkload("sum by (namespace, pod) ("+podErrors+")") + "\nor " + workloadRequests + " * 0",
	}, {
		// Libraries for gRPC report the address that they reached instead of the name that they were given.
		Record: addressDependency,
		Expr: `topk by (server_address) (1, group by (server_address, dependency) (
  label_replace(label_join(
    kube_service_info{cluster_ip!~"|None"},
    "dependency", "/", "namespace", "service"), "server_address", "$1", "cluster_ip", "(.+)")
  or
  label_replace(label_join(
    (
      group by (namespace, pod, pod_ip) (kube_pod_info{pod_ip!="", host_network="false"})
      and on (namespace, pod) kube_pod_status_phase{phase="Running"} == 1
    )
    ` + joinOwner + `,
    "dependency", "/", "namespace", "workload"), "server_address", "$1", "pod_ip", "(.+)")
) and on (server_address) ` + podClientErrors + `)`,
	}, {
		// A Service of one workload stands for it; one of several keeps its name.
		Record: serviceDependency,
		Expr: `label_join(label_join(
  ` + serviceWorkload + `
  and on (namespace, service) count by (namespace, service) (` + serviceWorkload + `) == 1,
  "dependency", "/", "namespace", "service"), "target", "/", "namespace", "workload")`,
	}, {
		Record: podFailed,
		Expr: podClientErrors + ` * on (server_address) group_left (dependency) ` + addressDependency + `
or
` + namedDependency(podClientErrors+` unless on (server_address) `+addressDependency),
	}, {
		Record: workloadFailed,
		Expr: `sum by (` + byWorkload + `, dependency) (
  (
    label_replace(
      ` + podFailed + ` * on (dependency) group_left (target) ` + serviceDependency + `,
      "dependency", "$1", "target", "(.+)")
    or ` + podFailed + ` unless on (dependency) ` + serviceDependency + `
  )
  ` + joinOwner + `
)`,
	}}
}

// namedDependency sets the label dependency by the name in server_address: a Service of the same namespace, or of
// the one in its name, or else the host.
func namedDependency(calls string) string {
	return `label_replace(label_replace(label_replace(label_replace(label_join(
      ` + calls + `,
      "target", "/", "namespace", "server_address"),
      "dependency", "$1", "server_address", "(.+)"),
      "dependency", "$1", "target", "([^/]+/[a-z]([-a-z0-9]*[a-z0-9])?)"),
      "dependency", "$2/$1", "server_address", "([^.]+)[.]([^.]+)[.]svc([.].+)?"),
      "dependency", "$1", "server_address", "(localhost)")`
}

// blame finds which failing workload makes others fail. A workload's own errors are those that failing calls of
// workloads that fail themselves, or are down, do not explain: when payment fails, checkout and frontend do too, and
// one message about payment is wanted. Errors of callees that nothing else tells of stay the caller's own. What fails
// explains for a while after it has ended: the rates of the callers hold it for a window, and when failing pods are
// replaced, their own rates go at once.
func blame(downKnown bool, explains string) []Rule {
	failing := workloadErrors + " / " + workloadRequests + " > " + errorShare + " and " + workloadRequests + " >= " + minRequests
	if downKnown {
		failing = "(" + failing + ")\n    or " + workloadDown
	}
	failing = "group by (" + byWorkload + ") (\n    " + failing + "\n  )"
	return []Rule{{
		Record: failingDependency,
		Expr: `group by (` + byWorkload + `, dependency) (
  label_join(` + failing + `, "dependency", "/", "namespace", "workload")
  or
  label_join(
    ` + serviceWorkload + ` and on (` + byWorkload + `) ` + failing + `,
    "dependency", "/", "namespace", "service")
)`,
	}, {
		Record: workloadOwnErrors,
		Expr: `clamp_min(
  ` + workloadErrors + ` - on (` + byWorkload + `) sum by (` + byWorkload + `) (
    ` + workloadFailed + `
    and on (dependency) max_over_time(` + failingDependency + `[` + explains + `])
    unless on (` + byWorkload + `, dependency) ` + failingDependency + `
  ), 0)
or ` + workloadErrors,
	}}
}

func serviceAlerts(spansKnown bool, explains string) []Rule {
	expr := workloadOwnErrors + " / " + workloadRequests + " > " + errorShare + "\nand " + workloadRequests + " >= " + minRequests
	if spansKnown { // they come and go sooner than what is pushed
		const spans = `ALERTS{alertname="` + alertSpanErrors + `"`
		expr += "\nunless on (" + byWorkload + ") (" + spans + "} or max_over_time(" + spans + `, alertstate="firing"}[` + explains + "]))"
	}
	worst := `{{ with printf "topk(1, ` + workloadFailed + `{namespace=%q, workload_kind=%q, workload=%q, dependency!=\"\"} > 0)" ` +
		`$labels.namespace $labels.workload_kind $labels.workload | query }} Of its own calls, those to ` +
		`{{ . | first | label "dependency" }} fail most.{{ end }}`
	return []Rule{{
		Alert:    "ServiceErrorRateHigh",
		Expr:     expr,
		For:      "30s",
		Severity: string(v1alpha1.SeverityCritical),
		Summary:  about + " fails requests",
		Description: about + " answers {{ $value | humanizePercentage }} of its requests with a server error, and no " +
			"failing workload that it calls explains them." + worst,
		ThresholdFrom: "10 % of the requests spends the error budget of a month at 99.9 % in 7 hours; the SRE workbook " +
			"pages at a seventh of that pace and looks at an hour, this looks at a minute, or at three of metrics that are " +
			"pushed; at least 0.5 requests a second, so that 3 failed requests at least stand behind it; 30 seconds are two " +
			"evaluations more",
	}, {
		Alert: "ServiceDependencyErrors",
		Expr: workloadFailed + " / on (" + byWorkload + ") group_left () (" + workloadRequests + " >= " + minRequests +
			") > " + errorShare,
		For:      "30s",
		Severity: string(v1alpha1.SeverityWarning),
		Summary:  "Calls of {{ $labels.dependency }} by " + about + " fail",
		Description: "For each request that it serves, " + about + " makes {{ $value | humanize }} calls of " +
			"{{ $labels.dependency }} that fail.",
		ThresholdFrom: "the figures of ServiceErrorRateHigh",
	}, {
		Alert: "ServiceErrorsPersist",
		Expr: shareOver(slowWindow) + " > " + slowShare + "\nand " + shareOver(lastWindow) + " > " + slowShare +
			"\nand avg_over_time(" + workloadOwnErrors + "[" + slowWindow + "]) * " + slowSeconds + " >= " + slowErrors,
		For:         "5m",
		Severity:    string(v1alpha1.SeverityWarning),
		Summary:     about + " goes on failing some requests",
		Description: about + " has answered {{ $value | humanizePercentage }} of its requests of the last 10 minutes with a server error.",
		ThresholdFrom: "5 % of 10 minutes, the slow page of the SRE workbook (a rate of 6 at 99 %, rounded down), and of the last 2, a short " +
			"window as there, so that what is over is not told again; at least 10 errors, so that services with little traffic are heard and single failures are not",
	}}
}

// shareOver is the share of a workload's requests that it failed by itself, over a window.
func shareOver(window string) string {
	return "avg_over_time(" + workloadOwnErrors + "[" + window + "]) / avg_over_time(" + workloadRequests + "[" + window + "])"
}
