package dashboards

func incidentsBoard() board {
	graph := func(title, about, unit string, queries ...query) panel {
		return panel{title: title, about: about, kind: kindGraph, store: Prometheus, unit: unit, width: 8, height: 8, queries: queries}
	}
	open := panel{
		title: "Open incidents",
		about: "Incidents that are not closed, by severity. Red from the first critical one on. `kubectl get incidents` lists them.",
		kind:  kindStat, store: Prometheus, limits: above(1), series: severities, width: 12, height: 5,
		queries: []query{{expr: `max by (severity) (kubebot_responder_incidents)`, legend: "{{severity}}"}},
	}
	waiting := panel{
		title: "Undelivered messages", about: "Messages that wait for their receiver, by its type." + asTheRule + "MessagesUndelivered.",
		kind: kindStat, store: Prometheus, limits: above(1), width: 12, height: 5,
		queries:    []query{{expr: `max by (receiver_type) (kubebot_responder_undelivered)`, legend: "{{receiver_type}}"}},
		mayBeEmpty: "the KubeBot has no receivers",
	}
	const receivers = "the KubeBot has no receivers, or no message was due"
	deliveries := graph("Deliveries", "Attempts per minute by their outcome.", "cpm",
		query{expr: `60 * sum by (receiver_type, outcome) (rate(kubebot_responder_deliveries_total` + window, legend: "{{receiver_type}} {{outcome}}"})
	deliveries.mayBeEmpty = receivers
	unsent := graph("Alerts that Alertmanager could not hand on",
		"Notifications per minute that failed, by where they were for. The alert AlertmanagerNotificationsFailing tells of them.", "cpm",
		query{expr: `60 * sum by (integration) (rate(alertmanager_notifications_failed_total` + window + ` > 0`, legend: "{{integration}}"})
	unsent.mayBeEmpty = "Alertmanager handed on all of its notifications"
	delay := graph("Delay of messages, 95th percentile",
		"Seconds from a change of an incident until its receiver accepted the message. Red from 30 s on: the promise is a message within that.", "s",
		query{
			expr:   `histogram_quantile(0.95, sum by (receiver_type, le) (increase(kubebot_responder_delivery_seconds_bucket[1h])))`,
			legend: "{{receiver_type}}",
		})
	delay.limits, delay.mayBeEmpty = above(30), receivers
	decisions := graph("Decisions by reason",
		"Incidents of the last hour that were pushed (Notify), put into a digest, or held back (Quiet), by what decided; one is counted again when its decision changes. docs/noise.md explains the reasons.", "none",
		query{expr: `sum by (verdict, reason) (increase(kubebot_responder_decisions_total[1h])) > 0`, legend: "{{verdict}}: {{reason}}"},
		query{expr: `sum(increase(kubebot_responder_flaps_held_back_total[1h])) > 0`, legend: "Quiet: returns of flapping ones"})
	decisions.width, decisions.mayBeEmpty = 16, "nothing was decided about an incident in this time"
	return board{
		name: "incidents", title: "KubeBot: incidents and deliveries", description: "What came in, what became an incident, and what people were told.",
		links: []string{Home, "kubebot", "events"},
		panels: []panel{
			open, waiting,
			{title: "Alerts that fire", about: "What fires now, without the watchdog, which always does.",
				kind: kindTable, store: Prometheus, width: 16, height: 8,
				queries: []query{{expr: `sum by (alertname, severity, namespace, workload) (ALERTS{alertstate="firing", alertname!="Watchdog"})`}},
				columns: alertColumns(), mayBeEmpty: "no alert fires while all is well"},
			{title: "Age of the watchdog alert",
				about: "Seconds since the alert that always fires came through the whole path. It comes every minute; from 5 minutes on other alerts may be lost too.",
				kind:  kindStat, store: Prometheus, unit: "s", limits: above(everySeconds), width: 8, height: 8,
				queries: []query{{expr: `time() - max(kubebot_responder_watchdog_timestamp_seconds)`, legend: "age"}}},
			graph("Alerts that came in", "Alerts per second by source.", "cps",
				query{expr: `sum by (source) (rate(kubebot_responder_alerts_ingested_total` + window, legend: "{{source}}"}),
			deliveries, delay,
			decisions,
			{title: "Pushed, in digests, held back",
				about: "Decisions of the last 24 hours about incidents: Notify was pushed, Digest was told together with others, Quiet was recorded alone.",
				kind:  kindStat, store: Prometheus, unit: "none", limits: []limit{{0, blue}}, width: 8, height: 8,
				queries: []query{{expr: `round(sum by (verdict) (increase(kubebot_responder_decisions_total[24h])))`, legend: "{{verdict}}"}}},
			graph("Time to store, 99th percentile", "Seconds from the arrival of alerts until they are stored; Alertmanager is answered after that.", "s",
				query{expr: `histogram_quantile(0.99, sum by (le) (rate(kubebot_responder_store_seconds_bucket` + window + `)`, legend: "99 %"}),
			graph("Writes of incidents", "Writes per second by verb and result.", "cps",
				query{expr: `sum by (verb, result) (rate(kubebot_responder_incident_writes_total` + window, legend: "{{verb}} {{result}}"}),
			unsent,
		},
	}
}

