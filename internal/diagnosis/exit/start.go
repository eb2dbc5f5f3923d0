package exit

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
	"github.com/kubebot/kubebot/internal/mask"
)

var (
	// layers are what the runtimes above each other put before the reason for which a container can't be started, and hints what
	// they put after it.
	layers = regexp.MustCompile(`^.*(?:failed to (?:create|start) (?:containerd|shim) task(?: "[^"]*")?: |OCI runtime create failed: ` +
		`|runc create failed: |unable to start container process: |error during container init: |container init caused: )`)
	hints = regexp.MustCompile(`(?:: unknown|: Are you trying to mount a directory onto a file\b.*)+$`)
	// marks tell a pod and its container from others: a sentence about all of them leaves them out.
	marks = regexp.MustCompile(`\b(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{64})\b`)
	// mounting is what runc says of a mount that fails: where it should be, and why it is not, at last.
	mounting = regexp.MustCompile(`error mounting "[^"]*" to rootfs at "([^"]+)": (?:.*: )?([^:]+)$`)
)

const (
	startFix = "Correct what the message names: it is the container runtime's, and the program has not run."
	mountFix = "Correct the path of the mount, or what the volume holds there."
	dirFix   = "A part of that path is a file in the image: mount the volume elsewhere, or one file of it by subPath."
	// sameFix is for a file that should be mounted over a directory, or the other way round.
	sameFix = "What the volume has and what the image has at that path must both be files or both be directories: correct subPath or mountPath. Where the volume does not have what subPath names, the kubelet makes an empty directory of it."
)

// unstarted explains a container that the runtime could not start. Its message ends in the reason.
func unstarted(f *diagnosis.Facts, c diagnosis.Container, out diagnosis.Finding, who string) diagnosis.Finding {
	message := strings.Join(strings.Fields(mask.Text(c.Ended().Message)), " ")
	message = marks.ReplaceAllString(hints.ReplaceAllString(layers.ReplaceAllString(message, ""), ""), "…")
	out.Evidence = append(out.Evidence, "the runtime says: "+end(message, 400))
	out.Kind, out.Score, out.Value = diagnosis.KindUnknown, diagnosis.ScoreLikely, c.Ended().Reason
	out.Sentence = fmt.Sprintf("%s can't be started: %s", who, strings.TrimRight(end(message, 300), ". "))
	class := logline.Classify(message)
	if kind, ok := kinds[class]; ok {
		out.Kind = kind
	}
	text, ok := advice[class]
	if !ok {
		text = startFix
	}
	if m := mounting.FindStringSubmatch(message); m != nil {
		text = unmounted(c.Spec, &out, who, m[1], m[2])
	}
	out.Fix = orBack(f, text, diagnosis.Kubectl(c.Pod.Namespace, "describe", "pod", c.Pod.Name))
	return out
}

// unmounted explains a mount that fails, if it is one of the container's own, and says what to do.
func unmounted(c *corev1.Container, out *diagnosis.Finding, who, at, why string) string {
	i := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return path.Clean(m.MountPath) == path.Clean(at) })
	if i < 0 {
		return startFix
	}
	m := c.VolumeMounts[i]
	what, field, value := "volume "+m.Name, "mountPath", m.MountPath
	part := cmp.Or(m.SubPath, m.SubPathExpr)
	if part != "" {
		if field = "subPath"; m.SubPath == "" {
			field = "subPathExpr"
		}
		what, value = fmt.Sprintf("%s of volume %s (%s)", part, m.Name, field), part
	}
	out.Kind, out.Score, out.Value = diagnosis.KindConfig, diagnosis.ScoreStrong, value
	out.Field += fmt.Sprintf(".volumeMounts[%s].%s", m.Name, field)
	out.Sentence = fmt.Sprintf("%s can't be started, because %s can't be mounted at %s: %s", who, what, m.MountPath, why)
	switch {
	case why != "not a directory" && why != "is a directory":
		return mountFix
	case part == "":
		return dirFix
	}
	return sameFix
}

// end is a text, or the last words of it after an ellipsis.
func end(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	if i := strings.IndexByte(text, ' '); i >= 0 {
		text = text[i+1:]
	}
	return "… " + strings.ToValidUTF8(text, "")
}
