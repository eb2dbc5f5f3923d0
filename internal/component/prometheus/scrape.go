package prometheus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	tokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	caFile    = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

	metaPort      = "__meta_kubernetes_pod_container_port_name"
	metaName      = "__meta_kubernetes_pod_label_app_kubernetes_io_name"
	metaNode      = "__meta_kubernetes_node_name"
	metaPodNode   = "__meta_kubernetes_pod_node_name"
	metaNamespace = "__meta_kubernetes_namespace"
	metaPod       = "__meta_kubernetes_pod_name"
	metaContainer = "__meta_kubernetes_pod_container_name"
	metaPhase     = "__meta_kubernetes_pod_phase"
)

// ownJob is a scrape job of the stack itself, which must be up for PrometheusReady.
type ownJob struct {
	// job and metricsPath are the labels of the job's targets.
	job, metricsPath string
	config           scrapeConfig
}

// ownJobs are the jobs of what the stack runs and of the cluster itself. They are in the Prometheus resource directly
// and not in ServiceMonitors, so that no selector of the user can leave them out.
func ownJobs(in component.Input) []ownJob {
	metrics := in.KubeBot.Spec.Metrics
	jobs := []ownJob{
		podJob(in, endpoints.JobPrometheus, "prometheus", portWeb),
		podJob(in, endpoints.JobConfigReloader, "prometheus|alertmanager", portReloader),
		podJob(in, endpoints.JobResponder, "responder", "metrics"),
		managerJob(in),
		kubeletJob(endpoints.JobKubelet, endpoints.MetricsPathKubelet, []relabelConfig{drop(noisyKubeletSeries, "__name__")}),
		kubeletJob(endpoints.JobKubelet+"-cadvisor", endpoints.MetricsPathCAdvisor, cadvisorSeries()),
		apiServerJob(),
	}
	if metrics.Alertmanager.Mode.Managed() {
		jobs = append(jobs, podJob(in, endpoints.JobAlertmanager, "alertmanager", portWeb))
	}
	if metrics.KubeStateMetrics.Mode.Managed() {
		jobs = append(jobs, kubeStateMetricsJob(in), podJob(in, endpoints.JobKubeStateMetricsSelf, "kube-state-metrics", "telemetry"))
	}
	if metrics.NodeExporter.Mode.Managed() {
		jobs = append(jobs, nodeExporterJob(in))
	}
	if in.KubeBot.Spec.Logs.FluentBit.Mode.Managed() {
		jobs = append(jobs, fluentBitJob(in))
	}
	if endpoints.CollectorHost(in.KubeBot) != "" {
		jobs = append(jobs, podJob(in, endpoints.JobCollector, "collector|collector-sampler|collector-events", "metrics"))
	}
	if endpoints.ArchiveHost(in.KubeBot) != "" {
		jobs = append(jobs, podJob(in, endpoints.JobArchive, "archive", "metrics"))
	}
	if in.KubeBot.Spec.Logs.Loki.Mode.Managed() {
		jobs = append(jobs, podJob(in, endpoints.JobLoki, "loki", "http"))
	}
	if in.KubeBot.Spec.Traces.Jaeger.Mode.Managed() {
		jobs = append(jobs, podJob(in, endpoints.JobJaeger, "jaeger", "metrics"))
	}
	// Grafana itself, where it is managed, and the process that keeps dashboards in it.
	if in.KubeBot.Spec.Dashboards.Grafana.Mode != v1alpha1.ModeDisabled {
		jobs = append(jobs, podJob(in, endpoints.JobGrafana, "grafana", "http|metrics"))
	}
	return jobs
}

// scrapeConfigs are all jobs: the stack's own, the parts of the control plane that run as pods, and annotated pods.
func scrapeConfigs(in component.Input) []scrapeConfig {
	var configs []scrapeConfig
	for _, j := range ownJobs(in) {
		configs = append(configs, j.config)
	}
	configs = append(configs, controlPlaneJobs(in.Cluster)...)
	if in.KubeBot.Spec.Metrics.Prometheus.AnnotatedPods != v1alpha1.SwitchDisabled {
		configs = append(configs, annotatedPodsJob())
	}
	return configs
}

