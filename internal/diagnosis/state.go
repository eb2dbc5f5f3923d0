package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// KilledByProbe returns the event by which the kubelet said that it ended the container for a failed liveness or
// startup probe, or nil. An event of an earlier end counts only where the last one looks the same: the kubelet drops most
// events of a pod that is restarted again and again.
func (f *Facts) KilledByProbe(c Container) *corev1.Event {
	events := slices.DeleteFunc(f.EventsOf("Pod", c.Pod.Name, string(c.Pod.UID)), func(e corev1.Event) bool {
		return e.Reason != "Killing" || c.failed(e.Message) == ""
	})
	if len(events) == 0 {
		return nil
	}
	last, ended := &events[0], c.Ended()
	if ended == nil || !EventTime(last).Before(ended.FinishedAt.Add(-c.grace()-late)) || likeKilled(ended) {
		return last
	}
	if times(events) > 1 && c.livedForProbe(last, ended) {
		return last
	}
	return nil
}

// failed is what of the container the kubelet says to have failed, such as its liveness probe; empty in other messages. It
// calls a sidecar an init container.
func (c Container) failed(message string) string {
	for _, noun := range []string{"Container ", "Init container "} {
		if what, ok := strings.CutPrefix(message, noun+c.Spec.Name+" failed "); ok {
			return what
		}
	}
	return ""
}

// HookFailed returns the event by which the kubelet said that the container's postStart hook failed, for which it ended the
// container, or nil. As with probes, events of earlier ends count only where there were several and the last end looks the same.
func (f *Facts) HookFailed(c Container) *corev1.Event {
	events := slices.DeleteFunc(f.EventsOf("Pod", c.Pod.Name, string(c.Pod.UID)), func(e corev1.Event) bool {
		return e.Reason != "FailedPostStartHook" || !strings.HasSuffix(e.InvolvedObject.FieldPath, "{"+c.Spec.Name+"}")
	})
	if len(events) == 0 {
		return nil
	}
	last, ended := &events[0], c.Ended()
	switch {
	case ended == nil:
	case ended.Reason == "OOMKilled":
		return nil // by the kernel
	case !likeKilled(ended) && !EventTime(last).Before(ended.FinishedAt.Time):
		return nil // by itself, and the hook with it
	case EventTime(last).Before(ended.StartedAt.Time) && (times(events) < 2 || !likeKilled(ended)):
		return nil
	}
	if probe := f.KilledByProbe(c); probe != nil && EventTime(probe).After(EventTime(last)) {
		return nil
	}
	return last
}

// EndsByHook tells whether the kubelet ends the container each time because its postStart hook fails, with the event that
// says so as long as there is one.
func (f *Facts) EndsByHook(c Container) (*corev1.Event, bool) {
	reason, _ := c.Waiting()
	waits := reason == "PostStartHookError"
	if e := f.HookFailed(c); e != nil {
		return e, waits || c.Failing(f.Now)
	}
	ended := c.Ended()
	return nil, waits && (ended == nil || likeKilled(ended) && ended.Reason != "OOMKilled")
}

// times is how often events happened.
func times(events []corev1.Event) int {
	n := 0
	for _, e := range events {
		count := max(e.Count, 1)
		if e.Series != nil {
			count = max(count, e.Series.Count)
		}
		n += int(count)
	}
	return n
}

// livedForProbe tells whether a container ended with a code of its own, as it may when it is told to, and just when a
// probe that fails from its start on makes the kubelet end it: the one that an event is about. One that ran for longer may
// have ended for any reason.
func (c Container) livedForProbe(killing *corev1.Event, t *corev1.ContainerStateTerminated) bool {
	p, start := c.Spec.LivenessProbe, c.Spec.StartupProbe
	if strings.HasPrefix(c.failed(killing.Message), "startup ") {
		p, start = start, nil
	}
	if p == nil || t.StartedAt.Unix() <= 0 || t.Reason == "OOMKilled" || t.ExitCode > 128 { // above it: ended by a signal
		return false
	}
	shortest, longest := untilFailed(p)
	if start != nil { // the liveness probe waits for it
		_, more := untilFailed(start)
		longest += more
	}
	lived := t.FinishedAt.Sub(t.StartedAt.Time)
	return lived >= shortest && lived <= longest+c.grace()+late
}

