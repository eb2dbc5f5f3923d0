// Package rollout finds workloads that do not get the pods they want: the symptom that everybody sees.
package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds rollouts that are stuck, paused workloads and pods that are not ready.
var Detector = diagnosis.Detector{Name: "rollout", Doc: "rollouts that are stuck or paused, and pods that are not ready or do not end", Detect: detect}

const (
	// endPatience is how long a pod may take to end.
	endPatience = time.Minute
	// silence is how long a node's kubelet must have been silent to count as lost: as long as Kubernetes waits before it evicts the pods.
	silence = 5 * time.Minute
)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	out := ending(f)
	w := f.Workload
	if !w.Exists() || w.Kind == "CronJob" || w.Kind == "Job" {
		return out
	}
	base := diagnosis.Finding{Kind: diagnosis.KindUnknown, Object: w.Object, Score: diagnosis.ScoreSymptom, Symptom: true}
	describe := []string{diagnosis.Kubectl(f.NS(), "describe", w.Arg())}
	if w.Desired == 0 && w.Kind != "DaemonSet" {
		base.Kind, base.Score, base.Field, base.Value = diagnosis.KindConfig, diagnosis.ScorePossible, "spec.replicas", "0"
		base.Sentence = fmt.Sprintf("%s is scaled to 0 (spec.replicas), so it has no pods", w.Object)
		base.Fix = diagnosis.FixBy("Scale it up if it shall run.", []diagnosis.Patch{diagnosis.Scale(w.Object, 1)})
		return append(out, base)
	}
	if w.Paused && (w.Updated < w.Desired || w.Old > 0) {
		x := base
		x.Kind, x.Score, x.Symptom, x.Field, x.Value = diagnosis.KindConfig, diagnosis.ScoreStrong, false, "spec.paused", "true"
		x.Sentence = fmt.Sprintf("The rollout of %s is paused (spec.paused), so its change does not take effect", w.Object)
		x.Fix = diagnosis.FixBy("Resume the rollout.", []diagnosis.Patch{diagnosis.Resume(w.Object)})
		out = append(out, x)
	}
	if w.Satisfied() || w.Paused && w.Ready >= w.Desired {
		return out
	}
	if w.Stuck() {
		return append(out, stuck(f, base, describe))
	}
	if f.RollingOut() {
		if w.Ready >= w.Desired {
			return out
		}
		base.Score = 0.1
		base.Sentence = fmt.Sprintf("%s is starting: %d of %d pods are ready, %s younger than a minute",
			w.Object, w.Ready, w.Desired, diagnosis.Plural(int(f.Starting()), "pod"))
		base.Fix = diagnosis.Fix{Explanation: "Wait a moment and ask again.", Commands: []string{diagnosis.Kubectl(f.NS(), "get", "pods")}}
		return append(out, base)
	}
	base.Fix = diagnosis.Fix{Explanation: "See the conditions and events of the pods.", Commands: describe}
	if late := f.Late(); w.Ready >= w.Desired && len(late) > 0 {
		base.Field, base.Value = "status.updatedReplicas", fmt.Sprint(w.Updated)
		base.Sentence = fmt.Sprintf("The rollout of %s is not done: %d of %d pods are updated and ready", w.Object, updated(f), w.Desired)
		base.Evidence = []string{fmt.Sprintf("pod %s was made %s ago and is not ready", late[0].Name, f.Age(late[0].CreationTimestamp.Time))}
		return append(out, base)
	}
	base.Field, base.Value = "status.readyReplicas", fmt.Sprint(w.Ready)
	base.Sentence = fmt.Sprintf("%s has %d of %d pods ready", w.Object, w.Ready, w.Desired)
	return append(out, base)
}

func stuck(f *diagnosis.Facts, x diagnosis.Finding, describe []string) diagnosis.Finding {
	c := f.Workload.Condition("Progressing")
	x.Field, x.Value = "status.conditions[Progressing]", c.Reason
	x.Sentence = fmt.Sprintf("The rollout of %s is stuck: %d of %d pods are updated and ready within its progress deadline",
		f.Workload.Object, updated(f), f.Workload.Desired)
	x.Evidence = []string{"condition Progressing=False: " + diagnosis.Shorten(c.Message, 200)}
	x.Fix = diagnosis.Fix{Explanation: "Find why the new pods are not ready, or go back." + f.Untried(diagnosis.Any),
		Commands: append(describe, f.Undo(diagnosis.Any)...)}
	return x
}