// ownPods finds the pods of the KubeBot in a namespace. All jobs of one namespace have the same, so that Prometheus
// watches those pods once.
func ownPods(kb *v1alpha1.KubeBot, namespace string) []kubernetesSD {
	return []kubernetesSD{{
		Role:       "pod",
		Namespaces: &sdNamespaces{Names: []string{namespace}},
		Selectors: []sdSelector{{Role: "pod", Label: fmt.Sprintf("%s=%s,%s=%s",
			naming.LabelName, kb.Name, naming.LabelNamespace, kb.Namespace)}},
	}}
}

// podJob scrapes the named port of the pods whose name label matches names, a regular expression.
func podJob(in component.Input, job, names, port string) ownJob {
	return ownJob{job: job, config: scrapeConfig{
		JobName:             job,
		KubernetesSDConfigs: ownPods(in.KubeBot, in.KubeBot.Namespace),
		RelabelConfigs: append([]relabelConfig{
			keep(names, metaName),
			keep(port, metaPort),
			drop("Succeeded|Failed", metaPhase),
		}, podLabels()...),
	}}
}

func podLabels() []relabelConfig {
	return []relabelConfig{
		from(metaNamespace, "namespace"), from(metaPod, "pod"), from(metaContainer, "container"), from(metaPodNode, "node"),
	}
}

func managerJob(in component.Input) ownJob {
	return ownJob{job: endpoints.JobManager, config: scrapeConfig{
		JobName: endpoints.JobManager,
		KubernetesSDConfigs: []kubernetesSD{{
			Role:       "pod",
			Namespaces: &sdNamespaces{Names: []string{in.Install.ReleaseNamespace}},
			Selectors:  []sdSelector{{Role: "pod", Label: "app.kubernetes.io/name=kubebot-manager"}},
		}},
		RelabelConfigs: append([]relabelConfig{keep("metrics", metaPort), drop("Succeeded|Failed", metaPhase)}, podLabels()...),
	}}
}

// kubeStateMetricsJob honours the labels namespace, pod, node of the objects that the series tell of and adds none of
// kube-state-metrics' own pod, which a series without them, of a node for example, would wear as if it were its own.
// The instance is constant, so that alerts go on when the pod is replaced.
func kubeStateMetricsJob(in component.Input) ownJob {
	j := podJob(in, endpoints.JobKubeStateMetrics, "kube-state-metrics", "http-metrics")
	j.config.HonorLabels = true
	j.config.RelabelConfigs = append(j.config.RelabelConfigs[:3:3], set("instance", naming.Object(in.KubeBot, "kube-state-metrics")))
	return j
}

// fluentBitJob scrapes the node agents that ship logs.
func fluentBitJob(in component.Input) ownJob {
	j := podJob(in, endpoints.JobFluentBit, "fluent-bit", "http")
	j.config.MetricsPath = "/api/v2/metrics/prometheus"
	j.config.KubernetesSDConfigs = ownPods(in.KubeBot, in.Install.NodesNamespace)
	return j
}

func nodeExporterJob(in component.Input) ownJob {
	return ownJob{job: endpoints.JobNodeExporter, config: scrapeConfig{
		JobName:             endpoints.JobNodeExporter,
		KubernetesSDConfigs: ownPods(in.KubeBot, in.Install.NodesNamespace),
		RelabelConfigs: []relabelConfig{
			keep("node-exporter", metaName),
			keep("metrics", metaPort),
			drop("Succeeded|Failed", metaPhase),
			from(metaPodNode, "instance"),
			from(metaPodNode, "node"),
		},
	}}
}

// kubeletJob scrapes a path of every kubelet. The certificate is not verified: unless the cluster's owner switched on
// serverTLSBootstrap, kubelets serve a self-signed one that no authority vouches for. The token that is sent is
// bound to Prometheus' own ServiceAccount, which may only read.
func kubeletJob(name, path string, series []relabelConfig) ownJob {
	return ownJob{job: endpoints.JobKubelet, metricsPath: path, config: scrapeConfig{
		JobName:             name,
		HonorLabels:         true,
		Scheme:              "https",
		MetricsPath:         path,
		Authorization:       &authorization{CredentialsFile: tokenFile},
		TLSConfig:           &tlsConfig{InsecureSkipVerify: true},
		KubernetesSDConfigs: []kubernetesSD{{Role: "node"}},
		RelabelConfigs: []relabelConfig{
			set("job", endpoints.JobKubelet),
			from("__metrics_path__", "metrics_path"),
			from(metaNode, "instance"),
			from(metaNode, "node"),
			// Nodes that are none have no kubelet that answers.
			drop(pods.ComputeFargate, nodeLabel(pods.LabelComputeType)),
			drop(pods.TypeVirtualKubelet, nodeLabel(pods.LabelNodeType)),
		},
		MetricRelabelConfigs: series,
	}}
}

