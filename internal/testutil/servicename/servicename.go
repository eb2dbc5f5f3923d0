// Package servicename has pods and the names of their services. The admission policy of the chart, Fluent Bit and the
// collector must agree on them, so that traces, metrics and logs of one service have the same name. The order is that of
// https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/.
package servicename

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Labels and annotation that say it, and the one by which a Deployment tells its pods apart.
const (
	annotation = "resource.opentelemetry.io/service.name"
	instance   = "app.kubernetes.io/instance"
	name       = "app.kubernetes.io/name"
	hash       = "pod-template-hash"
)

// Case is a pod and the name of its service.
type Case struct {
	// Name, Labels and Annotations are the pod's.
	Name                string
	Labels, Annotations map[string]string
	// Owner is what made the pod, the zero value where nobody did. Deployment is the owner of a ReplicaSet.
	Owner      metav1.OwnerReference
	Deployment string
	// Want is the name of the service. Said tells that a label or an annotation is it: then it is known before the pod is made.
	Want string
	Said bool
}

// Cases are all ways to a name.
func Cases() []Case {
	return []Case{{
		Name: "annotated", Labels: map[string]string{instance: "shop-prod", name: "checkout"},
		Annotations: map[string]string{annotation: "till"}, Want: "till", Said: true,
	}, {
		Name: "of-helm-5d8f7c9b6d-abcde", Labels: map[string]string{instance: "shop-prod", name: "checkout", hash: "5d8f7c9b6d"},
		Owner: owner("ReplicaSet", "of-helm-5d8f7c9b6d"), Deployment: "of-helm", Want: "shop-prod", Said: true,
	}, {
		Name: "named", Labels: map[string]string{name: "checkout", "app": "other"}, Want: "checkout", Said: true,
	}, {
		Name: "unlabelled-7f9c-abcde", Labels: map[string]string{"app": "other", hash: "7f9c"},
		Owner: owner("ReplicaSet", "unlabelled-7f9c"), Deployment: "unlabelled", Want: "unlabelled",
	}, {
		Name: "replica-abcde", Owner: owner("ReplicaSet", "replica"), Want: "replica",
	}, {
		Name: "stateful-0", Owner: owner("StatefulSet", "stateful"), Want: "stateful",
	}, {
		Name: "agent-abcde", Owner: owner("DaemonSet", "agent"), Want: "agent",
	}, {
		Name: "report-29123456-abcde", Owner: owner("Job", "report-29123456"), Want: "report",
	}, {
		Name: "migrate-2-abcde", Owner: owner("Job", "migrate-2"), Want: "migrate",
	}, {
		Name:  "custom-0",
		Owner: metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Cluster", Name: "custom", UID: "3c2b1a00-0000-4000-8000-0000000000aa"},
		Want:  "custom-0",
	}, {
		Name: "bare", Want: "bare",
	}}
}

func owner(kind, name string) metav1.OwnerReference {
	version := "apps/v1"
	if kind == "Job" {
		version = "batch/v1"
	}
	return metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, UID: "3c2b1a00-0000-4000-8000-0000000000aa", Controller: new(true)}
}
