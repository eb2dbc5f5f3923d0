// Package rollout finds workloads that do not get the pods they want: the symptom that everybody sees.
package rollout

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds rollouts that are stuck, paused workloads and pods that are not ready.
var Detector = diagnosis.Detector{Name: "rollout", Doc: "rollouts that are stuck or paused, and pods that are not ready or do not end", Detect: detect}

// Young pods are given time to start, and old ones to end.
const (
	patience    = time.Minute
	endPatience = time.Minute
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
	if w.Paused && w.Updated < w.Desired {
		x := base
		x.Kind, x.Score, x.Symptom, x.Field, x.Value = diagnosis.KindConfig, diagnosis.ScoreStrong, false, "spec.paused", "true"
		x.Sentence = fmt.Sprintf("The rollout of %s is paused (spec.paused), so its change does not take effect", w.Object)
		x.Fix = diagnosis.FixBy("Resume the rollout.", []diagnosis.Patch{diagnosis.Resume(w.Object)})
		out = append(out, x)
	}
	if w.Satisfied() || w.Paused && w.Ready >= w.Desired {
		return out
	}
	if c := w.Condition("Progressing"); c.Status == "False" && c.Reason == "ProgressDeadlineExceeded" {
		x := base
		x.Field, x.Value = "status.conditions[Progressing]", c.Reason
		x.Sentence = fmt.Sprintf("The rollout of %s is stuck: %d of %d pods are updated and ready within its progress deadline", w.Object, min(w.Ready, w.Updated), w.Desired)
		x.Evidence = []string{"condition Progressing=False: " + diagnosis.Shorten(c.Message, 200)}
		x.Fix = diagnosis.Fix{Explanation: "Find why the new pods are not ready, or go back.", Commands: append(describe, f.Undo(func(*corev1.PodSpec) bool { return true })...)}
		return append(out, x)
	}
	young := 0
	for i := range f.Pods {
		if f.Now.Sub(f.Pods[i].CreationTimestamp.Time) < patience && !diagnosis.PodReady(&f.Pods[i]) {
			young++
		}
	}
	if young > 0 && w.Ready+int32(young) >= w.Desired {
		base.Score = 0.1
		base.Sentence = fmt.Sprintf("%s is starting: %d of %d pods are ready, %s younger than a minute", w.Object, w.Ready, w.Desired, diagnosis.Plural(young, "pod"))
		base.Fix = diagnosis.Fix{Explanation: "Wait a moment and ask again.", Commands: []string{diagnosis.Kubectl(f.NS(), "get", "pods")}}
		return append(out, base)
	}
	base.Field, base.Value = "status.readyReplicas", fmt.Sprint(w.Ready)
	base.Sentence = fmt.Sprintf("%s has %d of %d pods ready", w.Object, w.Ready, w.Desired)
	base.Fix = diagnosis.Fix{Explanation: "See the conditions and events of the pods.", Commands: describe}
	return append(out, base)
}

// ending finds pods that were told to end and do not.
func ending(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i := range f.Pods {
		p := &f.Pods[i]
		if p.DeletionTimestamp == nil || f.Now.Sub(p.DeletionTimestamp.Time) < endPatience {
			continue
		}
		x := diagnosis.Finding{
			Kind: diagnosis.KindNode, Object: diagnosis.ObjectOf(p), Field: "metadata.deletionTimestamp", Score: diagnosis.ScoreLikely,
			Sentence: fmt.Sprintf("Pod %s was told to end %s ago and its node %s does not confirm it", p.Name, f.Age(p.DeletionTimestamp.Time), p.Spec.NodeName),
			Fix:      diagnosis.Fix{Explanation: "Check the node; if it is gone, delete the pod by force.", Commands: []string{diagnosis.Kubectl("", "get", "node", p.Spec.NodeName), diagnosis.Kubectl(p.Namespace, "delete", "pod", p.Name, "--force", "--grace-period=0")}},
		}
		if len(p.Finalizers) > 0 {
			x.Kind, x.Field, x.Value, x.Score = diagnosis.KindConfig, "metadata.finalizers", p.Finalizers[0], diagnosis.ScoreStrong
			x.Sentence = fmt.Sprintf("Pod %s was told to end %s ago and the finalizer %s holds it", p.Name, f.Age(p.DeletionTimestamp.Time), p.Finalizers[0])
			x.Fix = diagnosis.Fix{Explanation: "Bring the controller up that removes the finalizer.", Commands: []string{diagnosis.Kubectl(p.Namespace, "describe", "pod", p.Name)}}
		}
		out = append(out, x)
	}
	return out
}
