package rules

import "github.com/kubebot/kubebot/api/v1alpha1"

// Series of the replicas of Deployments, StatefulSets and DaemonSets, and of those of the first two without a ready one.
const (
	workloadDesired = "kubebot:workload:desired"
	workloadReady   = "kubebot:workload:ready"
	workloadCreated = "kubebot:workload:created"
	workloadDown    = "kubebot:workload:down"
	// workloadDownHere are those of them that no lost node explains.
	workloadDownHere = "kubebot:workload:down_here"
)

const about = "{{ $labels.workload_kind }} {{ $labels.namespace }}/{{ $labels.workload }}"

func workloadGroup(s settings) Group {
	rules := replicaSeries()
	rules = append(rules, Rule{
		Record: workloadDown,
		Expr: workloadReady + `{workload_kind=~"Deployment|StatefulSet"} == 0
and min_over_time(` + workloadDesired + `[5m]) > 0
and time() - ` + workloadCreated + ` > 300`,
	}, Rule{
		Record: workloadDownHere,
		Expr:   notOnLostNode(s.lostKnown),
	}, Rule{
		Alert:       alertWorkloadDown,
		Expr:        workloadDownHere,
		For:         "1m",
		Severity:    string(v1alpha1.SeverityCritical),
		Summary:     about + " has no ready replica",
		Description: about + " wants replicas and has had none that is ready for a minute: nothing serves its requests.",
		ThresholdFrom: "none of the replicas is what users notice; 1 minute is four scrapes, so that one missed answer " +
			"of a probe does not call; 5 minutes after creation or scaling up from zero are for pulling images " +
			"(the kubelet's default back-off of a failed pull ends at 5 minutes)",
	}, Rule{
		Alert: "WorkloadNotReady",
		Expr: `(` + workloadDesired + ` - ` + workloadReady + ` > 0)
unless (` + workloadReady + `{workload_kind!="DaemonSet"} == 0)`,
		For:         "10m",
		Severity:    string(v1alpha1.SeverityWarning),
		Summary:     about + " lacks ready replicas",
		Description: about + " lacks {{ $value }} of its replicas, and has for 10 minutes.",
		ThresholdFrom: "10 minutes is the default of progressDeadlineSeconds, the time that Kubernetes itself gives a " +
			"Deployment to become whole",
	}, Rule{
		Alert: "RolloutStuck",
		Expr: `max by (namespace, workload_kind, workload) (
  label_replace(label_replace(kube_deployment_status_condition{condition="Progressing", status="false"} == 1,
    "workload_kind", "Deployment", "", ""), "workload", "$1", "deployment", "(.+)")
  or
  label_replace(label_replace(
    kube_statefulset_status_replicas_updated < kube_statefulset_replicas
    and changes(kube_statefulset_status_replicas_updated[10m]) == 0
    and min_over_time((kube_statefulset_replicas - kube_statefulset_status_replicas_updated)[10m:1m]) > 0,
    "workload_kind", "StatefulSet", "", ""), "workload", "$1", "statefulset", "(.+)")
  or
  label_replace(label_replace(
    kube_daemonset_status_updated_number_scheduled < kube_daemonset_status_desired_number_scheduled
    and changes(kube_daemonset_status_updated_number_scheduled[10m]) == 0
    and min_over_time((kube_daemonset_status_desired_number_scheduled - kube_daemonset_status_updated_number_scheduled)[10m:1m]) > 0,
    "workload_kind", "DaemonSet", "", ""), "workload", "$1", "daemonset", "(.+)")
)`,
		For:         "1m",
		Severity:    string(v1alpha1.SeverityWarning),
		Summary:     "The rollout of " + about + " is stuck",
		Description: "A rollout of " + about + " has made no progress for 10 minutes or more. Older pods may still serve.",
		ThresholdFrom: "progressDeadlineSeconds of the Deployment (default 10 minutes), the same time for StatefulSets " +
			"and DaemonSets, which have no such field",
	}, Rule{
		Alert: "HPAAtLimit",
		Expr: `max by (namespace, workload_kind, workload) (
  label_replace(label_replace(
    (kube_horizontalpodautoscaler_status_desired_replicas >= kube_horizontalpodautoscaler_spec_max_replicas
      and kube_horizontalpodautoscaler_spec_max_replicas > kube_horizontalpodautoscaler_spec_min_replicas)
    * on (namespace, horizontalpodautoscaler) group_left (scaletargetref_kind, scaletargetref_name)
    group by (namespace, horizontalpodautoscaler, scaletargetref_kind, scaletargetref_name) (kube_horizontalpodautoscaler_info),
    "workload_kind", "$1", "scaletargetref_kind", "(.+)"), "workload", "$1", "scaletargetref_name", "(.+)")
)`,
		For:           "15m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "The autoscaler of " + about + " is at its limit",
		Description:   "The autoscaler of " + about + " has wanted its maximum of {{ $value }} replicas for 15 minutes and can't add more.",
		ThresholdFrom: "15 minutes is three times the autoscaler's default stabilization window of 5 minutes",
	})
	rules = append(rules, jobRules()...)
	for i := range rules {
		rules[i].Needs = append(rules[i].Needs, needKubeStateMetrics)
	}
	return Group{Name: "kubebot-workloads", Rules: rules}
}

