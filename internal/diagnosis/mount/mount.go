// Package mount finds volumes that can't be attached or mounted for another reason than a missing object.
package mount

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds failing mounts.
var Detector = diagnosis.Detector{Name: "mount", Doc: "volumes that can't be attached or mounted", Detect: detect}

var (
	volume = regexp.MustCompile(`for volume "([^"]+)"`)
	// elsewhere is what another detector explains better.
	elsewhere = regexp.MustCompile(
		`(?i)(?:configmap|secret|serviceaccount|persistentvolumeclaim) "[^"]+" not found|references non-existent|object "[^"]+"/"[^"]+" not registered`)
	// summary repeats an earlier event without its reason.
	summary  = regexp.MustCompile(`Unable to attach or mount volumes.*timed out waiting for the condition`)
	reasonOf = regexp.MustCompile(`(?:rpc error: code = \w+ desc = |: )([^:].*)$`)
)

// advice is what goes wrong with a volume, the first that fits; $1 stands for what the pattern's group matched.
var advice = []struct {
	pattern *regexp.Regexp
	kind    diagnosis.Kind
	says    string
	fix     string
}{
	{regexp.MustCompile(`timed out waiting for external-attacher of (\S+) CSI driver to attach`), diagnosis.KindDisk,
		"is not attached to its node: the controller of CSI driver $1 (its external-attacher) does not run, or hangs",
		"Bring the driver's controller pods up. The VolumeAttachment of the volume says what they did last."},
	{regexp.MustCompile(`Multi-Attach error`), diagnosis.KindDisk,
		"is attached to another node, and may be attached to one only (ReadWriteOnce)",
		"Wait until the pod on the other node is gone, or delete it; a Deployment with such a volume needs strategy Recreate."},
	// The driver's controller attaches volumes: the node's own way to the storage does not matter yet.
	{regexp.MustCompile(`(?s)AttachVolume\.\w+ failed for volume "[^"]+" : (?:rpc error: code = \w+ desc = )?(.+)`), diagnosis.KindDisk,
		"can't be attached to its node: $1", "See what the controller of the storage driver says, and the VolumeAttachment of the volume."},
	{regexp.MustCompile(`hostPath type check failed`), diagnosis.KindConfig,
		"is a host path that does not exist on the node, or is of another type", "Correct the host path or its type."},
	{regexp.MustCompile(`not found in the list of registered CSI drivers`), diagnosis.KindNode,
		"needs a CSI driver that does not run on the node", "Bring the node's CSI driver pod up."},
	{regexp.MustCompile(`(?i)permission denied|access denied`), diagnosis.KindConfig,
		"can't be mounted: permission denied", "Let the storage server accept the node."},
	{regexp.MustCompile(`(?i)connection refused|timed out|timeout|no route|deadline exceeded`), diagnosis.KindNetwork,
		"can't be mounted: its server does not answer the node", "Check the storage server and the node's way to it."},
	{regexp.MustCompile(`(?i)wrong fs type|bad superblock|structure needs cleaning`), diagnosis.KindDisk,
		"can't be mounted: its file system is damaged or of another type", "Check the file system of the volume."},
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i := range f.Pods {
		p := &f.Pods[i]
		for _, e := range f.PodEvents(p, "FailedMount", "FailedAttachVolume", "FailedMapVolume") {
			if elsewhere.MatchString(e.Message) || summary.MatchString(e.Message) {
				continue
			}
			name := "of pod " + p.Name
			if m := volume.FindStringSubmatch(e.Message); m != nil {
				name = m[1]
			}
			out = append(out, explain(f, f.Owner(p).Object, name, e.Message, diagnosis.EventEvidence(&e), p.Name))
		}
	}
	return out
}

func explain(f *diagnosis.Facts, owner diagnosis.Object, name, message, evidence, pod string) diagnosis.Finding {
	says, fix, kind := "can't be mounted", "See what the node's kubelet and the storage driver say.", diagnosis.KindDisk
	known := false
	for _, a := range advice {
		if m := a.pattern.FindStringSubmatchIndex(message); m != nil {
			says, fix, kind, known = string(a.pattern.ExpandString(nil, a.says, message, m)), a.fix, a.kind, true
			break
		}
	}
	if m := reasonOf.FindStringSubmatch(message); !known && m != nil {
		says += ": " + diagnosis.Shorten(m[1], 160)
	}
	says = strings.TrimRight(diagnosis.Shorten(says, 220), ".")
	commands := []string{diagnosis.Kubectl(f.NS(), "describe", "pod", pod)}
	if strings.HasPrefix(message, "AttachVolume.") {
		commands = append(commands, diagnosis.Kubectl("", "get", "volumeattachments"))
	}
	return diagnosis.Finding{
		Kind: kind, Object: owner, Field: "volumes[" + strings.TrimPrefix(name, "of pod ") + "]", Value: name, Score: diagnosis.ScoreStrong,
		Sentence: fmt.Sprintf("Volume %s %s; the pods of %s wait for it", name, says, owner), Evidence: []string{evidence},
		Fix: diagnosis.Fix{Explanation: fix, Commands: commands},
	}
}
