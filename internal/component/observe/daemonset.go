package observe

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/diagnosis"
)

// NodesNotReady is a query for the nodes, by label node, that are not ready. Without kube-state-metrics it finds none.
const NodesNotReady = `max by (node) (kube_node_status_condition{condition="Ready", status="true"}) == 0`

// KeyNodesNotReady is the key of the question of NodesNotReady.
const KeyNodesNotReady = "nodes-not-ready"

// AskNodesNotReady asks the Prometheus at base which nodes are not ready.
func AskNodesNotReady(base string) component.Question {
	return component.Question{Key: KeyNodesNotReady, URL: Query(base, NodesNotReady)}
}

// notReady are the nodes in the answer to NodesNotReady; none as long as nobody answers.
func notReady(seen component.Observed) map[string]bool {
	vector, err := Vector(seen.Answers[KeyNodesNotReady])
	if err != nil {
		return nil
	}
	nodes := map[string]bool{}
	for _, s := range vector {
		nodes[string(s.Metric["node"])] = true
	}
	return nodes
}

// NotReadyNodes is how many nodes the answer to NodesNotReady has.
func NotReadyNodes(seen component.Observed) int { return len(notReady(seen)) }

// LeftOut says that nodes that are not ready were left out, to end a message with, or is empty.
func LeftOut(nodes int) string {
	if nodes == 0 {
		return ""
	}
	return fmt.Sprintf("; %d node(s) that are not ready are left out", nodes)
}

// labelGeneration is what the DaemonSet controller writes on each pod: the generation of the template that it is of.
const labelGeneration = "pod-template-generation"

// DaemonSetTrouble says what keeps a DaemonSet from being complete, or is empty. Nodes that are not ready are left out,
// and counted, as far as AskNodesNotReady was asked: no pod can get ready there, and the alert NodeNotReady tells of them.
func DaemonSetTrouble(seen component.Observed, name string) (trouble string, leftOut int) {
	d, ok := Find[appsv1.DaemonSet](seen, "DaemonSet", name)
	switch {
	case !ok:
		return fmt.Sprintf("the DaemonSet %s does not exist yet", name), 0
	case d.Status.ObservedGeneration < d.Generation:
		return fmt.Sprintf("the DaemonSet %s was not acted on yet", name), 0
	}
	wanted, updated, available := d.Status.DesiredNumberScheduled, d.Status.UpdatedNumberScheduled, d.Status.NumberAvailable
	for _, pod := range onLostNodes(seen, name) {
		wanted--
		leftOut++
		if pod.Labels[labelGeneration] == d.Annotations[appsv1.DeprecatedTemplateGeneration] {
			updated--
		}
		if diagnosis.PodCondition(&pod, corev1.PodReady).Status == corev1.ConditionTrue {
			available--
		}
	}
	if min(updated, available) < wanted {
		trouble = fmt.Sprintf("%d of %d pods of the DaemonSet %s are up to date and available", min(updated, available), wanted, name) + LeftOut(leftOut)
	}
	return trouble, leftOut
}

// onLostNodes are the pods of a DaemonSet by those of their nodes that are not ready: the oldest of a node, which is the
// one that the DaemonSet's status counts.
func onLostNodes(seen component.Observed, name string) map[string]corev1.Pod {
	lost, found := notReady(seen), map[string]corev1.Pod{}
	for _, pod := range seen.Pods {
		owner := metav1.GetControllerOf(&pod)
		if owner == nil || owner.Kind != "DaemonSet" || owner.Name != name || !lost[pod.Spec.NodeName] {
			continue
		}
		if known, ok := found[pod.Spec.NodeName]; !ok || pod.CreationTimestamp.Before(&known.CreationTimestamp) {
			found[pod.Spec.NodeName] = pod
		}
	}
	return found
}