// notOnLostNode leaves out workloads all of whose pods are on lost nodes: a message about each node tells of those. When
// their replacements find no node or do not become ready elsewhere, they are back.
func notOnLostNode(lostKnown bool) string {
	if !lostKnown {
		return workloadDown
	}
	return workloadDown + ` unless on (` + byWorkload + `) (
  count by (` + byWorkload + `) (
    (group by (namespace, pod, node) (kube_pod_info{node!=""}) and on (node) ` + nodeLost + `)
    ` + joinOwner + `
  )
  == count by (` + byWorkload + `) (` + podWorkload + `)
)`
}

// replicaSeries records the replicas of the kinds that have some, under the same names.
func replicaSeries() []Rule {
	var out []Rule
	for _, k := range []struct{ kind, label, desired, ready, created string }{
		{"Deployment", "deployment", "kube_deployment_spec_replicas", "kube_deployment_status_replicas_ready",
			"kube_deployment_created"},
		{"StatefulSet", "statefulset", "kube_statefulset_replicas", "kube_statefulset_status_replicas_ready",
			"kube_statefulset_created"},
		{"DaemonSet", "daemonset", "kube_daemonset_status_desired_number_scheduled", "kube_daemonset_status_number_ready",
			"kube_daemonset_created"},
	} {
		for _, s := range [][2]string{{workloadDesired, k.desired}, {workloadReady, k.ready}, {workloadCreated, k.created}} {
			out = append(out, Rule{
				Record: s[0],
				Labels: map[string]string{"workload_kind": k.kind},
				Expr: `max by (namespace, workload) (label_replace(` + s[1] + `, "workload", "$1", "` +
					k.label + `", "(.+)"))`,
			})
		}
	}
	return out
}

// lastStart is when the newest job of a workload with the given condition began.
func lastStart(condition string) string {
	return `max by (` + byWorkload + `) (
  (kube_job_status_start_time and on (namespace, job_name) ` + condition + `{condition="true"} == 1)
  * on (namespace, job_name) group_left (workload_kind, workload) ` + jobWorkload + `
)`
}

func jobRules() []Rule {
	return []Rule{{
		Alert: "JobFailed",
		Expr: lastStart("kube_job_failed") + `
unless on (` + byWorkload + `)
(` + lastStart("kube_job_complete") + ` > ` + lastStart("kube_job_failed") + `)`,
		Severity: string(v1alpha1.SeverityWarning),
		Summary:  about + " failed",
		Description: "The last run of " + about + " that ended has failed for good: its pods failed more often than " +
			"backoffLimit allows, or its deadline passed. It stays until a later run succeeds or the job is removed.",
		ThresholdFrom: "backoffLimit and activeDeadlineSeconds of the Job: Kubernetes has given up",
	}, {
		Alert: "JobOverlong",
		Expr: `max by (` + byWorkload + `) (
  (time() - kube_job_status_start_time > 43200 and on (namespace, job_name) kube_job_status_active > 0)
  * on (namespace, job_name) group_left (workload_kind, workload) ` + jobWorkload + `
)`,
		For:         "1m",
		Severity:    string(v1alpha1.SeverityWarning),
		Summary:     about + " runs for very long",
		Description: "A run of " + about + " has been active for {{ $value | humanizeDuration }}.",
		ThresholdFrom: "12 hours is half a day: a daily job that takes longer is about to overlap with the next one; " +
			"it is also the limit that the kubernetes-mixin uses",
	}}
}
