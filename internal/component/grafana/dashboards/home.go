package dashboards

import "github.com/kubebot/kubebot/internal/endpoints"

// boards are all dashboards, in the order in which they are listed.
func boards() []board {
	return []board{
		home(), clusterBoard(), nodeBoard(), namespaceBoard(), workloadBoard(), serviceBoard(), logsBoard(), eventsBoard(),
		incidentsBoard(), kubebotBoard(),
	}
}

// Thresholds are those of KubeBot's own alerts, so that a panel turns red when somebody is told; package rules says
// where they come from.
const (
	memoryHigh   = 0.9
	diskFilling  = 0.15
	diskFull     = 0.03
	errorShare   = 0.1
	slowShare    = 0.05
	asTheRule    = " The thresholds are those of the alert "
	cpuBusy      = 0.9
	sloSeconds   = 2
	everySeconds = 300
)

// What spans tell of the requests that services serve. The series come from every pod of the collector's second tier,
// so sums go over them (label collector).
const (
	served   = `span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"`
	requests = `traces_span_metrics_calls_total{` + served + `}`
	failures = `traces_span_metrics_calls_total{` + served + `, status_code="STATUS_CODE_ERROR"}`
	buckets  = `traces_span_metrics_duration_seconds_bucket{` + served + `}`
)

const (
	perService = "sum by (service_name) (rate("
	window     = "[$__rate_interval]))"
)

// What Loki has: lines of pods, the cluster's events as a stream of their own, and the lines by which KubeBot proves that
// logs flow, which no panel shows.
const (
	eventStream = `service_name="` + endpoints.EventsService + `"`
	ofPods      = `service_name!~"` + endpoints.EventsService + `|` + endpoints.ProofService + `"`
	lineStream  = ofPods + `, k8s_namespace_name=~"$namespace"`
	badLevels   = `detected_level=~"error|fatal|critical"`
	// ofWhat says before an event's message what it is about, and ofWhom before a line who wrote it: in a list of those
	// of many objects neither tells of itself. An event's object leads to the dashboard of its workload.
	ofWhat = ofWorkload +
		" | line_format `{{.k8s_event_reason}} {{.k8s_object_kind}} {{if .k8s_object_namespace}}{{.k8s_object_namespace}}/{{end}}{{.k8s_object_name}}: {{__line__}}`"
	ofWhom = " | line_format `{{.k8s_namespace_name}}/{{.service_name}}: {{__line__}}`"
)

// Why panels may be empty although all is well.
const (
	noTrouble = "nothing of the kind happened in the time that is shown"
)

// errorsPerService is the share of failed requests. A service without failures has none of their series and counts as 0.
const errorsPerService = `(` + perService + failures + window + ` or ` + perService + requests + window + ` * 0) / (` + perService + requests + window + ` > 0)`

var (
	toService = target{board: "service", title: "Service", with: "var-service=${__field.labels.service_name}"}
	toEvents  = target{board: "events", title: "Events of this time", with: "${namespace:queryparam}"}
	toLogs    = target{board: "logs", title: "Logs of this time", with: "${namespace:queryparam}"}
)

// home is the dashboard to begin with: is the cluster well, is the stack well, what is open, how are the services.
func home() board {
	return board{
		name: Home, title: "KubeBot: home",
		description: "Health of the cluster and of the stack, open incidents, the golden signals of every service, logs, events and traces.",
		variables:   []variable{varNamespaces, varService},
		links:       []string{"cluster", "service", "incidents", "kubebot"},
		panels:      append(homeState(), append(homeServices(), homeSignals()...)...),
	}
}

func homeState() []panel {
	stat := func(title, about, expr string, limits []limit, to ...target) panel {
		return panel{title: title, about: about, kind: kindStat, store: Prometheus, queries: []query{{expr: expr}}, limits: limits, to: to, width: 4, height: 4}
	}
	open := stat("Open incidents",
		"Incidents that are not closed, by severity. Red from the first critical one on, orange and blue from the first of the others.",
		"max by (severity) (kubebot_responder_incidents)", nil, target{board: "incidents", title: "Incidents and deliveries"})
	open.queries[0].legend = "{{severity}}"
	open.width, open.limits, open.series = 8, above(1), severities
	share := func(p panel) panel {
		p.unit, p.full = "percentunit", true
		return p
	}
	return []panel{
		open,
		stat("Undelivered messages", "Messages that wait for their receiver."+asTheRule+"MessagesUndelivered.",
			"sum(max by (receiver_type) (kubebot_responder_undelivered)) or 0 * sum(kubebot_responder_incidents)",
			above(1), target{board: "incidents", title: "Incidents and deliveries"}),
		stat("Targets down", "What Prometheus can't scrape."+asTheRule+"TargetDown.",
			"sum(up == bool 0)", above(1), target{board: "kubebot", title: "KubeBot"}),
		share(stat("Nodes ready", "Share of the nodes that are ready."+asTheRule+"NodeNotReady.",
			`sum(max by (node) (kube_node_status_condition{condition="Ready", status="true"})) / count(max by (node) (kube_node_info))`,
			below(1), target{board: "cluster", title: "Cluster"})),
		stat("Pods waiting", "Pods that are not scheduled, not started or in an unknown state. Failed ones that are kept wait for nothing.",
			`sum(kube_pod_status_phase{phase=~"Pending|Unknown"})`, above(1), target{board: "cluster", title: "Cluster"}),
		share(stat("CPU in use", "Share of all nodes' CPU time that is not idle. Red from 90 % on, where requests begin to wait.",
			`1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))`, rising(0.75, cpuBusy), target{board: "cluster", title: "Cluster"})),
		share(stat("Memory in use", "Share of all nodes' memory that is not available."+asTheRule+"NodeMemoryHigh.",
			`1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes)`, rising(0.8, memoryHigh), target{board: "cluster", title: "Cluster"})),
		{
			title: "The stack", about: "The parts of the stack, as Prometheus sees them: down when one target of the part is.",
			kind: kindStat, store: Prometheus,
			queries: []query{{expr: `min by (job) (up{job=~"` + stackJobs + `"})`, legend: "{{job}}"}},
			states:  upDown, limits: below(1), width: 16, height: 4, to: []target{{board: "kubebot", title: "KubeBot"}},
		},
	}
}

