package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/diagnosis"
)

// waitingReasons says which alert a waiting container makes; the reasons are the kubelet's.
var waitingReasons = map[string]string{
	"ErrImagePull": alert.ImagePullFailed, "ImagePullBackOff": alert.ImagePullFailed, "InvalidImageName": alert.ImagePullFailed,
	"ErrImageNeverPull": alert.ImagePullFailed, "ImageInspectError": alert.ImagePullFailed, "RegistryUnavailable": alert.ImagePullFailed,
	"SignatureValidationFailed":  alert.ImagePullFailed,
	"CreateContainerConfigError": alert.ContainerConfigError, "CreateContainerError": alert.ContainerConfigError,
	"RunContainerError": alert.ContainerConfigError, "PreCreateHookError": alert.ContainerConfigError,
	"PreStartHookError": alert.ContainerConfigError, "PostStartHookError": alert.ContainerConfigError,
	"CrashLoopBackOff": alert.PodCrashLooping,
}

// judgement collects the findings of one workload.
type judgement struct {
	w     Workload
	now   time.Time
	next  time.Time
	found map[string]*hit
}

// hit is a bad state seen in one or more pods.
type hit struct {
	since time.Time
	pods  []string
	text  string // of the first pod
	extra string // for the summary
}

// Judge returns the bad states of a workload, and when to look again because of time alone; zero for never. It is pure.
func Judge(w Workload, now time.Time) ([]Finding, time.Time) {
	j := &judgement{w: w, now: now, found: map[string]*hit{}}
	for _, pod := range w.Pods {
		switch {
		case wasEvicted(pod):
			j.evicted(pod)
		case pod.DeletionTimestamp == nil && !finished(pod):
			j.pod(pod)
		}
	}
	j.events()
	if w.Stuck != "" {
		j.hit(alert.RolloutStuck, "", w.StuckSince, w.Stuck, "")
	}
	if w.Failed != "" {
		j.hit(alert.JobFailed, "", w.FailedSince, w.Failed, "")
	}
	if j.found[alert.PodCrashLooping] != nil {
		delete(j.found, alert.PodCrashed)
	}
	return j.findings(), j.next
}

func (j *judgement) pod(pod *corev1.Pod) {
	for i, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, c := range list {
			if i == 0 && c.State.Terminated != nil && c.State.Terminated.ExitCode == 0 {
				continue // an init container that is done; how often it failed before no longer matters
			}
			j.container(pod, c)
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			if j.reached(c.LastTransitionTime.Add(schedulingPatience)) {
				j.hit(alert.PodUnschedulable, pod.Name, c.LastTransitionTime.Time, c.Message, "")
			}
		}
	}
}

// wasEvicted tells whether the kubelet evicted the pod and its owner makes another.
func wasEvicted(pod *corev1.Pod) bool { return finished(pod) && pod.Status.Reason == "Evicted" }

// evicted tells for a while of a pod that the kubelet has evicted, although its owner has made another: the same ends
// that one too.
func (j *judgement) evicted(pod *corev1.Pod) {
	if at := diagnosis.EvictedAt(pod); !at.IsZero() && !j.reached(at.Add(evictedHold)) {
		j.hit(alert.PodEvicted, pod.Name, at, strings.TrimSpace(pod.Status.Message), "")
	}
}

// container judges one container: what it waits for, and how it ended last.
func (j *judgement) container(pod *corev1.Pod, c corev1.ContainerStatus) {
	if waiting := c.State.Waiting; waiting != nil {
		if name, ok := waitingReasons[waiting.Reason]; ok {
			since := j.now
			if t := c.LastTerminationState.Terminated; t != nil {
				since = t.FinishedAt.Time
			}
			j.hit(name, pod.Name, since, text(c.Name, waiting), imageOf(pod, c.Name, name))
		}
	}
	ended := c.State.Terminated
	if ended == nil {
		ended = c.LastTerminationState.Terminated
	}
	if ended == nil || ended.ExitCode == 0 || pod.Spec.RestartPolicy == corev1.RestartPolicyNever && j.w.Subject.Kind != "Pod" {
		return // a Job's pods may fail; the Job says whether that matters
	}
	name, hold := alert.PodCrashed, crashHold
	if c.RestartCount >= 2 {
		name, hold = alert.PodCrashLooping, loopHold
	}
	if running := c.State.Running; running != nil && j.reached(running.StartedAt.Add(hold)) {
		return
	}
	how := fmt.Sprintf("Container %s of pod %s ended with exit code %d (%s).", c.Name, pod.Name, ended.ExitCode, ended.Reason)
	j.hit(name, pod.Name, ended.FinishedAt.Time, how, "")
	if ended.Reason == "OOMKilled" {
		j.hit(alert.OOMKilled, pod.Name, ended.FinishedAt.Time, how, "")
	}
}

func text(container string, waiting *corev1.ContainerStateWaiting) string {
	if waiting.Message == "" {
		return fmt.Sprintf("Container %s waits: %s.", container, waiting.Reason)
	}
	return fmt.Sprintf("Container %s waits: %s: %s", container, waiting.Reason, waiting.Message)
}

