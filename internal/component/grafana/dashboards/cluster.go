package dashboards

// topCount is how many namespaces, pods or services a panel of the greatest shows.
const topCount = "10"

// What keeps, of series with the labels namespace and pod, those of the pods that count: one that has ended reserves nothing,
// and the interfaces of one in the network of its node are the node's.
const (
	thatLive       = ` and on (namespace, pod) kube_pod_status_phase{phase=~"Pending|Running"} == 1`
	withOwnNetwork = ` and on (namespace, pod) kube_pod_info{host_network="false"}`
)

func clusterBoard() board {
	return board{
		name: "cluster", title: "KubeBot: cluster", description: "Nodes, room, what takes it, and the API server.",
		links: []string{Home, "node", "namespace", "events"},
		panels: append([]panel{{
			title: "Nodes", about: "Each node: ready, used CPU and memory, free disk (the fullest file system)." + asTheRule +
				"NodeNotReady, NodeMemoryHigh, NodeDiskFilling.",
			kind: kindTable, store: Prometheus, width: 24, height: 7,
			queries: []query{
				{expr: `max by (node) (kube_node_status_condition{condition="Ready", status="true"})`},
				{expr: `1 - avg by (node) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))`},
				{expr: `1 - max by (node) (node_memory_MemAvailable_bytes) / max by (node) (node_memory_MemTotal_bytes)`},
				{expr: `min by (node) (kubebot:node:filesystem_free)`},
				{expr: `count by (node) (kube_pod_info{node!=""}` + thatLive + `)`},
			},
			columns: []column{
				{field: "node", title: "Node", to: []target{{board: "node", title: "Node", with: "var-node=${__value.raw}"}}},
				{field: "Value #A", title: "Ready", states: yesNo},
				{field: "Value #B", title: "CPU", unit: "percentunit", limits: rising(0.75, cpuBusy)},
				{field: "Value #C", title: "Memory", unit: "percentunit", limits: rising(0.8, memoryHigh)},
				{field: "Value #D", title: "Free disk", unit: "percentunit", limits: []limit{{0, red}, {diskFull, orange}, {diskFilling, green}}},
				{field: "Value #E", title: "Pods"},
			},
		}}, append(clusterRoom(), apiServer()...)...),
	}
}

func clusterRoom() []panel {
	toNamespace := []target{{board: "namespace", title: "Namespace", with: "var-namespace=${__field.labels.namespace}"}}
	return []panel{{
		title: "CPU requested", about: "Share of the nodes' CPU that pods have reserved. From 90 % on new pods may find no place.",
		kind: kindGraph, store: Prometheus, unit: "percentunit", limits: rising(0.8, 0.9), width: 6, height: 8,
		queries: []query{{
			expr: `sum(kube_pod_container_resource_requests{resource="cpu"}` + thatLive +
				`) / sum(kube_node_status_allocatable{resource="cpu"})`,
			legend: "requested",
		}},
	}, {
		title: "Memory requested", about: "Share of the nodes' memory that pods have reserved. From 90 % on new pods may find no place.",
		kind: kindGraph, store: Prometheus, unit: "percentunit", limits: rising(0.8, 0.9), width: 6, height: 8,
		queries: []query{{
			expr: `sum(kube_pod_container_resource_requests{resource="memory"}` + thatLive +
				`) / sum(kube_node_status_allocatable{resource="memory"})`,
			legend: "requested",
		}},
	}, {
		title: "CPU by namespace", about: "Cores in use; the " + topCount + " greatest.",
		kind: kindGraph, store: Prometheus, unit: "none", stacked: true, width: 6, height: 8, to: toNamespace,
		queries: []query{{
			expr:   `topk(` + topCount + `, sum by (namespace) (rate(container_cpu_usage_seconds_total{container!=""}` + window + `)`,
			legend: "{{namespace}}",
		}},
	}, {
		title: "Memory by namespace", about: "Working sets; the " + topCount + " greatest.",
		kind: kindGraph, store: Prometheus, unit: "bytes", stacked: true, width: 6, height: 8, to: toNamespace,
		queries: []query{{expr: `topk(` + topCount + `, sum by (namespace) (container_memory_working_set_bytes{container!=""}))`, legend: "{{namespace}}"}},
	}, {
		title: "Pods by phase", about: "Pods of the cluster.",
		kind: kindGraph, store: Prometheus, unit: "none", whole: true, stacked: true, width: 8, height: 7,
		queries: []query{{expr: `sum by (phase) (kube_pod_status_phase) > 0`, legend: "{{phase}}"}},
	}, {
		title: "Restarts", about: "Restarts of containers in the last hour, by pod.",
		kind: kindGraph, store: Prometheus, unit: "none", whole: true, width: 8, height: 7, to: toNamespace,
		queries: []query{{
			expr:   `topk(` + topCount + `, sum by (namespace, pod) (increase(kube_pod_container_status_restarts_total[1h])) > 0)`,
			legend: "{{namespace}}/{{pod}}",
		}},
		mayBeEmpty: noTrouble,
	}, {
		title: "Free room of volumes", about: "Share of each claimed volume that is free." + asTheRule + "VolumeFillingUp (15 %) and VolumeAlmostFull (3 %).",
		kind: kindGraph, store: Prometheus, unit: "percentunit", limits: []limit{{0, red}, {diskFull, orange}, {diskFilling, green}}, width: 8, height: 7,
		queries:    []query{{expr: `min by (namespace, persistentvolumeclaim) (kubebot:claim:free)`, legend: "{{namespace}}/{{persistentvolumeclaim}}"}},
		mayBeEmpty: "the cluster has no mounted volume claim that its kubelet measures",
	}}
}

