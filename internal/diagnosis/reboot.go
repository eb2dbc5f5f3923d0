package diagnosis

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// rebootGap is how far the end of a container may lie from the event of the reboot that ended it: the kubelet learns of both
// when it is up again.
const rebootGap = 10 * time.Minute

// Rebooted returns the event of the reboot of its node that ended a container, or nil. The runtime knows of such an end only
// that it happened: code 255 with the reason Unknown.
func (f *Facts) Rebooted(c Container) *corev1.Event {
	ended := c.Ended()
	if ended == nil || ended.ExitCode != 255 || ended.Reason != "Unknown" {
		return nil
	}
	events := f.EventsOf("Node", c.Pod.Spec.NodeName, "")
	for i := range events {
		at := EventTime(&events[i])
		if events[i].Reason == "Rebooted" && at.Sub(ended.FinishedAt.Time).Abs() <= rebootGap {
			return &events[i]
		}
	}
	return nil
}
