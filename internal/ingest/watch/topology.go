package watch

import (
	"context"
	"regexp"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
)

// goneOwners is how many owners of deleted pods are remembered: an alert about a pod often comes after it is gone.
const goneOwners = 20000

// Topology tells who owns what, from the cache.
type Topology struct {
	Reader client.Reader

	mu    sync.Mutex
	gone  map[client.ObjectKey]v1alpha1.Subject
	order []client.ObjectKey
}

// owner is a link of an owner chain.
type owner struct{ apiVersion, kind, name string }

// scheduledJob is how a CronJob names its Jobs: its name and the minute since 1970.
var scheduledJob = regexp.MustCompile(`^(.+)-\d{8,}$`)

// Workload returns the workload at the top of the owner chain of an object, the object itself if nothing owns it; false
// if the object is not known.
func (t *Topology) Workload(kind, namespace, name string) (v1alpha1.Subject, bool) {
	at := owner{apiVersion: apiVersions[kind], kind: kind, name: name}
	known := false
	for range 5 {
		next, found, owned := t.above(at, namespace)
		known = known || found
		if !owned {
			break
		}
		at = next
	}
	if !known && kind == "Pod" {
		return t.lostPod(namespace, name)
	}
	return v1alpha1.Subject{APIVersion: at.apiVersion, Kind: at.kind, Namespace: namespace, Name: at.name}, known
}

// apiVersions of the kinds of workloads.
var apiVersions = map[string]string{
	"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1",
	"Job": "batch/v1", "CronJob": "batch/v1", "Pod": "v1",
}

// above returns the controller of an object: by its owner reference, or by its name where the cache does not hold it
// yet. found tells whether the object is in the cache.
func (t *Topology) above(at owner, namespace string) (next owner, found, owned bool) {
	var object client.Object
	switch at.kind {
	case "Pod":
		object = &corev1.Pod{}
	case "ReplicaSet":
		object = replicaSets()
	case "Job":
		object = &batchv1.Job{}
	case "Deployment":
		object = &appsv1.Deployment{}
	case "StatefulSet":
		object = &appsv1.StatefulSet{}
	case "DaemonSet":
		object = &appsv1.DaemonSet{}
	default:
		return owner{}, false, false
	}
	if t.Reader.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: at.name}, object) != nil {
		if m := scheduledJob.FindStringSubmatch(at.name); at.kind == "Job" && m != nil {
			return owner{"batch/v1", "CronJob", m[1]}, false, true
		}
		return owner{}, false, false
	}
	if pod, ok := object.(*corev1.Pod); ok {
		next, owned = podOwner(pod)
		return next, true, owned
	}
	if at.kind != "ReplicaSet" && at.kind != "Job" {
		return owner{}, true, false // what operators own is still known to people by the workload's own name
	}
	next, owned = controller(object)
	return next, true, owned
}

// podOwner returns the owner of a pod. A Deployment's name follows from the ReplicaSet's, so that it is known even
// before the ReplicaSet is.
func podOwner(pod *corev1.Pod) (owner, bool) {
	o, ok := controller(pod)
	hash := pod.Labels[templateHash]
	if name, cut := strings.CutSuffix(o.name, "-"+hash); ok && o.kind == "ReplicaSet" && hash != "" && cut {
		return owner{"apps/v1", "Deployment", name}, true
	}
	return o, ok
}

func controller(o metav1.Object) (owner, bool) {
	ref := metav1.GetControllerOfNoCopy(o)
	if ref == nil || ref.Kind == "Node" { // a static pod stands for itself
		return owner{}, false
	}
	return owner{ref.APIVersion, ref.Kind, ref.Name}, true
}

// OfPod returns the workload of a pod that was seen.
func (t *Topology) OfPod(pod *corev1.Pod) v1alpha1.Subject {
	o, ok := podOwner(pod)
	if !ok {
		return v1alpha1.Subject{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name}
	}
	if subject, known := t.Workload(o.kind, pod.Namespace, o.name); known || subject.Kind != o.kind {
		return subject
	}
	return v1alpha1.Subject{APIVersion: o.apiVersion, Kind: o.kind, Namespace: pod.Namespace, Name: o.name}
}

// Gone remembers the workload of a pod that was deleted.
func (t *Topology) Gone(pod *corev1.Pod) {
	subject := t.OfPod(pod)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone == nil {
		t.gone = map[client.ObjectKey]v1alpha1.Subject{}
	}
	key := client.ObjectKeyFromObject(pod)
	if _, ok := t.gone[key]; !ok {
		t.order = append(t.order, key)
	}
	t.gone[key] = subject
	if len(t.order) > goneOwners {
		delete(t.gone, t.order[0])
		t.order = t.order[1:]
	}
}

// lostPod returns the workload of a pod that the cache no longer holds: as remembered, or by the way that ReplicaSets
// and StatefulSets name their pods if such a workload exists.
func (t *Topology) lostPod(namespace, name string) (v1alpha1.Subject, bool) {
	t.mu.Lock()
	subject, ok := t.gone[client.ObjectKey{Namespace: namespace, Name: name}]
	t.mu.Unlock()
	if ok {
		return subject, true
	}
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return v1alpha1.Subject{}, false
	}
	for _, kind := range []string{"ReplicaSet", "StatefulSet", "DaemonSet", "Job"} {
		if subject, ok := t.Workload(kind, namespace, name[:i]); ok {
			return subject, true
		}
	}
	return v1alpha1.Subject{}, false
}

// Named returns the Deployment, StatefulSet or DaemonSet of that name; false when there is none.
func (t *Topology) Named(namespace, name string) (v1alpha1.Subject, bool) {
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		if subject, ok := t.Workload(kind, namespace, name); ok {
			return subject, true
		}
	}
	return v1alpha1.Subject{}, false
}

// LostNode returns the node that is not ready and runs every pod of the workload that is not ready, if there is one.
// The pods are the cache's own and only read.
func (t *Topology) LostNode(subject v1alpha1.Subject) (string, bool) {
	var pods corev1.PodList
	if t.Reader.List(context.Background(), &pods, client.InNamespace(subject.Namespace), client.UnsafeDisableDeepCopy) != nil {
		return "", false
	}
	node := ""
	for i := range pods.Items {
		pod := &pods.Items[i]
		if podReady(pod) || finished(pod) || !sameObject(t.OfPod(pod), subject) {
			continue
		}
		if pod.Spec.NodeName == "" || node != "" && node != pod.Spec.NodeName {
			return "", false
		}
		node = pod.Spec.NodeName
	}
	if node == "" {
		return "", false
	}
	var n corev1.Node
	if t.Reader.Get(context.Background(), client.ObjectKey{Name: node}, &n) != nil {
		return "", false
	}
	return node, !nodeReady(&n)
}

func sameObject(a, b v1alpha1.Subject) bool {
	return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name
}

func podReady(pod *corev1.Pod) bool {
	return diagnosis.PodCondition(pod, corev1.PodReady).Status == corev1.ConditionTrue
}

// finished tells whether a pod ended for good and needs nobody: it has done its work, or it was ended from outside.
func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || diagnosis.EndedFromOutside(pod)
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
