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
	events := f.EventsOf("Pod", c.Pod.Name, string(c.Pod.UID))
	i := slices.IndexFunc(events, func(e corev1.Event) bool {
		return e.Reason == "Killing" && strings.HasPrefix(e.Message, "Container "+c.Spec.Name+" failed ")
	})
	if i < 0 {
		return nil
	}
	ended := c.Ended()
	if ended == nil || likeKilled(ended) || !EventTime(&events[i]).Before(ended.FinishedAt.Add(-c.grace()-late)) {
		return &events[i]
	}
	return nil
}

// late is how much longer than its grace period a container may take to end once the kubelet said that it kills it.
const late = 15 * time.Second

// likeKilled tells whether a container ended as one does that is told to: by the signal, or well.
func likeKilled(t *corev1.ContainerStateTerminated) bool {
	const killed, terminated = 128 + 9, 128 + 15
	return t.Reason != "OOMKilled" && (t.ExitCode == 0 || t.ExitCode == killed || t.ExitCode == terminated)
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
