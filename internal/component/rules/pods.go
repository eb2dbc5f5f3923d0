package rules

import "github.com/kubebot/kubebot/api/v1alpha1"

// waiting counts the pods of each workload with a container that waits for one of the reasons.
func waiting(reasons string) string {
	return perWorkload(`group by (namespace, pod) (
    kube_pod_container_status_waiting_reason{reason=~"` + reasons + `"} == 1
    or kube_pod_init_container_status_waiting_reason{reason=~"` + reasons + `"} == 1
  )`)
}

func podGroup() Group {
	rules := []Rule{{
		Alert: "PodCrashLooping",
		Expr: perWorkload(`group by (namespace, pod) (
    (max_over_time(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}[5m]) == 1
      and on (namespace, pod, container) kube_pod_container_status_restarts_total >= 2)
    or
    (max_over_time(kube_pod_init_container_status_waiting_reason{reason="CrashLoopBackOff"}[5m]) == 1
      and on (namespace, pod, container) kube_pod_init_container_status_restarts_total >= 2)
  )`),
		Severity:    string(v1alpha1.SeverityWarning),
		Summary:     "Pods of " + about + " crash again and again",
		Description: "{{ $value }} pod(s) of " + about + " have crashed at least twice and wait for the next start (CrashLoopBackOff).",
		ThresholdFrom: "two restarts: one crash heals itself; 5 minutes is the longest back-off of the kubelet, within " +
			"which a container in a crash loop is seen waiting at least once",
	}, {
		Alert: "ImagePullFailed",
		Expr: waiting(
			"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|ImageInspectError|RegistryUnavailable|SignatureValidationFailed"),
		For:         "1m",
		Severity:    string(v1alpha1.SeverityWarning),
		Summary:     "Pods of " + about + " can't pull their image",
		Description: "{{ $value }} pod(s) of " + about + " wait for an image that can't be pulled.",
		ThresholdFrom: "1 minute: the kubelet has then tried three times (back-off 10 s, 20 s), which a short outage of " +
			"the registry does not explain",
	}, {
		Alert:    "ContainerConfigError",
		Expr:     waiting("CreateContainerConfigError|CreateContainerError|RunContainerError|PreCreateHookError|PreStartHookError|PostStartHookError"),
		For:      "1m",
		Severity: string(v1alpha1.SeverityWarning),
		Summary:  "Containers of " + about + " can't be created",
		Description: "{{ $value }} pod(s) of " + about +
			" have a container that can't be created, mostly for a ConfigMap, Secret, key, command or mount that does not exist.",
		ThresholdFrom: "1 minute: objects that are applied together appear within seconds of each other, what is missing " +
			"after a minute stays missing",
	}, {
		Alert: "OOMKilled",
		Expr: perWorkload(`group by (namespace, pod) (
    increase(kube_pod_container_status_restarts_total[10m]) > 0
    and on (namespace, pod, container) kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1
  )`),
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Containers of " + about + " were killed for their memory",
		Description:   "{{ $value }} pod(s) of " + about + " had a container killed by the kernel in the last 10 minutes for using more memory than its limit.",
		ThresholdFrom: "one kill is enough: the limit is the user's own; 10 minutes is twice the kubelet's longest restart back-off, so that a loop is one alert",
	}, {
		Alert:         "PodUnschedulable",
		Expr:          perWorkload(`group by (namespace, pod) (kube_pod_status_unschedulable == 1)`),
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "Pods of " + about + " can't be scheduled",
		Description:   "{{ $value }} pod(s) of " + about + " have found no node for 5 minutes.",
		ThresholdFrom: "5 minutes: an autoscaler of the cluster usually adds a node within that time",
	}, {
		Alert:         "CPUThrottling",
		Expr:          throttled("5m", "0.25"),
		For:           "15m",
		Severity:      string(v1alpha1.SeverityInfo),
		Summary:       about + " is slowed down by its CPU limit",
		Description:   "A container of " + about + " was held back by its CPU limit in {{ $value | humanizePercentage }} of the periods.",
		ThresholdFrom: "25 % of the periods for 15 minutes, the figures of the kubernetes-mixin",
		Needs:         []Need{needCAdvisor},
	}, {
		Alert: "ServiceCPUStarved",
		// Usual is of means of a short window, of which one that holds few requests says little: the mean of 2 minutes is compared.
		Expr: `(
  ` + throttled("2m", "0.75") + `
  or ` + throttled("2m", "0.25") + `
  and on (` + byWorkload + `) (avg_over_time(` + tracedOwnSeconds + `[2m]) > ` + slowTimes + ` * ` + tracedUsual + `)
  and on (` + byWorkload + `) ` + tracedRequests + ` >= ` + minRequests + `
)
and on (` + byWorkload + `) (` + workloadRequests + ` > 0 or ` + tracedRequests + ` > 0)`,
		For:      "2m",
		Severity: string(v1alpha1.SeverityWarning),
		Summary:  about + " serves requests and is held back by its CPU limit",
		Description: "A container of " + about + " was held back by its CPU limit in {{ $value | humanizePercentage }} of the periods. " +
			"Requests wait for it, before its own spans and metrics begin to count.",
		ThresholdFrom: "75 % of the periods, three times the figure of the kubernetes-mixin, or that figure itself, 25 %, while the workload's own part of its " +
			"requests takes twice the usual time, as for ServiceSlow, at 0.5 requests a second at least; of 2 minutes and for 2 minutes more, so that a start is over; only " +
			"workloads that serve requests, because a batch job may use what it has",
		Needs: []Need{needCAdvisor},
	}}
	for i := range rules {
		rules[i].Needs = append(rules[i].Needs, needKubeStateMetrics)
	}
	return Group{Name: "kubebot-pods", Rules: rules}
}

// throttled is the largest share of the periods of a window in which a CPU limit held back a container, by the workloads
// where that is above a bound.
func throttled(window, above string) string {
	return `max by (` + byWorkload + `) (
  (
    sum by (namespace, pod, container) (rate(container_cpu_cfs_throttled_periods_total{container!=""}[` + window + `]))
    / sum by (namespace, pod, container) (rate(container_cpu_cfs_periods_total{container!=""}[` + window + `])) > ` + above + `
  )
  ` + joinOwner + `
)`
}
