package dashboards

// joinWorkload adds the label workload to series that have namespace and pod.
const joinWorkload = ` * on (namespace, pod) group_left (workload) kubebot:pod:workload`

func namespaceBoard() board {
	toWorkload := []target{{board: "workload", title: "Workload", with: "var-namespace=${namespace}&var-workload=${__field.labels.workload}"}}
	byWorkload := func(inner string) string {
		return `sum by (workload) (sum by (namespace, pod) (` + inner + `)` + joinWorkload + `)`
	}
	const in = `namespace="$namespace", container!=""`
	return board{
		name: "namespace", title: "KubeBot: namespace", description: "One namespace: its workloads, what they take and what they say.",
		variables: []variable{varNamespace}, links: []string{Home, "workload", "logs", "events"},
		panels: []panel{{
			title: "Workloads", about: "Wanted and ready pods of each workload, and how many are missing." + asTheRule +
				"WorkloadNotReady and WorkloadDown.",
			kind: kindTable, store: Prometheus, width: 12, height: 9,
			queries: []query{
				{expr: `sum by (workload_kind, workload) (kubebot:workload:desired{namespace="$namespace"})`},
				{expr: `sum by (workload_kind, workload) (kubebot:workload:ready{namespace="$namespace"})`},
				{expr: `sum by (workload_kind, workload) (increase(kube_pod_container_status_restarts_total{namespace="$namespace"}[1h]) * on (namespace, pod) group_left (workload_kind, workload) kubebot:pod:workload)`},
				{expr: `clamp_min(sum by (workload_kind, workload) (kubebot:workload:desired{namespace="$namespace"}) - sum by (workload_kind, workload) (kubebot:workload:ready{namespace="$namespace"}), 0)`},
			},
			columns: []column{
				{field: "workload", title: "Workload",
					to: []target{{board: "workload", title: "Workload", with: "var-namespace=${namespace}&var-workload=${__value.raw}"}}},
				{field: "workload_kind", title: "Kind"}, {field: "Value #A", title: "Wanted"}, {field: "Value #B", title: "Ready"},
				{field: "Value #D", title: "Missing", limits: above(1)},
				{field: "Value #C", title: "Restarts in 1 h", unit: "none", whole: true, limits: rising(1, 3)},
			},
		}, {
			title: "Failed requests", about: "Share of each workload's requests that it answers with a server error." + asTheRule +
				"ServiceErrorsPersist (5 %) and ServiceErrorRateHigh (10 %).",
			kind: kindGraph, store: Prometheus, unit: "percentunit", limits: rising(slowShare, errorShare), width: 12, height: 9, to: toWorkload,
			queries: []query{{
				expr:   `sum by (workload) (kubebot:workload_server_errors:rate{namespace="$namespace"}) / (sum by (workload) (kubebot:workload_server_requests:rate{namespace="$namespace"}) > 0)`,
				legend: "{{workload}}",
			}},
			mayBeEmpty: "no workload of the namespace shows metrics of the requests that it serves",
		}, {
			title: "CPU", about: "Cores in use by workload.",
			kind: kindGraph, store: Prometheus, unit: "none", stacked: true, width: 12, height: 8, to: toWorkload,
			queries: []query{{expr: byWorkload(`rate(container_cpu_usage_seconds_total{` + in + `}[$__rate_interval])`), legend: "{{workload}}"}},
		}, {
			title: "Memory", about: "Working sets by workload.",
			kind: kindGraph, store: Prometheus, unit: "bytes", stacked: true, width: 12, height: 8, to: toWorkload,
			queries: []query{{expr: byWorkload(`container_memory_working_set_bytes{` + in + `}`), legend: "{{workload}}"}},
		}, {
			title: "Network", about: "Bytes per second that the pods receive and send, without those in the network of their node.",
			kind: kindGraph, store: Prometheus, unit: "Bps", width: 8, height: 8,
			mayBeEmpty: "every pod of the namespace is in the network of its node",
			queries: []query{
				{expr: `sum(rate(container_network_receive_bytes_total{namespace="$namespace"}[$__rate_interval])` + withOwnNetwork + `)`, legend: "received"},
				{expr: `sum(rate(container_network_transmit_bytes_total{namespace="$namespace"}[$__rate_interval])` + withOwnNetwork + `)`, legend: "sent"},
			},
		}, {
			title: "Quota in use", about: "Share of each quota of the namespace. From 90 % on little is left for a rollout's second set of pods.",
			kind: kindGraph, store: Prometheus, unit: "percentunit", limits: rising(0.8, 0.9), width: 8, height: 8,
			mayBeEmpty: "the namespace has no ResourceQuota",
			queries: []query{{
				expr:   `max by (resourcequota, resource) (kube_resourcequota{namespace="$namespace", type="used"}) / (max by (resourcequota, resource) (kube_resourcequota{namespace="$namespace", type="hard"}) > 0)`,
				legend: "{{resourcequota}} {{resource}}",
			}},
		}, {
			title: "Log lines per second", about: "By service.",
			kind: kindGraph, store: Loki, unit: "cps", stacked: true, width: 8, height: 8, to: []target{toLogs},
			queries: []query{{expr: `sum by (service_name) (rate({` + ofPods + `, k8s_namespace_name="$namespace"} [$__auto]))`, legend: "{{service_name}}"}},
		}, {
			title: "Events", about: "Events of the namespace.", kind: kindLogs, store: Loki, width: 24, height: 8,
			queries: []query{{expr: "{" + eventStream + "} | k8s_object_namespace=`$namespace`" + ofWhat}}, mayBeEmpty: noTrouble,
		}},
	}
}

