package dashboards

// Source is a data source of Grafana.
type Source struct {
	// Store that it reads; UID and Type follow from it.
	Store Store
	UID   string
	Type  string
	// Name that people see, unique in the Grafana.
	Name string
	URL  string
	// Settings are Grafana's jsonData. Headers are sent along with every call; they hold no secret.
	Settings map[string]any
	Headers  map[string]string
}

// Addresses are those of the stores, as Grafana's server reaches them.
type Addresses struct {
	Prometheus, Alertmanager, Loki, LokiTenant, Jaeger string
}

// tenantHeader is how Loki is told the tenant.
const tenantHeader = "X-Scope-OrgID"

// Sources returns the data sources of the stores that there are, with the links from one signal to the next: a metric's
// exemplar opens its trace, a trace its logs and metrics, a log line its trace.
func Sources(o Options, at Addresses) []Source {
	var out []Source
	add := func(s Store, address string, settings map[string]any) {
		if o.has(s) {
			out = append(out, Source{
				Store: s, UID: o.UID(string(s)), Type: string(s), Name: "KubeBot " + o.ClusterName + " " + string(s), URL: address, Settings: settings,
			})
		}
	}
	add(Prometheus, at.Prometheus, o.prometheusSettings())
	add(Alertmanager, at.Alertmanager, map[string]any{"implementation": "prometheus", "handleGrafanaManagedAlerts": false})
	add(Loki, at.Loki, o.lokiSettings())
	add(Jaeger, at.Jaeger, o.jaegerSettings())
	for i := range out {
		if out[i].Store == Loki && at.LokiTenant != "" {
			out[i].Headers = map[string]string{tenantHeader: at.LokiTenant}
		}
	}
	return out
}

func (o Options) prometheusSettings() map[string]any {
	settings := map[string]any{"httpMethod": "POST", "prometheusType": "Prometheus", "timeInterval": o.ScrapeInterval, "manageAlerts": false}
	if o.has(Alertmanager) {
		settings["alertmanagerUid"] = o.UID(string(Alertmanager))
	}
	if o.has(Jaeger) {
		settings["exemplarTraceIdDestinations"] = []any{map[string]any{"name": "trace_id", "datasourceUid": o.UID(string(Jaeger)), "urlDisplayLabel": "Trace"}}
	}
	return settings
}

func (o Options) lokiSettings() map[string]any {
	fields := []any{}
	if o.has(Jaeger) {
		fields = append(fields, map[string]any{
			"name": "Trace", "matcherType": "label", "matcherRegex": "trace_id", "url": "${__value.raw}",
			"datasourceUid": o.UID(string(Jaeger)), "urlDisplayLabel": "Trace",
		})
	}
	for _, to := range []struct{ name, label, board, with string }{
		{"Namespace", "k8s_namespace_name", "namespace", "var-namespace=${__value.raw}"},
		{"Namespace of the object", "k8s_object_namespace", "namespace", "var-namespace=${__value.raw}"},
		{"Workload of the object", labelWorkload, "workload", "var-namespace=${__value.raw:raw}"},
		{"Node", "k8s_node_name", "node", "var-node=${__value.raw}"},
	} {
		fields = append(fields, map[string]any{
			"name": to.name, "matcherType": "label", "matcherRegex": to.label, "urlDisplayLabel": "Dashboard",
			"url": "/d/" + o.UID(to.board) + "?${__url_time_range}&" + to.with,
		})
	}
	return map[string]any{"maxLines": 1000, "manageAlerts": false, "derivedFields": fields}
}

// spanTags map what Grafana knows of a span to the labels of the series that are made of spans. The service is not among it:
// Jaeger takes service.name out of the tags of a process, and Grafana looks for nothing else. The span's own name always is.
func spanTags() []any {
	var tags []any
	for _, tag := range [][2]string{
		{"name", "span_name"}, {"k8s.namespace.name", "k8s_namespace_name"}, {"k8s.deployment.name", "k8s_deployment_name"},
		{"k8s.statefulset.name", "k8s_statefulset_name"}, {"k8s.daemonset.name", "k8s_daemonset_name"},
	} {
		tags = append(tags, map[string]any{"key": tag[0], "value": tag[1]})
	}
	return tags
}

func (o Options) jaegerSettings() map[string]any {
	settings := map[string]any{
		"nodeGraph":  map[string]any{"enabled": true},
		"traceQuery": map[string]any{"timeShiftEnabled": true, "spanStartTimeShift": "-1h", "spanEndTimeShift": "1h"},
		"spanBar":    map[string]any{"type": "Tag", "tag": "http.response.status_code"},
	}
	if o.has(Loki) {
		settings["tracesToLogsV2"] = map[string]any{
			"datasourceUid": o.UID(string(Loki)), "spanStartTimeShift": "-5m", "spanEndTimeShift": "5m",
			"tags": spanTags(), "filterByTraceID": false, "filterBySpanID": false,
			"customQuery": true, "query": `{service_name=~".+"} | trace_id="${__trace.traceId}"` + " | line_format `{{.service_name}}: {{__line__}}`",
		}
	}
	if o.has(Prometheus) {
		settings["tracesToMetrics"] = map[string]any{
			"datasourceUid": o.UID(string(Prometheus)), "spanStartTimeShift": "-15m", "spanEndTimeShift": "15m", "tags": spanTags(),
			"queries": []any{
				map[string]any{"name": "Requests per second", "query": "sum(rate(traces_span_metrics_calls_total{$__tags}[5m]))"},
				map[string]any{
					"name":  "Failed requests per second",
					"query": `sum(rate(traces_span_metrics_calls_total{$__tags, status_code="STATUS_CODE_ERROR"}[5m]))`,
				},
				map[string]any{
					"name":  "Duration, 95th percentile",
					"query": "histogram_quantile(0.95, sum by (le) (rate(traces_span_metrics_duration_seconds_bucket{$__tags}[5m])))",
				},
			},
		}
	}
	return settings
}
