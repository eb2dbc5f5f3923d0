package diagnosis

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodReady tells whether the pod is ready or has done its work.
func PodReady(p *corev1.Pod) bool {
	if p.Status.Phase == corev1.PodSucceeded {
		return true
	}
	return PodCondition(p, corev1.PodReady).Status == corev1.ConditionTrue
}

// Unready tells whether the pod ought to be ready and is not: one that was ended from outside has a successor instead.
func Unready(p *corev1.Pod) bool {
	return !PodReady(p) && !EndedFromOutside(p)
}

// PodCondition returns the condition of a type, or an empty one.
func PodCondition(p *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.PodCondition{}
}

// Container is a container of a pod with its specification and state.
type Container struct {
	Pod    *corev1.Pod
	Spec   *corev1.Container
	Status *corev1.ContainerStatus // nil before the kubelet reports one
	// Init is set for a container that has to end before the pod's others start, Sidecar for one in the same list that is
	// restarted for as long as the pod lives.
	Init, Sidecar bool
}

// Containers lists the containers of the workload's pods, init containers first. Those of past tries are left out.
func (f *Facts) Containers() []Container {
	var out []Container
	for i := range f.Pods {
		if !f.OfPastTry(&f.Pods[i]) {
			out = append(out, ContainersOf(&f.Pods[i])...)
		}
	}
	return out
}

// ContainersOf lists the containers of a pod, init containers first.
func ContainersOf(p *corev1.Pod) []Container {
	var out []Container
	add := func(specs []corev1.Container, statuses []corev1.ContainerStatus, init bool) {
		for i := range specs {
			always := specs[i].RestartPolicy != nil && *specs[i].RestartPolicy == corev1.ContainerRestartPolicyAlways
			c := Container{Pod: p, Spec: &specs[i], Init: init && !always, Sidecar: init && always}
			for j := range statuses {
				if statuses[j].Name == specs[i].Name {
					c.Status = &statuses[j]
				}
			}
			out = append(out, c)
		}
	}
	add(p.Spec.InitContainers, p.Status.InitContainerStatuses, true)
	add(p.Spec.Containers, p.Status.ContainerStatuses, false)
	return out
}

// Waiting returns why the container waits, and an empty string if it does not.
func (c Container) Waiting() (reason, message string) {
	if c.Status == nil || c.Status.State.Waiting == nil {
		return "", ""
	}
	return c.Status.State.Waiting.Reason, c.Status.State.Waiting.Message
}

// Ended returns how the container ended: now if it is terminated, else the last time. Nil means it never did.
func (c Container) Ended() *corev1.ContainerStateTerminated {
	switch {
	case c.Status == nil:
		return nil
	case c.Status.State.Terminated != nil:
		return c.Status.State.Terminated
	}
	return c.Status.LastTerminationState.Terminated
}

// RanUntil is when the container last ran: now if it runs, or never ended.
func (c Container) RanUntil(now time.Time) time.Time {
	ended := c.Ended()
	if ended == nil || c.Status.State.Running != nil || ended.FinishedAt.IsZero() {
		return now
	}
	return ended.FinishedAt.Time
}

// started is when the container last started, or could not be started although all that it refers to was there; zero if
// that never was.
func (c Container) started() time.Time {
	if c.Status == nil {
		return time.Time{}
	}
	if run := c.Status.State.Running; run != nil {
		return run.StartedAt.Time
	}
	ended := c.Ended()
	switch {
	case ended == nil:
		return time.Time{}
	case ended.StartedAt.Unix() <= 0: // of a command that can't be run
		return ended.FinishedAt.Time
	}
	return ended.StartedAt.Time
}

// settled is how long a container must have run since its last end to count as well again: the longest pause that the
// kubelet makes between restarts is 5 minutes, and it forgets the failures after 10.
const settled = 10 * time.Minute

// Failing tells whether the container is ended by failure now, waits to be restarted, or has been restarted so lately
// that it may fail again. A container of a pod that was told to end, or was ended from outside, does not fail.
func (c Container) Failing(now time.Time) bool {
	if c.Status == nil || c.Pod.DeletionTimestamp != nil || EndedFromOutside(c.Pod) || c.Sidecar && over(c.Pod) {
		return false
	}
	ended := c.Ended()
	lasting := c.Sidecar || !c.Init && c.Pod.Spec.RestartPolicy == corev1.RestartPolicyAlways
	if ended == nil || ended.ExitCode == 0 && (c.Status.State.Terminated != nil || !lasting) {
		return false
	}
	if run := c.Status.State.Running; run != nil {
		return now.Sub(ended.FinishedAt.Time) < settled
	}
	return true
}

// over tells whether the pod's containers ended for good, at which its sidecars are stopped.
func over(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// EndedFromOutside tells whether the pod was ended for good by an eviction or the shutdown of its node: its owner makes
// another, and what is left of it stays for days. Had its containers failed, the kubelet would have started them again. A
// static pod stands for itself.
func EndedFromOutside(p *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(p)
	return p.Status.Phase == corev1.PodFailed && owner != nil && owner.Kind != "Node" && p.Spec.RestartPolicy != corev1.RestartPolicyNever
}

// EvictedAt is when a pod was evicted: what the kubelet says of one that its node had no room for, and the end of the last
// container of one that was over its own limit, of which it says nothing; else when the pod began.
func EvictedAt(p *corev1.Pod) time.Time {
	if c := PodCondition(p, corev1.DisruptionTarget); c.Status == corev1.ConditionTrue {
		return c.LastTransitionTime.Time
	}
	var last time.Time
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil && t.FinishedAt.After(last) {
			last = t.FinishedAt.Time
		}
	}
	if last.IsZero() && p.Status.StartTime != nil {
		return p.Status.StartTime.Time
	}
	return last
}

// Noun is what a sentence calls the container.
func (c Container) Noun() string {
	if c.Init {
		return "init container " + c.Spec.Name
	}
	return "container " + c.Spec.Name
}

// Path is the container's place in the specification of its pod, as fields of findings name it.
func (c Container) Path() string {
	if c.Init || c.Sidecar {
		return "initContainers[" + c.Spec.Name + "]"
	}
	return "containers[" + c.Spec.Name + "]"
}

// LogOf returns the lines that tell how the container ended: the log of its last instance if it runs again, else the
// present one.
func (f *Facts) LogOf(c Container) []Line {
	present, previous := f.Log(c.Pod.Name, c.Spec.Name, false), f.Log(c.Pod.Name, c.Spec.Name, true)
	if c.Status != nil && c.Status.State.Terminated != nil && len(present) > 0 {
		return present
	}
	if len(previous) > 0 {
		return previous
	}
	return present
}

// Log returns the lines of one log.
func (f *Facts) Log(pod, container string, previous bool) []Line {
	i := slices.IndexFunc(f.Logs, func(l Log) bool { return l.Pod == pod && l.Container == container && l.Previous == previous })
	if i < 0 {
		return nil
	}
	return f.Logs[i].Lines
}