func workloadBoard() board {
	const of = `{namespace="$namespace"} * on (namespace, pod) group_left (workload) kubebot:pod:workload{namespace="$namespace", workload="$workload"}`
	pods := func(series string) string {
		return `sum by (pod) (` + series + ` * on (namespace, pod) group_left (workload) kubebot:pod:workload{namespace="$namespace", workload="$workload"})`
	}
	const in = `{namespace="$namespace", container!=""}`
	graph := func(title, about, unit string, queries ...query) panel {
		return panel{title: title, about: about, kind: kindGraph, store: Prometheus, unit: unit, width: 8, height: 8, queries: queries}
	}
	throttled := graph("CPU throttled", "Share of periods in which the CPU limit stopped a container."+asTheRule+"CPUThrottling.", "percentunit", query{
		expr: pods(`sum by (namespace, pod) (rate(container_cpu_cfs_throttled_periods_total` + in +
			`[$__rate_interval])) / sum by (namespace, pod) (rate(container_cpu_cfs_periods_total` + in + `[$__rate_interval]))`),
		legend: "{{pod}}",
	})
	throttled.limits, throttled.mayBeEmpty = above(0.25), "no container of the workload has a CPU limit"
	errors := graph("Failed requests", "Share of the workload's requests that it answers with a server error."+asTheRule+
		"ServiceErrorsPersist (5 %) and ServiceErrorRateHigh (10 %).", "percentunit",
		query{
			expr:   `sum(kubebot:workload_server_errors:rate{namespace="$namespace", workload="$workload"}) / (sum(kubebot:workload_server_requests:rate{namespace="$namespace", workload="$workload"}) > 0)`,
			legend: "failed",
		})
	errors.limits, errors.mayBeEmpty = rising(slowShare, errorShare), "the workload shows no metrics of the requests that it serves"
	calls := graph("Failed calls of others", "Calls per second by the workload that fail, by whom it called.", "reqps", query{
		expr: `sum by (dependency) (kubebot:workload_client_errors:rate{namespace="$namespace", workload="$workload"})`, legend: "{{dependency}}"})
	calls.mayBeEmpty = noTrouble
	pod := graph("Pods", "Wanted and ready pods."+asTheRule+"WorkloadNotReady.", "none",
		query{expr: `sum(kubebot:workload:desired{namespace="$namespace", workload="$workload"})`, legend: "wanted"},
		query{expr: `sum(kubebot:workload:ready{namespace="$namespace", workload="$workload"})`, legend: "ready"})
	restarts := graph("Restarts", "Restarts of containers since the pod began.", "none",
		query{expr: `sum by (pod) (kube_pod_container_status_restarts_total` + of + `)`, legend: "{{pod}}"})
	pod.whole, restarts.whole = true, true
	network := func(title, series string) panel {
		p := graph(title, "Bytes per second.", "Bps", query{
			expr: pods(`sum by (namespace, pod) (rate(` + series + `{namespace="$namespace"}[$__rate_interval])` + withOwnNetwork + `)`), legend: "{{pod}}"})
		p.mayBeEmpty = "the workload's pods are in the network of their node, whose dashboard shows it"
		return p
	}
	return board{
		name: "workload", title: "KubeBot: workload", description: "One workload: its pods, what they take, what they serve, what they say.",
		variables: []variable{varNamespace, varWorkload}, links: []string{Home, "namespace", "logs", "events"},
		panels: []panel{
			pod, errors, calls,
			graph("CPU", "Cores in use by pod, and what one pod has reserved.", "none",
				query{expr: pods(`sum by (namespace, pod) (rate(container_cpu_usage_seconds_total` + in + `[$__rate_interval]))`), legend: "{{pod}}"},
				query{expr: `max(sum by (pod) (kube_pod_container_resource_requests{namespace="$namespace", resource="cpu"}` + joinWorkload +
					`{workload="$workload"}))`, legend: "requested"}),
			graph("Memory", "Working set by pod, and the limit of one pod.", "bytes",
				query{expr: pods(`sum by (namespace, pod) (container_memory_working_set_bytes` + in + `)`), legend: "{{pod}}"},
				query{expr: `max(sum by (pod) (kube_pod_container_resource_limits{namespace="$namespace", resource="memory"}` + joinWorkload +
					`{workload="$workload"}))`, legend: "limit"}),
			throttled,
			restarts,
			network("Network received", "container_network_receive_bytes_total"),
			network("Network sent", "container_network_transmit_bytes_total"),
			{title: "Logs", about: "Lines of the workload's pods. A line's trace id leads to its trace.", kind: kindLogs, store: Loki, width: 24, height: 9,
				queries:    []query{{expr: `{k8s_namespace_name="$namespace", ` + ofPods + `}` + " | k8s_pod_name=~`" + podOfWorkload + "`"}},
				mayBeEmpty: "no pod that is called like the workload wrote a line in the time that is shown"},
			{title: "Events", about: "Events of the workload and its pods.", kind: kindLogs, store: Loki, width: 24, height: 7,
				queries: []query{{
					expr: "{" + eventStream + "} | k8s_object_namespace=`$namespace` | k8s_object_name=~`${workload:regex}(-.+)?`" + ofWhat + aboutWorkload,
				}},
				mayBeEmpty: noTrouble},
		},
	}
}
