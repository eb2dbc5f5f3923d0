package claim

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

const (
	// selectedNode is the annotation by which the scheduler lets a volume be made, where that waits for the pod.
	selectedNode = "volume.kubernetes.io/selected-node"
	// provisioner is the annotation that names who is to make the volume: not that of the class where a CSI driver stands in
	// for a driver that was part of Kubernetes.
	provisioner = "volume.kubernetes.io/storage-provisioner"
	// patience is after what time a provisioner that runs would have begun.
	patience = time.Minute
)

// layers are what stands around a provisioner's reason.
var layers = regexp.MustCompile(`^(?:(?i:failed to provision volume) with StorageClass "[^"]*": )?(?:rpc error: code = \w+ desc = )?`)

// unmade is for a claim whose class exists, and whose volume was not made.
func unmade(
	f *diagnosis.Facts, c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, events []corev1.Event, u user, out diagnosis.Finding,
) []diagnosis.Finding {
	why, asked, late := because(events), newest(events, "ExternalProvisioning"), false
	if asked != nil {
		late = f.Now.Sub(begun(asked)) >= patience
	}
	waits := ptr.Deref(class.VolumeBindingMode, "") == storagev1.VolumeBindingWaitForFirstConsumer
	if waits && why == "" && (c.Annotations[selectedNode] == "" || !late) {
		return nil // it waits for the pod, not the other way round
	}
	maker := cmp.Or(c.Annotations[provisioner], class.Provisioner)
	out.Kind, out.Score, out.Value = diagnosis.KindDisk, diagnosis.ScoreStrong, class.Name
	out.Fix = diagnosis.Fix{Explanation: "See what the provisioner says, and that it runs.",
		Commands: []string{diagnosis.Kubectl(f.NS(), "describe", "pvc", c.Name)}}
	switch {
	case why != "":
		out.Fix.Explanation = fmt.Sprintf("Put right what the provisioner (%s) says. It tries again by itself.", maker)
	case late && newest(events, "Provisioning") != nil:
		out.Score = diagnosis.ScoreLikely
		why = fmt.Sprintf(": its provisioner %s was asked for one %s ago and is not done", maker, f.Age(begun(asked)))
	case late:
		why = fmt.Sprintf(": its provisioner %s was asked for one %s ago and gives no sign", maker, f.Age(begun(asked)))
		out.Fix.Explanation = fmt.Sprintf("Install the provisioner %s, or bring its controller pods up.", maker)
	}
	out.Sentence = fmt.Sprintf("PersistentVolumeClaim %s gets no volume from StorageClass %s%s%s", c.Name, class.Name, why, u.says)
	return []diagnosis.Finding{out}
}

// unclassed is what the control plane says of a claim whose class does not exist.
var unclassed = regexp.MustCompile(`^storageclass\S* "[^"]+" not found$`)

// because is why the volume was not made, as the end of a sentence; empty where no one said so.
func because(events []corev1.Event) string {
	e := newest(events, "ProvisioningFailed")
	if e == nil {
		return ""
	}
	return ": " + strings.TrimRight(diagnosis.Shorten(layers.ReplaceAllString(e.Message, ""), 200), " .")
}

// newest is the newest event of a reason; the events are in that order.
func newest(events []corev1.Event, reason string) *corev1.Event {
	if i := slices.IndexFunc(events, func(e corev1.Event) bool { return e.Reason == reason }); i >= 0 {
		return &events[i]
	}
	return nil
}

// begun is when the event was first seen.
func begun(e *corev1.Event) time.Time {
	if e.FirstTimestamp.IsZero() {
		return cmp.Or(e.EventTime.Time, diagnosis.EventTime(e))
	}
	return e.FirstTimestamp.Time
}
