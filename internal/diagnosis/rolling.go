package diagnosis

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// patience is how long a pod may take to be ready before that is worth telling.
const patience = time.Minute

// Young tells whether a pod is so new that it need not be ready yet.
func (f *Facts) Young(p *corev1.Pod) bool { return f.Now.Sub(p.CreationTimestamp.Time) < patience }

// Starting is how many pods are not ready and need not be yet. Those that a node refused or evicted never will be.
func (f *Facts) Starting() int32 {
	var n int32
	for i := range f.Pods {
		if p := &f.Pods[i]; f.Young(p) && Unready(p) && p.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

// Late lists the pods that ought to be ready by now and are not.
func (f *Facts) Late() []*corev1.Pod {
	var out []*corev1.Pod
	for i := range f.Pods {
		if p := &f.Pods[i]; Unready(p) && !f.Young(p) && p.DeletionTimestamp == nil && !f.OfPastTry(p) {
			out = append(out, p)
		}
	}
	return out
}

// Stuck tells whether the Deployment's controller says that its rollout does not go on.
func (w Workload) Stuck() bool {
	c := w.Condition("Progressing")
	return c.Status == "False" && c.Reason == "ProgressDeadlineExceeded"
}

// RollingOut tells whether the workload is amid a rollout that goes as it should: pods are missing or old only because new
// ones have just been made, or because the update strategy keeps some as they are.
func (f *Facts) RollingOut() bool {
	w := f.Workload
	if !w.Exists() || w.Satisfied() || w.Paused || w.Stuck() || w.Condition("ReplicaFailure").Status == "True" {
		return false
	}
	return w.Ready+f.Starting() >= w.Desired && len(f.Late()) == 0
}
