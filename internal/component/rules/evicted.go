package rules

import (
	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// keepingJobs are the scrape jobs of what keeps data in an emptyDir without storage.size.
const keepingJobs = endpoints.JobLoki + "|" + endpoints.JobJaeger + "|" + endpoints.JobPrometheus + "|" + endpoints.JobAlertmanager +
	"|" + endpoints.JobGrafana + "|" + endpoints.JobCollector + "|" + endpoints.JobArchive

// evictedRules tell of the stack's pods whose emptyDir got full. A pod of a StatefulSet is made anew within seconds of its
// eviction, so kube-state-metrics hardly sees it; what stays is the kubelet's count of such evictions by node, which
// begins with the first (where the kubelet was scraped before, its absence means none), and the targets of that node that
// are gone. Which pod it evicted the count does not say.
func evictedRules() []Rule {
	const counter = `{__name__=~"kubelet_evictions(_total)?", job="` + endpoints.JobKubelet + `", eviction_signal="emptydirfs.limit"}`
	needs := []Need{needManagedPrometheus}
	return []Rule{{
		Record: pods.SeriesEvicted,
		Expr: `group by (job, namespace, pod, node) (
  last_over_time(up{job=~"` + keepingJobs + `"}[15m])
  unless on (job, pod, instance) up{job=~"` + keepingJobs + `"}
)
and on (node) sum by (node) (` + counter + `) - (
  sum by (node) (` + counter + ` offset 15m)
  or sum by (node) (` + counter + `) * 0 and on (node) max by (node) (up{job="` + endpoints.JobKubelet + `"} offset 15m) == 1
) > 0`,
		Needs: needs,
	}, {
		Alert:         "StackPodEvicted",
		Expr:          pods.SeriesEvicted,
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "The pod {{ $labels.pod }} was probably evicted and has lost what it kept",
		Description:   "The pod {{ $labels.pod }} ended on node {{ $labels.node }}, whose kubelet evicted a pod because its emptyDir was full. If it was this one, what it kept is gone, and its successor fills up as fast.",
		ThresholdFrom: "one eviction is enough: all that was kept is gone; 15 minutes are as long as it is told. A pod that was replaced while another's was evicted there looks the same, so it is no critical one",
		Needs:         needs,
	}}
}