// nodeLabel is what discovery calls a label of nodes.
func nodeLabel(name string) string {
	return "__meta_kubernetes_node_label_" + strings.NewReplacer(".", "_", "/", "_", "-", "_").Replace(name)
}

// noisyKubeletSeries are histograms of kubelet's inner life with many buckets.
const noisyKubeletSeries = `(apiserver_.+|authentication_.+|authorization_.+|csi_operations_.+|http_.+|` +
	`kubelet_(cgroup_manager|device_plugin|http_requests|http_inflight|runtime_operations|pod_status_sync|image_pull|container_log)_.+|` +
	`rest_client_.+|storage_operation_.+|topology_manager_.+|workqueue_.+)_bucket`

// cadvisorSeries keeps what rules and analysis read: processor, memory, throttling, network, disk, stalls. Series of
// cgroups above pods go, except the node's root, and so do sums over the containers of a pod, which would count twice;
// network belongs to the pod as a whole and stays.
func cadvisorSeries() []relabelConfig {
	return []relabelConfig{
		keep(`container_cpu_(usage_seconds|cfs_periods|cfs_throttled_periods|cfs_throttled_seconds)_total|`+
			`container_memory_(working_set_bytes|rss|usage_bytes|cache|swap|failcnt)|container_oom_events_total|`+
			`container_spec_(cpu_quota|cpu_period|cpu_shares|memory_limit_bytes)|`+
			`container_network_(receive|transmit)_(bytes|packets|packets_dropped|errors)_total|`+
			`container_fs_(reads|writes|reads_bytes|writes_bytes)_total|container_fs_(usage|limit)_bytes|`+
			`container_pressure_.+|container_(processes|threads|sockets|file_descriptors|start_time_seconds)|`+
			`machine_(cpu_cores|memory_bytes)`, "__name__"),
		drop(`;/.+`, "pod", "id"),
		drop(`container_(cpu|memory|oom|spec|fs|processes|threads|sockets|file_descriptors|start_time).*;.+;`, "__name__", "pod", "container"),
	}
}

// noisyAPIServerSeries are histograms of the API server whose buckets are most of its series.
const noisyAPIServerSeries = `(apiserver_(request_slo_duration|request_sli_duration|request_body_size|response_sizes|` +
	`watch_events_sizes|watch_cache|admission|flowcontrol|storage|audit|delegated|tls|webhooks|cel)_.*|etcd_.+|` +
	`authentication_.+|authorization_.+|apiextensions_.+|rest_client_.+|workqueue_.+|field_validation_.+)_bucket`

func apiServerJob() ownJob {
	return ownJob{job: endpoints.JobAPIServer, config: scrapeConfig{
		JobName:       endpoints.JobAPIServer,
		Scheme:        "https",
		Authorization: &authorization{CredentialsFile: tokenFile},
		TLSConfig:     &tlsConfig{CAFile: caFile, ServerName: "kubernetes.default.svc"},
		KubernetesSDConfigs: []kubernetesSD{{
			Role:       "endpointslice",
			Namespaces: &sdNamespaces{Names: []string{"default"}},
			Selectors:  []sdSelector{{Role: "endpointslice", Label: "kubernetes.io/service-name=kubernetes"}},
		}},
		RelabelConfigs:       []relabelConfig{keep("https", "__meta_kubernetes_endpointslice_port_name")},
		MetricRelabelConfigs: []relabelConfig{drop(noisyAPIServerSeries, "__name__")},
	}}
}