// Outlived tells whether the container ran for longer, before it ended last, than a probe of its lets one that never answers.
func (c Container) Outlived(p *corev1.Probe) bool {
	t := c.Ended()
	if t == nil || t.StartedAt.Unix() <= 0 {
		return false
	}
	_, longest := untilFailed(p)
	if start := c.Spec.StartupProbe; start != nil && start != p {
		_, more := untilFailed(start)
		longest += more
	}
	return t.FinishedAt.Sub(t.StartedAt.Time) > longest+c.grace()+late
}

// untilFailed is how long after a container's start a probe that always fails has done so often enough, at least and at
// most.
func untilFailed(p *corev1.Probe) (shortest, longest time.Duration) {
	threshold, period := max(p.FailureThreshold, 1), max(p.PeriodSeconds, 1)
	shortest = time.Duration(p.InitialDelaySeconds+(threshold-1)*period) * time.Second
	return shortest, time.Duration(p.InitialDelaySeconds+threshold*max(period, p.TimeoutSeconds)+p.TimeoutSeconds) * time.Second
}

// late is how much longer than its grace period a container may take to end once the kubelet said that it kills it.
const late = 15 * time.Second

// likeKilled tells whether a container ended as one does that is told to: by the signal, or well.
func likeKilled(t *corev1.ContainerStateTerminated) bool {
	const killed, terminated = 128 + 9, 128 + 15
	return t.Reason != "OOMKilled" && (t.ExitCode == 0 || t.ExitCode == killed || t.ExitCode == terminated)
}

// Unstarted tells whether a container ended because the runtime could not start it, of which its message tells.
func Unstarted(t *corev1.ContainerStateTerminated) bool {
	return (t.Reason == "StartError" || t.Reason == "ContainerCannotRun") && t.Message != ""
}

// OutOfMemory tells whether a container was killed for its memory, be it before its program ran: that only the message says.
func OutOfMemory(t *corev1.ContainerStateTerminated) bool {
	return t.Reason == "OOMKilled" || Unstarted(t) && strings.Contains(t.Message, "container init was OOM-killed")
}

// grace is how long the container may take to end once it is told to.
func (c Container) grace() time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if s := c.Pod.Spec.TerminationGracePeriodSeconds; s != nil {
		seconds = *s
	}
	for _, p := range []*corev1.Probe{c.Spec.LivenessProbe, c.Spec.StartupProbe} {
		if p != nil && p.TerminationGracePeriodSeconds != nil {
			seconds = max(seconds, *p.TerminationGracePeriodSeconds)
		}
	}
	return time.Duration(seconds) * time.Second
}

// ContainerNamed finds a container in a pod's specification, init containers included.
func ContainerNamed(spec *corev1.PodSpec, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// Age is how long ago something was, in words that stay the same for a while: seconds, minutes, hours or days.
func (f *Facts) Age(t time.Time) string {
	d := max(f.Now.Sub(t), 0)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Creations are the events that say why pods could not be made, newest of each ReplicaSet or workload first.
func (f *Facts) Creations() []corev1.Event { return f.ControllerEvents("FailedCreate") }

// LogsCommand prints the log that tells how the container ended: of its last instance where it was
// restarted.
func LogsCommand(c Container) string {
	args := []string{"logs", "pod/" + c.Pod.Name, "-c", c.Spec.Name}
	if c.Status != nil && c.Status.State.Terminated == nil && c.Status.RestartCount > 0 {
		args = append(args, "--previous")
	}
	return Kubectl(c.Pod.Namespace, args...)
}

// Plural writes a number with its noun.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
