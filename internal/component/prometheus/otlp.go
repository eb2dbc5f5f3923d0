package prometheus

import (
	"fmt"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// lateWindow takes samples that come late or in another order: the collector pushes from several pods, and after an
// outage what it kept.
const lateWindow = "30m"

// promoted are the resource attributes of pushed metrics that become labels: those that tell the source apart and by
// which dashboards choose.
var promoted = []string{
	"service.name", "k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "k8s.node.name",
	"k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.job.name", "k8s.cronjob.name",
}

// takeOTLP lets the collector push metrics.
func takeOTLP(spec *monitoringv1.PrometheusSpec, kb *v1alpha1.KubeBot) {
	if endpoints.CollectorHost(kb) == "" {
		return
	}
	spec.EnableOTLPReceiver = new(true)
	spec.OTLP = &monitoringv1.OTLPConfig{
		PromoteResourceAttributes: promoted,
		TranslationStrategy:       new(monitoringv1.UnderscoreEscapingWithSuffixes),
	}
	spec.TSDB = &monitoringv1.TSDBSpec{OutOfOrderTimeWindow: new(monitoringv1.Duration(lateWindow))}
}

// archived are the series that the archive gets from Prometheus: what the analysis reads of nodes, containers and objects.
// What was pushed by OTLP the archive has from the collector already.
var archived = []string{
	`up`, `ALERTS`,
	`container_(cpu|memory|network|fs|oom|spec|pressure)_.+`, `machine_.+`,
	`kube_(pod|deployment|statefulset|daemonset|replicaset|job|node|horizontalpodautoscaler|persistentvolumeclaim|resourcequota)_.+`,
	`kubelet_volume_stats_.+`,
	`node_(cpu|memory|disk|filesystem|network|load|vmstat|pressure|nf_conntrack)_?.*`,
}

// features are Prometheus's own switches. The second takes metrics of delta temporality, for one of which it would refuse
// a whole request. The third keeps the types of metrics, which remote write 2.0 has a place for; Prometheus 3.15 leaves it
// empty, so that the archive's writer tells counters by their names.
func features(kb *v1alpha1.KubeBot) []monitoringv1.EnableFeature {
	all := []monitoringv1.EnableFeature{"exemplar-storage"}
	if endpoints.CollectorHost(kb) != "" {
		all = append(all, "otlp-deltatocumulative")
	}
	if endpoints.ArchiveHost(kb) != "" {
		all = append(all, "metadata-wal-records")
	}
	return all
}

// writeArchive sends samples to the archive by remote write 2.0.
func writeArchive(kb *v1alpha1.KubeBot) []monitoringv1.RemoteWriteSpec {
	host := endpoints.ArchiveHost(kb)
	if host == "" {
		return nil
	}
	return []monitoringv1.RemoteWriteSpec{{
		Name:           new("kubebot-archive"),
		URL:            monitoringv1.URL(fmt.Sprintf("http://%s:%d/api/v1/write", host, endpoints.RemoteWritePort)),
		MessageVersion: new(monitoringv1.RemoteWriteMessageVersion2_0),
		WriteRelabelConfigs: []monitoringv1.RelabelConfig{{
			Action: "keep", SourceLabels: []monitoringv1.LabelName{"__name__"}, Regex: strings.Join(archived, "|"),
		}},
		// The archive is one pod, and must not take Prometheus's memory when it is away.
		QueueConfig: &monitoringv1.QueueConfig{MinShards: 1, MaxShards: 2, Capacity: 10000, MaxSamplesPerSend: 2000},
	}}
}
