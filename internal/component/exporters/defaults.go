package exporters

const (
	kubeStateMetricsImage = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.20.0"
	nodeExporterImage     = "quay.io/prometheus/node-exporter:v1.12.1"

	// kube-state-metrics has no memory limit by default: what it needs grows with the cluster.
	kubeStateMetricsCPU    = "10m"
	kubeStateMetricsMemory = "64Mi"

	nodeExporterCPU         = "10m"
	nodeExporterMemory      = "32Mi"
	nodeExporterMemoryLimit = "128Mi"

	// telemetryPort serves kube-state-metrics' figures of itself.
	telemetryPort = 8081
)

// resources are what kube-state-metrics lists and watches: what the rules and the analysis read. Secrets and ConfigMaps
// are not among them. The ClusterRole of the chart has the same list.
var resources = []string{
	"cronjobs",
	"daemonsets",
	"deployments",
	"endpointslices",
	"horizontalpodautoscalers",
	"jobs",
	"namespaces",
	"nodes",
	"persistentvolumeclaims",
	"persistentvolumes",
	"poddisruptionbudgets",
	"pods",
	"replicasets",
	"resourcequotas",
	"services",
	"statefulsets",
}