// imageOf returns the image that can't be pulled, for the summary.
func imageOf(pod *corev1.Pod, container, name string) string {
	if name != alert.ImagePullFailed {
		return ""
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}

// events takes the sums of warning events. Those about pods count only while a pod is not ready, a failure to create
// pods only until one was created after it.
func (j *judgement) events() {
	unready := slices.ContainsFunc(j.w.Pods, func(p *corev1.Pod) bool { return !podReady(p) && p.DeletionTimestamp == nil && !finished(p) })
	for name, e := range j.w.Events {
		created := name == alert.PodCreateFailed && slices.ContainsFunc(j.w.Pods, func(p *corev1.Pod) bool { return p.CreationTimestamp.After(e.Last) })
		if created || name != alert.PodCreateFailed && !unready || e.Last.Sub(e.First) < eventSpan || j.reached(e.Last.Add(eventHold)) {
			continue
		}
		j.hit(name, "", e.First, e.Message, "")
	}
}

// reached tells whether a time has come; if not, it is when to look again at the latest.
func (j *judgement) reached(t time.Time) bool {
	if !j.now.Before(t) {
		return true
	}
	if j.next.IsZero() || t.Before(j.next) {
		j.next = t
	}
	return false
}

func (j *judgement) hit(name, pod string, since time.Time, text, extra string) {
	h, ok := j.found[name]
	if !ok {
		h = &hit{since: since, text: text, extra: extra}
		j.found[name] = h
	}
	if since.Before(h.since) {
		h.since = since
	}
	if pod != "" && !slices.Contains(h.pods, pod) {
		h.pods = append(h.pods, pod)
	}
}

// summaries say each finding in a line; %s is the workload.
var summaries = map[string]string{
	alert.PodCrashed: "A container of %s crashed", alert.PodCrashLooping: "Pods of %s crash again and again",
	alert.ImagePullFailed: "Pods of %s can't pull their image", alert.ContainerConfigError: "Containers of %s can't be created",
	alert.OOMKilled: "Containers of %s were killed for their memory", alert.PodUnschedulable: "Pods of %s can't be scheduled",
	alert.JobFailed: "%s failed", alert.RolloutStuck: "The rollout of %s is stuck",
	alert.VolumeMountFailed: "Volumes of %s can't be mounted", alert.PodCreateFailed: "Pods of %s can't be created",
	alert.PodSandboxFailed: "The sandbox of pods of %s can't be made", alert.PodEvicted: "Pods of %s were evicted",
}

// acute findings mean that a human must act now if the workload has no ready replica: they do not heal by themselves.
var acute = []string{
	alert.PodCrashLooping, alert.ImagePullFailed, alert.ContainerConfigError, alert.VolumeMountFailed,
	alert.PodCreateFailed, alert.PodSandboxFailed, alert.PodUnschedulable,
}

func (j *judgement) findings() []Finding {
	down := serves(j.w.Subject.Kind) && !slices.ContainsFunc(j.w.Pods, func(p *corev1.Pod) bool { return podReady(p) && p.DeletionTimestamp == nil })
	about := fmt.Sprintf("%s %s/%s", j.w.Subject.Kind, j.w.Subject.Namespace, j.w.Subject.Name)
	var list []Finding
	for name, h := range j.found {
		f := Finding{Name: name, Severity: v1alpha1.SeverityWarning, Since: h.since, Summary: fmt.Sprintf(summaries[name], about), Description: h.text}
		if h.extra != "" {
			f.Summary += " " + h.extra
		}
		if down && slices.Contains(acute, name) {
			f.Severity = v1alpha1.SeverityCritical
			f.Summary += ", and no replica is ready"
		}
		if len(h.pods) > 0 {
			f.Description = fmt.Sprintf("%d pod(s), such as %s: %s", len(h.pods), h.pods[0], h.text)
		}
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Finding) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// serves tells whether a kind is for workloads whose replicas serve requests. Jobs end, a pod without an owner is
// somebody's experiment, and a DaemonSet without a ready pod says more about the nodes.
func serves(kind string) bool {
	return !slices.Contains([]string{"Job", "CronJob", "Pod", "DaemonSet"}, kind)
}

// JudgeNode returns the bad states of a node, and when to look again because of time alone. It is pure.
func JudgeNode(n *corev1.Node, now time.Time) ([]Finding, time.Time) {
	var list []Finding
	var next time.Time
	for _, c := range n.Status.Conditions {
		switch {
		case c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue && !n.Spec.Unschedulable:
			if until := c.LastTransitionTime.Add(nodePatience); now.Before(until) {
				next = until
				continue
			}
			list = append(list, Finding{
				Name: alert.NodeNotReady, Severity: v1alpha1.SeverityCritical, Since: c.LastTransitionTime.Time,
				Summary: fmt.Sprintf("Node %s is not ready", n.Name), Description: c.Message,
			})
		case pressure(c.Type) && c.Status == corev1.ConditionTrue:
			list = append(list, Finding{
				Name: alert.NodePressure, Severity: v1alpha1.SeverityWarning, Since: c.LastTransitionTime.Time,
				Labels:  map[string]string{"condition": string(c.Type)},
				Summary: fmt.Sprintf("Node %s has %s", n.Name, c.Type), Description: c.Message,
			})
		}
	}
	return list, next
}

func pressure(t corev1.NodeConditionType) bool {
	return t == corev1.NodeMemoryPressure || t == corev1.NodeDiskPressure || t == corev1.NodePIDPressure
}
