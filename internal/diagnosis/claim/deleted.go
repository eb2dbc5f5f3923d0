package claim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// deleted is for a claim that goes when the last pod on a node ends that uses it. No new pod gets it until then: it has its
// volume, and is no cause of anything else.
func deleted(f *diagnosis.Facts, c *corev1.PersistentVolumeClaim, u user) []diagnosis.Finding {
	var held, waiting []string
	for i := range f.Pods {
		if p := &f.Pods[i]; uses(p, c.Name) && p.Spec.NodeName == "" {
			waiting = append(waiting, p.Name)
		}
	}
	if len(waiting) == 0 && f.Subject.Kind != "PersistentVolumeClaim" {
		return nil
	}
	for _, pods := range [][]corev1.Pod{f.Pods, f.Neighbours} {
		for i := range pods {
			if p := &pods[i]; uses(p, c.Name) && p.Spec.NodeName != "" {
				held = append(held, p.Name)
			}
		}
	}
	finalizers := strings.Join(c.Finalizers, ", ")
	by := fmt.Sprintf("its finalizers still hold it (%s)", finalizers)
	if len(held) > 0 {
		slices.Sort(held)
		by = fmt.Sprintf("%s still uses it (finalizers: %s)", diagnosis.Shorten("pod "+strings.Join(held, ", pod "), 160), finalizers)
	}
	at := c.DeletionTimestamp.Time
	value := at.UTC().Format(time.RFC3339)
	out := diagnosis.Finding{
		Kind: diagnosis.KindDisk, Object: object(c), Field: "metadata.deletionTimestamp", Value: value, Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("PersistentVolumeClaim %s was deleted %s ago (metadata.deletionTimestamp) and no new pod gets it, but %s%s",
			c.Name, f.Age(at), by, u.says),
		Evidence: []string{fmt.Sprintf("metadata.deletionTimestamp of PersistentVolumeClaim %s is %s", c.Name, value)},
	}
	if len(waiting) > 0 {
		out.Evidence = append(out.Evidence, "the claim is awaited by "+diagnosis.Shorten("pod "+strings.Join(waiting, ", pod "), 160))
	}
	out.Fix = keep(f, c, len(held) > 0)
	return []diagnosis.Finding{out}
}

func uses(p *corev1.Pod, claim string) bool {
	return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

// keep saves the data of a claim that is being deleted, which can't be stopped.
func keep(f *diagnosis.Facts, c *corev1.PersistentVolumeClaim, used bool) diagnosis.Fix {
	end := "when its finalizers are gone, make the claim anew"
	if used {
		end = "end the pods that still use the claim, and make it anew"
	}
	see := diagnosis.Kubectl(c.Namespace, "describe", "pvc", c.Name)
	name := c.Spec.VolumeName
	kept := slices.ContainsFunc(f.Volumes, func(v corev1.PersistentVolume) bool {
		return v.Name == name && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain
	})
	switch {
	case name == "":
		return diagnosis.Fix{Explanation: "A deletion can't be taken back: " + end + ".", Commands: []string{see}}
	case kept:
		return diagnosis.Fix{Commands: []string{see}, Explanation: fmt.Sprintf(
			"A deletion can't be taken back: %s. PersistentVolume %s stays with the data (Retain); it can be bound again when its claimRef is removed.",
			end, name)}
	}
	explanation := fmt.Sprintf(
		"A deletion can't be taken back. Set PersistentVolume %s to Retain first, or the data may go with the claim; then %s.", name, end)
	return diagnosis.FixBy(explanation, []diagnosis.Patch{retain(name)}, see)
}
