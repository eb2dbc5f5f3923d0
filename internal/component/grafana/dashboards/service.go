package dashboards

// Calls between services, as the collector's service graph counts them from pairs of spans.
const (
	calls       = `traces_service_graph_request_total`
	failedCalls = `traces_service_graph_request_failed_total`
	callBuckets = `traces_service_graph_request_server_seconds_bucket`
)

// edges gives calls the labels that the node graph reads: id, source and target.
func edges(expr string) string {
	return `label_join(label_replace(label_replace(` + expr +
		`, "source", "$1", "client", "(.+)"), "target", "$1", "server", "(.+)"), "id", " to ", "client", "server")`
}

func serviceBoard() board {
	const of = `, service_name="$service"}`
	own := func(series string) string { return series[:len(series)-1] + of }
	quantile := func(q, legend string) query {
		return query{expr: `histogram_quantile(` + q + `, sum by (le) (rate(` + own(buckets) + window + `)`, legend: legend, exemplars: q == "0.95"}
	}
	graph := func(title, about, unit string, queries ...query) panel {
		return panel{title: title, about: about, kind: kindGraph, store: Prometheus, unit: unit, width: 8, height: 8, queries: queries}
	}
	failed := graph("Failed requests",
		"Share of requests that end with an error."+asTheRule+"ServiceErrorsPersist (5 %) and ServiceErrorRateHigh (10 %).", "percentunit",
		query{expr: `(sum(rate(` + own(failures) + window + ` or vector(0)) / (sum(rate(` + own(requests) + window + ` > 0)`, legend: "failed"})
	failed.limits = rising(slowShare, errorShare)
	duration := graph("Duration",
		"Half, 95 % and 99 % of the requests stay under these. The points are traces. From 2 s on the collector keeps every trace as slow.", "s",
		quantile("0.5", "half"), quantile("0.95", "95 %"), quantile("0.99", "99 %"))
	duration.limits = above(sloSeconds)
	rate := graph("Requests per second", "By operation. The points are traces.", "reqps",
		query{expr: `sum by (span_name) (rate(` + own(requests) + window, legend: "{{span_name}}", exemplars: true})
	callers := graph("Called by", "Requests per second by the service that calls.", "reqps",
		query{expr: `sum by (client) (rate(` + calls + `{server="$service"}` + window, legend: "{{client}}"})
	callers.mayBeEmpty = "no service that is traced calls this one"
	callers.to = []target{{board: "service", title: "Service", with: "var-service=${__field.labels.client}"}}
	callees := graph("Calls", "Requests per second by the service that is called.", "reqps",
		query{expr: `sum by (server) (rate(` + calls + `{client="$service"}` + window, legend: "{{server}}"})
	callees.mayBeEmpty = "this service calls none that is traced"
	callees.to = []target{{board: "service", title: "Service", with: "var-service=${__field.labels.server}"}}
	slow := graph("Duration of calls by this service, 95th percentile", "By the service that is called, as that one measures it.", "s",
		query{expr: `histogram_quantile(0.95, sum by (server, le) (rate(` + callBuckets + `{client="$service"}` + window + `)`, legend: "{{server}}"})
	slow.mayBeEmpty = callees.mayBeEmpty
	return board{
		name: "service", title: "KubeBot: service", description: "One service: rate, errors, duration, whom it calls, traces, logs and events.",
		variables: []variable{varService}, links: []string{Home, "logs", "events", "workload"},
		panels: []panel{
			rate, failed, duration,
			{title: "Map of services", about: "Who calls whom in the whole cluster, in requests per second. A click on a service opens it.",
				kind: kindMap, store: Prometheus, unit: "reqps", width: 12, height: 12,
				queries: []query{{expr: edges(`sum by (client, server) (rate(` + calls + `[5m])) > 0`)}},
				to:      []target{{board: "service", title: "Service", with: "var-service=${__data.fields.target}"}}},
			{title: "All calls", about: "Each pair of services: calls per second and the share that fails, over 5 minutes.",
				kind: kindTable, store: Prometheus, width: 12, height: 12,
				queries: []query{
					{expr: `sum by (client, server) (rate(` + calls + `[5m])) > 0`},
					{expr: `(sum by (client, server) (rate(` + failedCalls + `[5m])) or sum by (client, server) (rate(` + calls +
						`[5m])) * 0) / (sum by (client, server) (rate(` + calls + `[5m])) > 0)`},
				},
				columns: []column{
					{field: "client", title: "From", to: []target{{board: "service", title: "Service", with: "var-service=${__value.raw}"}}},
					{field: "server", title: "To", to: []target{{board: "service", title: "Service", with: "var-service=${__value.raw}"}}},
					{field: "Value #A", title: "Calls", unit: "reqps"},
					{field: "Value #B", title: "Failed", unit: "percentunit", limits: rising(slowShare, errorShare)},
				}},
			callers, callees, slow,
			{title: "Traces",
				about: "The latest traces of the service that were kept: all that failed or were slow, and a share of the others. A click opens one.",
				kind:  kindTable, store: Jaeger, width: 12, height: 10, queries: []query{{expr: "$service"}}},
			{title: "Logs", about: "Lines of the service. A line's trace id leads to its trace.", kind: kindLogs, store: Loki, width: 12, height: 10,
				queries: []query{{expr: `{service_name="$service"}`}}, to: []target{{board: "logs", title: "All logs of this time"}}},
			{title: "Events", about: "Events of objects that are called like the service, such as its workload and pods.",
				kind: kindLogs, store: Loki, width: 24, height: 7,
				queries: []query{{expr: "{" + eventStream + "} | k8s_object_name=~`${service:regex}(-.+)?`" + ofWhat + aboutService}}, mayBeEmpty: noTrouble},
		},
	}
}