// updated is how many pods of the present revision are ready.
func updated(f *diagnosis.Facts) int32 {
	w := f.Workload
	if present, _ := f.Revisions(); present != nil {
		return min(present.Ready, w.Desired)
	}
	return max(min(w.Ready-w.Old, w.Updated), 0)
}

// ending finds pods that were told to end and do not.
func ending(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i := range f.Pods {
		if p := &f.Pods[i]; p.DeletionTimestamp != nil && f.Now.Sub(p.DeletionTimestamp.Time) >= endPatience {
			out = append(out, unended(f, p))
		}
	}
	return out
}

func unended(f *diagnosis.Facts, p *corev1.Pod) diagnosis.Finding {
	x := diagnosis.Finding{Kind: diagnosis.KindNode, Object: diagnosis.ObjectOf(p), Field: "metadata.deletionTimestamp", Score: diagnosis.ScoreLikely}
	told := fmt.Sprintf("Pod %s was told to end %s ago", p.Name, f.Age(p.DeletionTimestamp.Time))
	describe := diagnosis.Kubectl(p.Namespace, "describe", "pod", p.Name)
	troubled, lost := node(f, p.Spec.NodeName)
	if troubled {
		x.Symptom, x.Score = true, diagnosis.ScoreSymptom
	}
	switch {
	case len(p.Finalizers) > 0 && (lost != "" || !running(p)):
		held := strings.Join(p.Finalizers, ", ")
		x.Kind, x.Field, x.Value, x.Score, x.Symptom = diagnosis.KindConfig, "metadata.finalizers", held, diagnosis.ScoreStrong, false
		x.Sentence = fmt.Sprintf("%s and the finalizer %s holds it", told, held)
		if len(p.Finalizers) > 1 {
			x.Sentence = fmt.Sprintf("%s and the finalizers %s hold it", told, held)
		}
		x.Fix = diagnosis.Fix{Explanation: "Bring the controller up that removes the finalizer.", Commands: []string{describe}}
	case lost != "":
		x.Sentence = fmt.Sprintf("%s and can't: its node %s %s", told, p.Spec.NodeName, lost)
		x.Fix = diagnosis.Fix{
			Explanation: "Bring the node back if it is to stay. Delete the pod by force only if its machine is off for certain: where the pod still runs, two of them may write to one volume.",
			Commands: []string{
				diagnosis.Kubectl("", "get", "node", p.Spec.NodeName),
				diagnosis.Kubectl(p.Namespace, "delete", "pod", p.Name, "--force", "--grace-period=0"),
			},
		}
	default:
		x.Sentence = fmt.Sprintf("%s and its node %s does not confirm it", told, p.Spec.NodeName)
		x.Fix = diagnosis.Fix{
			Explanation: "See in the events of the pod and the node, and in the kubelet's log there, which container or volume does not end. Deleting the pod by force would leave it running beside its successor.",
			Commands:    []string{describe, diagnosis.Kubectl("", "describe", "node", p.Spec.NodeName)},
		}
	}
	return x
}

// node tells whether a node is in trouble, which is told as a cause of its own, and how it is lost, if it is: it is gone, or
// its kubelet has been silent for long. A kubelet that reports that its node is not ready still runs.
func node(f *diagnosis.Facts, name string) (troubled bool, lost string) {
	n := f.Node(name)
	if n == nil {
		if name != "" && f.Knows("Node") {
			return true, "does not exist any more"
		}
		return false, ""
	}
	for _, c := range n.Status.Conditions {
		switch {
		case c.Type != corev1.NodeReady || c.Status == corev1.ConditionTrue:
		case c.Status == corev1.ConditionUnknown && f.Now.Sub(c.LastTransitionTime.Time) >= silence:
			return true, "has not reported for " + f.Age(c.LastTransitionTime.Time)
		default:
			return true, ""
		}
	}
	return false, ""
}

// running tells whether a container of the pod runs as far as its kubelet said.
func running(p *corev1.Pod) bool {
	return slices.ContainsFunc(diagnosis.ContainersOf(p), func(c diagnosis.Container) bool { return c.Status != nil && c.Status.State.Running != nil })
}