// orNone is zero where the collector is measured: the counters of what it loses are there only after the first loss.
const orNone = ` or 0 * sum(otelcol_exporter_queue_capacity)`

func kubebotBoard() board {
	graph := func(title, about, unit string, queries ...query) panel {
		return panel{title: title, about: about, kind: kindGraph, store: Prometheus, unit: unit, width: 8, height: 8, queries: queries}
	}
	failed := graph("Objects that KubeBot applied", "Objects per second that were compared with what is wanted, by what came of it.", "cps",
		query{expr: `sum by (result) (rate(kubebot_applies_total` + window, legend: "{{result}}"})
	sent := graph("Sent by the collector", "Spans, log records and metric points per second that the collector handed to the stores.", "cps",
		query{expr: `sum(rate(otelcol_exporter_sent_spans_total` + window, legend: "spans"},
		query{expr: `sum(rate(otelcol_exporter_sent_log_records_total` + window, legend: "log records"},
		query{expr: `sum(rate(otelcol_exporter_sent_metric_points_total` + window, legend: "metric points"})
	lost := graph("Not taken",
		"What the collector's receivers refused and its exporters gave up, per second. Anything above zero is loss or a client that must retry.", "cps",
		query{expr: `sum(rate(otelcol_receiver_refused_spans_total` + window + orNone, legend: "refused spans"},
		query{expr: `sum(rate(otelcol_receiver_refused_log_records_total` + window + orNone, legend: "refused log records"},
		query{expr: `sum(rate(otelcol_exporter_send_failed_spans_total` + window + orNone, legend: "failed spans"},
		query{expr: `sum(rate(otelcol_exporter_send_failed_log_records_total` + window + orNone, legend: "failed log records"})
	queue := graph("Queues of the collector", "Share of each exporter's queue that is full: what waits for a store. Red from 80 % on.", "percentunit",
		query{expr: `max by (exporter, data_type) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)`, legend: "{{exporter}} {{data_type}}"})
	queue.limits = rising(0.5, 0.8)
	series := graph("Prometheus: series", "Series in memory.", "none", query{expr: `sum by (pod) (prometheus_tsdb_head_series)`, legend: "{{pod}}"})
	series.unit, series.whole = "short", true
	return board{
		name: "kubebot", title: "KubeBot: the stack itself", description: "The parts of the stack: are they up, what they take, what goes through them.",
		links: []string{Home, "incidents", "cluster"},
		panels: []panel{
			{title: "Parts", about: "Whether each target of the stack can be scraped.",
				kind: kindStat, store: Prometheus, states: upDown, limits: below(1), width: 24, height: 4,
				queries: []query{{expr: `min by (job) (up{job=~"` + stackJobs + `"})`, legend: "{{job}}"}}},
			{title: "Components",
				about: "Whether the manager finds each component ready; those that are switched off are not listed. `kubectl get kubebot -o yaml` says why.",
				kind:  kindStat, store: Prometheus, states: map[string]state{"0": {"no", orange}, "1": {"yes", green}}, width: 24, height: 4,
				queries: []query{{expr: `max by (component) (kubebot_component_ready)`, legend: "{{component}}"}}},
			graph("CPU", "Cores in use by the stack's pods.", "none",
				query{
					expr:   ofStack(`sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{container!=""}[$__rate_interval]))`),
					legend: "{{pod}}",
				}),
			graph("Memory", "Working sets of the stack's pods.", "bytes",
				query{expr: ofStack(`sum by (namespace, pod) (container_memory_working_set_bytes{container!=""})`), legend: "{{pod}}"}),
			failed, sent, lost, queue,
			series,
			graph("Prometheus: samples", "Samples per second that were taken in.", "cps",
				query{expr: `sum by (pod) (rate(prometheus_tsdb_head_samples_appended_total` + window, legend: "{{pod}}"}),
			graph("Prometheus: slowest rules", "Seconds of the last evaluation by group; a group must end within its interval of 15 s.", "s",
				query{
					expr: `topk(` + topCount +
						`, max by (group) (label_replace(prometheus_rule_group_last_duration_seconds, "group", "$1", "rule_group", ".*;(.+)")))`,
					legend: "{{group}}",
				}),
			graph("Loki: lines", "Lines per second that were taken in.", "cps",
				query{expr: `sum(rate(loki_distributor_lines_received_total` + window, legend: "lines"}),
		},
	}
}

// ofStack keeps of a figure per pod those of the pods that are targets of the stack.
func ofStack(expr string) string {
	return `sum by (pod) (` + expr + ` * on (namespace, pod) group by (namespace, pod) (up{job=~"` + stackJobs + `", pod!=""}))`
}