func apiServer() []panel {
	const job = `job="apiserver"`
	return []panel{{
		title: "API server: requests", about: "Requests per second by verb.", kind: kindGraph, store: Prometheus, unit: "reqps", width: 8, height: 7,
		queries: []query{{expr: `sum by (verb) (rate(apiserver_request_total{` + job + `}` + window, legend: "{{verb}}"}},
	}, {
		title: "API server: failed requests", about: "Share of requests that the server itself failed (5xx)." + asTheRule + "APIServerErrorRateHigh.",
		kind: kindGraph, store: Prometheus, unit: "percentunit", limits: above(0.03), width: 8, height: 7,
		queries: []query{{
			expr: `(sum(rate(apiserver_request_total{` + job + `, code=~"5.."}` + window +
				` or vector(0)) / sum(rate(apiserver_request_total{` + job + `}` + window,
			legend: "failed",
		}},
	}, {
		title: "API server: duration, 99th percentile", about: "Requests without watches and connections that stay open." + asTheRule + "APIServerLatencyHigh.",
		kind: kindGraph, store: Prometheus, unit: "s", limits: above(1), width: 8, height: 7,
		queries: []query{{
			expr: `histogram_quantile(0.99, sum by (verb, le) (rate(apiserver_request_duration_seconds_bucket{` + job +
				`, verb!~"WATCH|CONNECT", subresource!~"log|exec|portforward|attach|proxy"}` + window + `)`,
			legend: "{{verb}}",
		}},
	}}
}

func nodeBoard() board {
	const node = `{node="$node"}`
	graph := func(title, about, unit, expr, legend string) panel {
		return panel{
			title: title, about: about, kind: kindGraph, store: Prometheus, unit: unit, width: 8, height: 8,
			queries: []query{{expr: expr, legend: legend}},
		}
	}
	cpu := graph("CPU", "Share of the node's CPU time by what it is spent on.", "percentunit",
		`sum by (mode) (rate(node_cpu_seconds_total{node="$node", mode!="idle"}`+window+
			` / scalar(count(node_cpu_seconds_total{node="$node", mode="idle"}))`, "{{mode}}")
	cpu.stacked = true
	memory := graph("Memory", "Share of the node's memory that is not available."+asTheRule+"NodeMemoryHigh.", "percentunit",
		`1 - max by (node) (node_memory_MemAvailable_bytes`+node+`) / max by (node) (node_memory_MemTotal_bytes`+node+`)`, "in use")
	memory.limits = rising(0.8, memoryHigh)
	disk := graph("Free disk", "Share of each file system that is free."+asTheRule+"NodeDiskFilling (15 %) and NodeDiskAlmostFull (3 %).", "percentunit",
		`min by (mountpoint) (kubebot:node:filesystem_free`+node+`)`, "{{mountpoint}}")
	disk.limits = []limit{{0, red}, {diskFull, orange}, {diskFilling, green}}
	stalls := graph("Stalls", "Share of time in which some process waits for the resource (the kernel's pressure stall information).", "percentunit",
		`rate(node_pressure_cpu_waiting_seconds_total`+node+`[$__rate_interval])`, "CPU")
	stalls.queries = append(stalls.queries,
		query{expr: `rate(node_pressure_memory_waiting_seconds_total` + node + `[$__rate_interval])`, legend: "memory"},
		query{expr: `rate(node_pressure_io_waiting_seconds_total` + node + `[$__rate_interval])`, legend: "disk"})
	stalls.mayBeEmpty = "the node's kernel has no pressure stall information"
	network := graph("Network received", "Without the pods' own interfaces.", "Bps",
		`sum by (device) (rate(node_network_receive_bytes_total{node="$node", device!~"lo|veth.+|cali.+|cni.+|lxc.+|flannel.+"}`+window, "{{device}}")
	network.mayBeEmpty = "every interface of the node is a pod's own or a bridge"
	load := graph("Load", "Processes that run or wait for a CPU or a disk, beside the number of CPUs.", "none",
		`max by (node) (node_load1`+node+`)`, "load of 1 minute")
	load.queries = append(load.queries, query{expr: `count(count by (cpu) (node_cpu_seconds_total{node="$node", mode="idle"}))`, legend: "CPUs"})
	return board{
		name: "node", title: "KubeBot: node", description: "One node: its resources, its pods, its events.", variables: []variable{varNode},
		links: []string{Home, "cluster", "events"},
		panels: []panel{
			cpu, memory, disk,
			load, stalls, network,
			graph("CPU of pods", "Cores in use; the "+topCount+" greatest.", "none",
				`topk(`+topCount+`, sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{node="$node", container!=""}`+window+`)`,
				"{{namespace}}/{{pod}}"),
			graph("Memory of pods", "Working sets; the "+topCount+" greatest.", "bytes",
				`topk(`+topCount+`, sum by (namespace, pod) (container_memory_working_set_bytes{node="$node", container!=""}))`,
				"{{namespace}}/{{pod}}"),
			{title: "Conditions", about: "What the node says of itself. Red where it is not ready, or one of the others, such as a pressure, is there.",
				kind: kindStat, store: Prometheus, width: 8, height: 8,
				queries: []query{{
					expr:   `max by (condition) (kube_node_status_condition{node="$node", condition="Ready", status="true"} or kube_node_status_condition{node="$node", condition!="Ready", status="false"})`,
					legend: "{{condition}}",
				}},
				states: map[string]state{"0": {"trouble", red}, "1": {"well", green}}},
			{title: "Events", about: "Events of the node, and those that its kubelet reports of its pods.", kind: kindLogs, store: Loki, width: 24, height: 8,
				queries:    []query{{expr: "{" + eventStream + "} | k8s_node_name=`$node`" + ofWhat}},
				mayBeEmpty: "nothing happened to the node in the time that is shown"},
		},
	}
}