// stackJobs are the jobs of the stack itself.
const stackJobs = "prometheus|alertmanager|kube-state-metrics|node-exporter|loki|jaeger|grafana|fluent-bit|kubebot-.+"

func homeServices() []panel {
	service := []target{toService}
	return []panel{{
		title: "Requests per second", about: "Requests that each service serves, from its spans. The points are traces: a click opens one in Jaeger.",
		kind: kindGraph, store: Prometheus, unit: "reqps", width: 8, height: 8, to: service,
		queries: []query{{expr: perService + requests + window, legend: "{{service_name}}", exemplars: true}},
	}, {
		title: "Failed requests", about: "Share of the requests of each service that end with an error." + asTheRule +
			"ServiceErrorsPersist (5 %) and ServiceErrorRateHigh (10 %).",
		kind: kindGraph, store: Prometheus, unit: "percentunit", limits: rising(slowShare, errorShare), width: 8, height: 8, to: service,
		queries: []query{{expr: errorsPerService, legend: "{{service_name}}"}},
	}, {
		title: "Duration, 95th percentile",
		about: "The duration that 95 % of each service's requests stay under. From 2 s on the collector keeps every trace as slow (spec.traces.sampling.slowThreshold's default).",
		kind:  kindGraph, store: Prometheus, unit: "s", limits: above(sloSeconds), width: 8, height: 8, to: service,
		queries: []query{{
			expr:   `histogram_quantile(0.95, sum by (service_name, le) (rate(` + buckets + window + `)`,
			legend: "{{service_name}}", exemplars: true,
		}},
	}}
}

func homeSignals() []panel {
	return []panel{{
		title: "Alerts that fire", about: "What fires now, without the watchdog, which always does.", kind: kindTable, store: Prometheus, width: 12, height: 8,
		queries:    []query{{expr: `sum by (alertname, severity, namespace, workload) (ALERTS{alertstate="firing", alertname!="Watchdog"})`}},
		columns:    alertColumns(),
		mayBeEmpty: "no alert fires while all is well",
	}, {
		title: "Traces",
		about: "The latest traces of the chosen service that were kept: all that failed or were slow, and a share of the others. A click opens one.",
		kind:  kindTable, store: Jaeger, width: 12, height: 8,
		queries: []query{{expr: "$service"}},
	}, {
		title: "Log lines per second", about: "Lines by severity, as Loki detects it.",
		kind: kindGraph, store: Loki, unit: "cps", stacked: true, series: levels, width: 8, height: 8, to: []target{toLogs},
		queries: []query{{expr: `sum by (detected_level) (rate({` + lineStream + `} [$__auto]))`, legend: "{{detected_level}}"}},
	}, {
		title: "Error lines", about: "The latest lines of severity error or worse. A line's trace id leads to its trace.",
		kind: kindLogs, store: Loki, width: 16, height: 8,
		queries: []query{{expr: `{` + lineStream + `} | ` + badLevels + ofWhom}}, mayBeEmpty: noTrouble,
	}, {
		title: "Events", about: "The cluster's events.", kind: kindLogs, store: Loki, width: 24, height: 8, to: []target{toEvents},
		queries: []query{{expr: `{` + eventStream + `}` + ofWhat}},
	}}
}

func alertColumns() []column {
	return []column{
		{field: "alertname", title: "Alert"}, {field: "severity", title: "Severity"},
		{field: "namespace", title: "Namespace", to: []target{{board: "namespace", title: "Namespace", with: "var-namespace=${__value.raw}"}}},
		{field: "workload", title: "Workload",
			to: []target{{board: "workload", title: "Workload", with: "var-workload=${__value.raw}&var-namespace=${__data.fields.Namespace}"}}},
	}
}
