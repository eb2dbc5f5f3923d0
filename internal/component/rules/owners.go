package rules

// Series that map pods, jobs, claims and services to the workload that owns them. A pod, job or claim has one series
// at most, or joins with it would fail.
const (
	podWorkload     = "kubebot:pod:workload"
	jobWorkload     = "kubebot:job:workload"
	claimWorkload   = "kubebot:claim:workload"
	serviceWorkload = "kubebot:service:workload"
)

func ownerGroup() Group {
	owned := func(record, expr string) Rule {
		return Rule{Record: record, Expr: expr, Needs: []Need{needKubeStateMetrics}}
	}
	return Group{Name: "kubebot-owners", Rules: []Rule{
		owned(jobWorkload, `group by (namespace, job_name, workload_kind, workload) (
  label_replace(label_replace(
    kube_job_owner{owner_is_controller="true"},
    "workload_kind", "$1", "owner_kind", "(.+)"), "workload", "$1", "owner_name", "(.+)")
)
or
group by (namespace, job_name, workload_kind, workload) (
  label_replace(label_replace(
    kube_job_owner unless on (namespace, job_name) kube_job_owner{owner_is_controller="true"},
    "workload_kind", "Job", "", ""), "workload", "$1", "job_name", "(.+)")
)`),
		owned(podWorkload, `group by (namespace, pod, workload_kind, workload) (
  label_replace(label_replace(
    label_replace(kube_pod_owner{owner_kind="ReplicaSet", owner_is_controller="true"}, "replicaset", "$1", "owner_name", "(.+)")
    * on (namespace, replicaset) group_left (owner_kind, owner_name)
    group by (namespace, replicaset, owner_kind, owner_name) (kube_replicaset_owner{owner_is_controller="true"}),
    "workload_kind", "$1", "owner_kind", "(.+)"), "workload", "$1", "owner_name", "(.+)")
)
or
group by (namespace, pod, workload_kind, workload) (
  label_replace(label_replace(
    label_replace(kube_pod_owner{owner_kind="ReplicaSet", owner_is_controller="true"}, "replicaset", "$1", "owner_name", "(.+)")
    unless on (namespace, replicaset) kube_replicaset_owner{owner_is_controller="true"},
    "workload_kind", "ReplicaSet", "", ""), "workload", "$1", "owner_name", "(.+)")
)
or
group by (namespace, pod, workload_kind, workload) (
  label_replace(kube_pod_owner{owner_kind="Job", owner_is_controller="true"}, "job_name", "$1", "owner_name", "(.+)")
  * on (namespace, job_name) group_left (workload_kind, workload) `+jobWorkload+`
)
or
group by (namespace, pod, workload_kind, workload) (
  label_replace(label_replace(
    kube_pod_owner{owner_kind!~"ReplicaSet|Job|Node", owner_is_controller="true"},
    "workload_kind", "$1", "owner_kind", "(.+)"), "workload", "$1", "owner_name", "(.+)")
)
or
group by (namespace, pod, workload_kind, workload) (
  label_replace(label_replace(
    kube_pod_owner unless on (namespace, pod) kube_pod_owner{owner_kind!="Node", owner_is_controller="true"},
    "workload_kind", "Pod", "", ""), "workload", "$1", "pod", "(.+)")
)`),
		// A claim that several workloads share has no owner here.
		owned("kubebot:claim:workloads", `group by (namespace, persistentvolumeclaim, workload_kind, workload) (
  kube_pod_spec_volumes_persistentvolumeclaims_info `+joinOwner+`
)`),
		owned(claimWorkload, `kubebot:claim:workloads
and on (namespace, persistentvolumeclaim) count by (namespace, persistentvolumeclaim) (kubebot:claim:workloads) == 1`),
		// The name of a Service's EndpointSlice is the Service's, a dash and random characters.
		owned(serviceWorkload, `group by (namespace, service, workload_kind, workload) (
  label_replace(label_replace(
    kube_endpointslice_endpoints{targetref_kind="Pod"},
    "service", "$1", "endpointslice", "(.+)-[^-]+"), "pod", "$1", "targetref_name", "(.+)")
  `+joinOwner+`
)`),
	}}
}
