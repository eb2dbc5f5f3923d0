// Package endpoints says how components find each other. Everything here is pure.
package endpoints

import (
	"fmt"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// Ports of the managed services.
const (
	PrometheusPort       = 9090
	AlertmanagerPort     = 9093
	ResponderPort        = 8443
	ResponderMetricsPort = 8080
	// ResponderInteractionsPort takes Slack's signed requests, by plain HTTP from an ingress.
	ResponderInteractionsPort = 8082
	KubeStateMetricsPort      = 8080
	// NodeExporterPort is a port of the node itself; it is not 9100, so that the node-exporter of another stack can
	// run beside.
	NodeExporterPort = 19100
	// OTLPGRPCPort and OTLPHTTPPort take traces, metrics and logs by OTLP, at the collector, the archive and Jaeger.
	OTLPGRPCPort = 4317
	OTLPHTTPPort = 4318
	// RemoteWritePort of the archive takes Prometheus's samples.
	RemoteWritePort = 9091
	// CollectorMetricsPort and CollectorHealthPort are those of every collector process.
	CollectorMetricsPort = 8888
	CollectorHealthPort  = 13133
	LokiPort             = 3100
	JaegerQueryPort      = 16686
	JaegerMetricsPort    = 8888
	GrafanaPort          = 3000
	// FluentBitPort serves Fluent Bit's own metrics and health.
	FluentBitPort = 2020
)

// Values of the label job of the stack's own targets; they are those of kube-prometheus where it has them too. The
// kubelet's targets differ in the label metrics_path, which only they have: MetricsPathKubelet, MetricsPathCAdvisor.
const (
	JobPrometheus           = "prometheus"
	JobConfigReloader       = "config-reloader"
	JobAlertmanager         = "alertmanager"
	JobKubeStateMetrics     = "kube-state-metrics"
	JobKubeStateMetricsSelf = "kube-state-metrics-self"
	JobNodeExporter         = "node-exporter"
	JobResponder            = "kubebot-responder"
	JobManager              = "kubebot-manager"
	JobCollector            = "kubebot-collector"
	JobArchive              = "kubebot-archive"
	JobLoki                 = "loki"
	JobJaeger               = "jaeger"
	JobFluentBit            = "fluent-bit"
	JobGrafana              = "grafana"
	JobKubelet              = "kubelet"
	JobAPIServer            = "apiserver"
	JobScheduler            = "kube-scheduler"
	JobControllerManager    = "kube-controller-manager"
	JobKubeProxy            = "kube-proxy"
	JobEtcd                 = "etcd"
	JobAnnotatedPods        = "annotated-pods"
	MetricsPathKubelet      = "/metrics"
	MetricsPathCAdvisor     = "/metrics/cadvisor"
)

// Values of the resource attribute service.name: of the cluster's events, and of what KubeBot sends itself to prove that
// signals flow, which is never sampled away.
const (
	EventsService = "kubernetes-events"
	// EventsWatcher is the suffix of the Deployment that watches the cluster's events.
	EventsWatcher = "collector-events"
	// EventsReceiver is the ID of the receiver in it.
	EventsReceiver = "k8sobjects/events"
	ProofService   = "kubebot-proof"
)

// ConfigMaps in the KubeBot's namespace: the versions of the weights of the analysis, and what the training knows of each
// judged Incident. Their names are fixed, so that the training's role can name what it may write: of the KubeBots in a
// namespace one is active.
const (
	WeightsConfigMap  = "kubebot-weights"
	ExamplesConfigMap = "kubebot-examples"
)

// ResponderReceiver is the name of the receiver in Alertmanager's configuration that stands for the responder.
const ResponderReceiver = "kubebot-responder"

// Prometheus returns the base URL of Prometheus, empty when it is disabled.
func Prometheus(kb *v1alpha1.KubeBot) string {
	p := kb.Spec.Metrics.Prometheus
	return byMode(p.Mode, func() string { return p.External.URL }, service(kb, "http", "prometheus", PrometheusPort))
}

// PrometheusResource returns the name of the managed Prometheus resource. The operator's StatefulSet is called
// prometheus-<name>, and a StatefulSet's name may have 52 characters.
func PrometheusResource(kb *v1alpha1.KubeBot) string {
	return naming.Bounded(naming.Object(kb, "prometheus"), 52-len("prometheus-"))
}

// PrometheusReplicas returns the base URL of each replica of the managed Prometheus; that of the external one; or none
// when it is disabled. Several are told apart by the operator's headless Service. A single one has the Service's name,
// which DNS knows before the pod is ready: that a name does not exist is kept for up to 30 s by CoreDNS.
func PrometheusReplicas(kb *v1alpha1.KubeBot) []string {
	p := kb.Spec.Metrics.Prometheus
	switch p.Mode {
	case v1alpha1.ModeExternal:
		return []string{p.External.URL}
	case v1alpha1.ModeDisabled:
		return nil
	}
	if p.Replicas == nil || *p.Replicas == 1 {
		return []string{Prometheus(kb)}
	}
	var all []string
	for i := range *p.Replicas {
		all = append(all, fmt.Sprintf("http://prometheus-%s-%d.prometheus-operated.%s.svc:%d", PrometheusResource(kb), i, kb.Namespace, PrometheusPort))
	}
	return all
}

// Alertmanager returns the base URL of Alertmanager, empty when it is disabled.
func Alertmanager(kb *v1alpha1.KubeBot) string {
	a := kb.Spec.Metrics.Alertmanager
	return byMode(a.Mode, func() string { return a.External.URL }, service(kb, "http", "alertmanager", AlertmanagerPort))
}

// Loki returns the base URL of Loki, empty when it is disabled.
func Loki(kb *v1alpha1.KubeBot) string {
	l := kb.Spec.Logs.Loki
	return byMode(l.Mode, func() string { return l.External.URL }, service(kb, "http", "loki", LokiPort))
}

// Jaeger returns the base URL of Jaeger's query API, empty when it is disabled.
func Jaeger(kb *v1alpha1.KubeBot) string {
	j := kb.Spec.Traces.Jaeger
	return byMode(j.Mode, func() string { return j.External.URL }, service(kb, "http", "jaeger", JaegerQueryPort))
}

// JaegerOTLP returns the host and port at which Jaeger takes traces by OTLP over gRPC, empty when it is disabled.
func JaegerOTLP(kb *v1alpha1.KubeBot) string {
	j := kb.Spec.Traces.Jaeger
	return byMode(j.Mode, func() string { return j.External.OTLPEndpoint },
		fmt.Sprintf("%s.%s.svc:%d", naming.Object(kb, "jaeger"), kb.Namespace, OTLPGRPCPort))
}

// Grafana returns the base URL of Grafana, empty when it is disabled.
func Grafana(kb *v1alpha1.KubeBot) string {
	g := kb.Spec.Dashboards.Grafana
	return byMode(g.Mode, func() string { return g.External.URL }, service(kb, "http", "grafana", GrafanaPort))
}

// CollectorHost returns the DNS name at which the collector takes OTLP, empty when it is disabled.
func CollectorHost(kb *v1alpha1.KubeBot) string {
	if !kb.Spec.Traces.Collector.Mode.Managed() {
		return ""
	}
	return fmt.Sprintf("%s.%s.svc", naming.Object(kb, "collector"), kb.Namespace)
}

// CollectorHTTP returns the base URL at which the collector takes OTLP over HTTP, empty when it is disabled.
func CollectorHTTP(kb *v1alpha1.KubeBot) string {
	host := CollectorHost(kb)
	if host == "" {
		return ""
	}
	return fmt.Sprintf("http://%s:%d", host, OTLPHTTPPort)
}

// ArchiveHost returns the DNS name at which the archive takes OTLP and remote write, empty when there is none.
func ArchiveHost(kb *v1alpha1.KubeBot) string {
	if !kb.Spec.Analysis.Archive.Mode.Managed() {
		return ""
	}
	return fmt.Sprintf("%s.%s.svc", naming.Object(kb, "archive"), kb.Namespace)
}

// ResponderHost returns the DNS name of the responder, which is in its certificate.
func ResponderHost(kb *v1alpha1.KubeBot) string {
	return fmt.Sprintf("%s.%s.svc", naming.Object(kb, "responder"), kb.Namespace)
}

// ResponderWebhook returns the URL that Alertmanager posts alerts to.
func ResponderWebhook(kb *v1alpha1.KubeBot) string {
	return service(kb, "https", "responder", ResponderPort) + "/api/v1/alerts"
}

// ResponderStatus returns the URL of the responder's report of itself.
func ResponderStatus(kb *v1alpha1.KubeBot) string {
	return service(kb, "https", "responder", ResponderPort) + "/api/v1/status"
}

// byMode is the address of what KubeBot runs or of what somebody else does, empty when there is none.
func byMode(mode v1alpha1.Mode, external func() string, managed string) string {
	switch mode {
	case v1alpha1.ModeExternal:
		return external()
	case v1alpha1.ModeDisabled:
		return ""
	}
	return managed
}

func service(kb *v1alpha1.KubeBot, scheme, name string, port int) string {
	return fmt.Sprintf("%s://%s.%s.svc:%d", scheme, naming.Object(kb, name), kb.Namespace, port)
}
