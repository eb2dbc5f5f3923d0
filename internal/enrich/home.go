package enrich

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/rca"
)

// workloadKinds are the kinds that resource attributes name, the owners of others first.
var workloadKinds = []struct{ attribute, kind, apiVersion string }{
	{"k8s.deployment.name", "Deployment", "apps/v1"}, {"k8s.statefulset.name", "StatefulSet", "apps/v1"},
	{"k8s.daemonset.name", "DaemonSet", "apps/v1"}, {"k8s.cronjob.name", "CronJob", "batch/v1"}, {"k8s.job.name", "Job", "batch/v1"},
}

// APIVersion returns the version of a kind of workload, empty for others.
func APIVersion(kind string) string {
	for _, w := range workloadKinds {
		if w.kind == kind {
			return w.apiVersion
		}
	}
	if kind == "Pod" || kind == "Node" || kind == "Service" {
		return "v1"
	}
	if kind == "ReplicaSet" {
		return "apps/v1"
	}
	return ""
}

// workloadOnly is an object that runs pods, or is one; none for any other.
func workloadOnly(o diagnosis.Object) diagnosis.Object {
	if o.Kind == "Node" || o.Kind == "Service" || APIVersion(o.Kind) == "" {
		return diagnosis.Object{}
	}
	return o
}

// Home notes the Kubernetes workload that a resource says its service is.
func Home(resource pcommon.Map, homes map[string]diagnosis.Object) {
	service := rca.WorkloadOf(resource)
	if _, known := homes[service]; known || service == "" {
		return
	}
	for _, w := range workloadKinds {
		if name, ok := resource.Get(w.attribute); ok && name.Str() != "" {
			namespace, _ := resource.Get("k8s.namespace.name")
			homes[service] = diagnosis.Object{APIVersion: w.apiVersion, Kind: w.kind, Namespace: namespace.Str(), Name: name.Str()}
			return
		}
	}
}
