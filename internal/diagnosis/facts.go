package diagnosis

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Line is one line of a container's log; Time is zero where it is unknown.
type Line struct {
	Time time.Time
	Text string
}

// Log is the end of a container's log, oldest line first, with secrets masked. Previous is the log of the container's
// last instance.
type Log struct {
	Pod, Container string
	Previous       bool
	Lines          []Line
}

// Unread is something that could not be read.
type Unread struct {
	// Kind of the objects, or Log. Without a Name it is the list of them.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	Reason    string `json:"reason"`
}

// Words name what is unread as seen from a namespace.
func (u Unread) Words(from string) string {
	words := strings.TrimSpace(u.Kind + " " + u.Name)
	if u.Name != "" && u.Namespace != "" && u.Namespace != from {
		words += " of namespace " + u.Namespace
	}
	return words
}

// Facts is everything that detectors look at. Lists hold what was read; Knows tells whether the absence of an object
// means that it does not exist.
type Facts struct {
	// Now is when the facts were read.
	Now time.Time
	// Subject is what was asked about; Workload is the workload behind it, if there is one.
	Subject  Object
	Workload Workload
	// Troubled is set where an alert says that something is wrong, so that what is recent is worth telling even if no
	// object shows trouble.
	Troubled bool

	Namespace *corev1.Namespace
	// Pods are the workload's own, Neighbours all others of the namespace; of a node that was asked about, all on it. Then
	// Budgets are those of all namespaces.
	Pods, Neighbours []corev1.Pod
	// Others are the other workloads of the namespace that keep pods running: Deployments, StatefulSets, DaemonSets, and
	// ReplicaSets that belong to no Deployment.
	Others []Workload
	// ReplicaSets are the Deployment's revisions.
	ReplicaSets []appsv1.ReplicaSet
	// ControllerRevisions are those of the StatefulSet or DaemonSet.
	ControllerRevisions []appsv1.ControllerRevision
	Jobs                []batchv1.Job
	CronJobs            []batchv1.CronJob
	// Events of the namespace and of the pods' nodes.
	Events []corev1.Event
	Nodes  []corev1.Node

	Quotas          []corev1.ResourceQuota
	LimitRanges     []corev1.LimitRange
	ConfigMaps      []corev1.ConfigMap // without values; Data is nil where the keys were not read either
	ServiceAccounts []corev1.ServiceAccount
	Claims          []corev1.PersistentVolumeClaim
	Volumes         []corev1.PersistentVolume
	StorageClasses  []storagev1.StorageClass

	Services       []corev1.Service
	EndpointSlices []discoveryv1.EndpointSlice
	Ingresses      []networkingv1.Ingress
	IngressClasses []networkingv1.IngressClass
	Routes         []Route
	Gateways       []Gateway // of the namespace, and those of others that its routes name
	Policies       []networkingv1.NetworkPolicy
	Autoscalers    []autoscalingv2.HorizontalPodAutoscaler
	Budgets        []policyv1.PodDisruptionBudget

	Logs   []Log
	Unread []Unread
	// Rollouts are those of all Deployments, StatefulSets and DaemonSets of the namespace.
	Rollouts []Rollout
}

// Rollout is when a workload got a new revision.
type Rollout struct {
	Kind, Name string
	Revision   int
	At         time.Time
}

// Knows tells whether every object of the kind that matters was read, so that one that is not there does not exist.
// Secrets are never read.
func (f *Facts) Knows(kind string) bool {
	if kind == "Secret" {
		return false
	}
	for _, u := range f.Unread {
		if u.Kind == kind {
			return false
		}
	}
	return true
}

// KnowsObject tells whether an object was asked for with success, so that it does not exist if it is not there.
func (f *Facts) KnowsObject(o Object) bool {
	return !slices.ContainsFunc(f.Unread, func(u Unread) bool {
		return u.Kind == o.Kind && (u.Name == "" || u.Name == o.Name && u.Namespace == o.Namespace)
	})
}

// ConfigMap finds a ConfigMap of the namespace.
func (f *Facts) ConfigMap(name string) *corev1.ConfigMap { return find(f.ConfigMaps, name) }

// Claim finds a PersistentVolumeClaim of the namespace.
func (f *Facts) Claim(name string) *corev1.PersistentVolumeClaim { return find(f.Claims, name) }

// Service finds a Service of the namespace.
func (f *Facts) Service(name string) *corev1.Service { return find(f.Services, name) }

// Node finds a node.
func (f *Facts) Node(name string) *corev1.Node { return find(f.Nodes, name) }

// ServiceAccount finds a ServiceAccount of the namespace.
func (f *Facts) ServiceAccount(name string) *corev1.ServiceAccount {
	return find(f.ServiceAccounts, name)
}

// StorageClass finds a StorageClass.
func (f *Facts) StorageClass(name string) *storagev1.StorageClass {
	return find(f.StorageClasses, name)
}

// Pod finds a pod of the workload.
func (f *Facts) Pod(name string) *corev1.Pod { return find(f.Pods, name) }

func find[T any, P interface {
	*T
	GetName() string
}](list []T, name string) P {
	for i := range list {
		if p := P(&list[i]); p.GetName() == name {
			return p
		}
	}
	return nil
}

// ObjectOf names a pod.
func ObjectOf(p *corev1.Pod) Object {
	return Object{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name}
}

// Owner is the workload, or the pod itself where there is none: what sentences about a pod name and fixes change.
func (f *Facts) Owner(p *corev1.Pod) Workload {
	if f.Workload.Exists() {
		return f.Workload
	}
	w, _ := WorkloadOf(p)
	return w
}

// NS is the namespace of the subject.
func (f *Facts) NS() string { return f.Subject.Namespace }
