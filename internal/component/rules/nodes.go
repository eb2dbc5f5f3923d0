package rules

import (
	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// filesystems of a node that can fill up. Series of node-exporter are told apart by instance too: another one than
// KubeBot's may have no label node.
const filesystems = `{fstype!~"|tmpfs|ramfs|overlay|squashfs|iso9660|erofs|fuse.*|nfs.*|cifs", mountpoint!=""}`

// nodeLost is there for each node that is not ready although nobody cordoned it.
const nodeLost = "kubebot:node:lost"

func nodeGroup() Group {
	rules := []Rule{{
		Record: nodeLost,
		Expr: `max by (node) (kube_node_status_condition{condition="Ready", status="true"}) == 0
and on (node) max by (node) (kube_node_spec_unschedulable) == 0`,
		Needs: []Need{needKubeStateMetrics},
	}, {
		Alert:       alert.NodeNotReady,
		Expr:        nodeLost,
		For:         "1m",
		Severity:    string(v1alpha1.SeverityCritical),
		Summary:     "Node {{ $labels.node }} is not ready",
		Description: "Node {{ $labels.node }} has not been ready for a minute. Its pods stop to count as ready and are moved after 5 minutes. A cordoned node is left out.",
		ThresholdFrom: "the node controller waits 50 seconds for the kubelet (--node-monitor-grace-period) before it " +
			"says so; 1 minute more leaves 4 minutes before pods are moved",
		Needs: []Need{needKubeStateMetrics},
	}, {
		Alert:         "NodeUnreachable",
		Expr:          `max by (node) (up{job="` + endpoints.JobKubelet + `", metrics_path="` + endpoints.MetricsPathKubelet + `"}) == 0`,
		For:           "2m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "The kubelet of node {{ $labels.node }} does not answer",
		Description:   "Prometheus has not reached the kubelet of node {{ $labels.node }} for 2 minutes. Metrics of its pods are missing.",
		ThresholdFrom: "2 minutes are eight scrapes; a restart of the kubelet takes seconds",
		Needs:         []Need{needKubelet, needManagedPrometheus},
	}, {
		Alert: "NodePressure",
		Expr: `max by (node, condition) (
  kube_node_status_condition{condition=~"MemoryPressure|DiskPressure|PIDPressure", status="true"}
) == 1`,
		For:           "1m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Node {{ $labels.node }} has {{ $labels.condition }}",
		Description:   "Node {{ $labels.node }} reports {{ $labels.condition }}: the kubelet takes no new pods of some kinds and evicts others.",
		ThresholdFrom: "the eviction thresholds of the kubelet (100 MiB of memory, 10 % of the disk free by default)",
		Needs:         []Need{needKubeStateMetrics},
	}, {
		Record: "kubebot:node:filesystem_free",
		Expr: `min by (node, instance, mountpoint) (
  node_filesystem_avail_bytes` + filesystems + ` / (node_filesystem_size_bytes` + filesystems + ` > 0)
) and on (node, instance, mountpoint) max by (node, instance, mountpoint) (node_filesystem_readonly) == 0`,
		Needs: []Need{needNodeExporter},
	}, {
		Alert: "NodeDiskFilling",
		Expr: `kubebot:node:filesystem_free < 0.15 and kubebot:node:filesystem_free >= 0.03
and predict_linear(kubebot:node:filesystem_free[6h], 24 * 3600) < 0`,
		For:         "30m",
		Severity:    string(v1alpha1.SeverityWarning),
		Summary:     "The disk of node {{ $labels.instance }} at {{ $labels.mountpoint }} will be full within a day",
		Description: "{{ $labels.mountpoint }} of node {{ $labels.instance }} has {{ $value | humanizePercentage }} left and will be full within 24 hours at the pace of the last 6 hours.",
		ThresholdFrom: "15 % free is where the kubelet begins to remove unused images (imageGCHighThresholdPercent 85), so " +
			"what goes on below is not images; a day is one working day of notice",
		Needs: []Need{needNodeExporter},
	}, {
		Alert:         "NodeDiskAlmostFull",
		Expr:          `kubebot:node:filesystem_free < 0.03`,
		For:           "2m",
		Severity:      string(v1alpha1.SeverityCritical),
		Summary:       "The disk of node {{ $labels.instance }} at {{ $labels.mountpoint }} is almost full",
		Description:   "{{ $labels.mountpoint }} of node {{ $labels.instance }} has {{ $value | humanizePercentage }} left.",
		ThresholdFrom: "3 % free is below the 10 % at which the kubelet evicts pods: eviction has not helped; 2 minutes are its time to try",
		Needs:         []Need{needNodeExporter},
	}, {
		Alert:         "NodeMemoryHigh",
		Expr:          `1 - min by (node, instance) (node_memory_MemAvailable_bytes) / min by (node, instance) (node_memory_MemTotal_bytes) > 0.9`,
		For:           "10m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Node {{ $labels.instance }} is short of memory",
		Description:   "{{ $value | humanizePercentage }} of the memory of node {{ $labels.instance }} has been in use for 10 minutes.",
		ThresholdFrom: "90 % is the figure of the node mixin; the kubelet evicts at 100 MiB, and the kernel kills soon after",
		Needs:         []Need{needNodeExporter},
	}, {
		Alert: "NodeClockSkew",
		Expr: `max by (node, instance) (abs(node_timex_offset_seconds)) > 0.05
or max by (node, instance) (node_timex_maxerror_seconds) >= 16 and on (node, instance) max by (node, instance) (node_timex_sync_status) == 0`,
		For:           "10m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "The clock of node {{ $labels.instance }} is off",
		Description:   "The clock of node {{ $labels.instance }} is off by more than 50 ms or is not synchronised. Certificates, leases and the order of logs depend on it.",
		ThresholdFrom: "50 ms and an error bound of 16 s (the kernel's sign for not synchronised), the figures of the node mixin",
		Needs:         []Need{needNodeExporter},
	}}
	return Group{Name: "kubebot-nodes", Rules: rules}
}