// controlPlaneJobs scrape what of the control plane runs as pods with kubeadm's labels, at the components' default
// ports. They are not needed for PrometheusReady: whether those listen on more than loopback is the cluster owner's.
func controlPlaneJobs(cluster component.Cluster) []scrapeConfig {
	var configs []scrapeConfig
	for _, part := range []struct {
		job, label, scheme string
		port               int
	}{
		{endpoints.JobScheduler, "component=kube-scheduler", "https", 10259},
		{endpoints.JobControllerManager, "component=kube-controller-manager", "https", 10257},
		{endpoints.JobKubeProxy, "k8s-app=kube-proxy", "http", 10249},
		{endpoints.JobEtcd, "component=etcd", "http", 2381},
	} {
		if !cluster.ControlPlane[part.job] {
			continue
		}
		c := scrapeConfig{
			JobName: part.job,
			Scheme:  part.scheme,
			KubernetesSDConfigs: []kubernetesSD{{
				Role:       "pod",
				Namespaces: &sdNamespaces{Names: []string{"kube-system"}},
				Selectors:  []sdSelector{{Role: "pod", Label: part.label}},
			}},
			RelabelConfigs: append(podAddress(strconv.Itoa(part.port)), from(metaPodNode, "instance"), from(metaPodNode, "node")),
		}
		if part.scheme == "https" {
			// Both serve a certificate of their own making by default.
			c.Authorization, c.TLSConfig = &authorization{CredentialsFile: tokenFile}, &tlsConfig{InsecureSkipVerify: true}
		}
		configs = append(configs, c)
	}
	return configs
}

// podAddress sets the address to the pod's with a port.
func podAddress(port string) []relabelConfig {
	return []relabelConfig{
		{SourceLabels: []string{"__meta_kubernetes_pod_ip"}, Regex: `(.+\..+)`, TargetLabel: "__address__", Replacement: "$1:" + port},
		{SourceLabels: []string{"__meta_kubernetes_pod_ip"}, Regex: `(.*:.*)`, TargetLabel: "__address__", Replacement: "[$1]:" + port},
	}
}

// annotatedPodsJob scrapes pods annotated prometheus.io/scrape=true. Without prometheus.io/port every declared TCP port
// is scraped. With it the targets of a pod's containers are equal and so become one, which is why the label container
// is set only without it.
func annotatedPodsJob() scrapeConfig {
	const annotation = "__meta_kubernetes_pod_annotation_prometheus_io_"
	return scrapeConfig{
		JobName:             endpoints.JobAnnotatedPods,
		SampleLimit:         annotatedSampleLimit,
		KubernetesSDConfigs: []kubernetesSD{{Role: "pod"}},
		RelabelConfigs: append([]relabelConfig{
			keep("true", annotation+"scrape"),
			drop("Succeeded|Failed|Pending", metaPhase),
			drop("true", "__meta_kubernetes_pod_container_init"),
			keep(`[0-9]+;.*|;[0-9]+;TCP`, annotation+"port", "__meta_kubernetes_pod_container_port_number", "__meta_kubernetes_pod_container_port_protocol"),
			{SourceLabels: []string{annotation + "scheme"}, Regex: "(https?)", TargetLabel: "__scheme__"},
			{SourceLabels: []string{annotation + "path"}, Regex: "(.+)", TargetLabel: "__metrics_path__"},
			{SourceLabels: []string{annotation + "port", "__meta_kubernetes_pod_ip"}, Regex: `([0-9]+);(.+\..+)`,
				TargetLabel: "__address__", Replacement: "$2:$1"},
			{SourceLabels: []string{annotation + "port", "__meta_kubernetes_pod_ip"}, Regex: `([0-9]+);(.*:.*)`,
				TargetLabel: "__address__", Replacement: "[$2]:$1"},
			{SourceLabels: []string{annotation + "port", metaContainer}, Regex: ";(.+)", TargetLabel: "container"},
			{SourceLabels: []string{"__meta_kubernetes_pod_label_app"}, Regex: "(.+)", TargetLabel: "app"},
			{SourceLabels: []string{"__meta_kubernetes_pod_label_app_kubernetes_io_name"}, Regex: "(.+)", TargetLabel: "app"},
		}, from(metaNamespace, "namespace"), from(metaPod, "pod"), from(metaPodNode, "node")),
	}
}
