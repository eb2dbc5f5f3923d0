package watch

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// restartsInTrouble is from how many restarts on a pod counts as in trouble since it was made: its conditions and the end of
// its last container tell of its last crash alone.
const restartsInTrouble = 2

// Since returns since when a workload or node is in trouble, as far as its state shows: a node that is not ready, or the
// pod of the workload that has been without being ready for longest. It is false where nothing is.
// The pods are the cache's own and only read.
func (t *Topology) Since(subject v1alpha1.Subject) (time.Time, bool) {
	if subject.Kind == "Node" {
		var n corev1.Node
		if t.Reader.Get(context.Background(), client.ObjectKey{Name: subject.Name}, &n) != nil {
			return time.Time{}, false
		}
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
				return c.LastTransitionTime.Time, true
			}
		}
		return time.Time{}, false
	}
	var pods corev1.PodList
	if subject.Namespace == "" || t.Reader.List(context.Background(), &pods, client.InNamespace(subject.Namespace), client.UnsafeDisableDeepCopy) != nil {
		return time.Time{}, false
	}
	var since time.Time
	for i := range pods.Items {
		pod := &pods.Items[i]
		if podReady(pod) || finished(pod) || !sameObject(t.OfPod(pod), subject) {
			continue
		}
		if at := troubleOf(pod); since.IsZero() || at.Before(since) {
			since = at
		}
	}
	return since, !since.IsZero()
}

// troubleOf returns since when a pod that is not ready is in trouble.
func troubleOf(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.ContainerStatuses {
		if c.RestartCount >= restartsInTrouble {
			return pod.CreationTimestamp.Time
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Time
		}
	}
	return pod.CreationTimestamp.Time
}
