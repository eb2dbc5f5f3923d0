package rules

import "github.com/kubebot/kubebot/api/v1alpha1"

// withClaimOwner adds the workload to series of a volume claim; a claim without one workload stays as it is.
func withClaimOwner(series string) string {
	return series + ` * on (namespace, persistentvolumeclaim) group_left (workload_kind, workload) ` + claimWorkload + `
or ` + series + ` unless on (namespace, persistentvolumeclaim) ` + claimWorkload
}

const claim = "The volume of claim {{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }}"

func volumeGroup() Group {
	rules := []Rule{{
		Record: "kubebot:claim:free",
		Labels: map[string]string{"resource": "bytes"},
		Expr: `min by (namespace, persistentvolumeclaim) (kubelet_volume_stats_available_bytes)
/ min by (namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes > 0)`,
	}, {
		Record: "kubebot:claim:free",
		Labels: map[string]string{"resource": "inodes"},
		Expr: `min by (namespace, persistentvolumeclaim) (kubelet_volume_stats_inodes_free)
/ min by (namespace, persistentvolumeclaim) (kubelet_volume_stats_inodes > 0)`,
	}, {
		Alert: "VolumeFillingUp",
		Expr: withClaimOwner(`(kubebot:claim:free < 0.15 and kubebot:claim:free >= 0.03
  and predict_linear(kubebot:claim:free[6h], 4 * 24 * 3600) < 0)`),
		For:      "1h",
		Severity: string(v1alpha1.SeverityWarning),
		Summary:  claim + " will be full within 4 days",
		Description: claim +
			" has {{ $value | humanizePercentage }} of its {{ $labels.resource }} left and will be full within 4 days at the pace of the last 6 hours.",
		ThresholdFrom: "15 % free and 4 days, the figures of the kubernetes-mixin: enough to get over a weekend; 6 hours " +
			"of history for 1 hour keep one burst out",
	}, {
		Alert:         "VolumeAlmostFull",
		Expr:          withClaimOwner(`(kubebot:claim:free < 0.03)`),
		For:           "1m",
		Severity:      string(v1alpha1.SeverityCritical),
		Summary:       claim + " is almost full",
		Description:   claim + " has {{ $value | humanizePercentage }} of its {{ $labels.resource }} left; writes fail when it is full.",
		ThresholdFrom: "3 % free, the figure of the kubernetes-mixin, at which applications are about to fail",
	}}
	for i := range rules {
		rules[i].Needs = []Need{needKubelet}
	}
	return Group{Name: "kubebot-volumes", Rules: rules}
}
