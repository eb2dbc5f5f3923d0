package notstarted

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/missingref"
	"github.com/kubebot/kubebot/internal/mask"
)

// reasons are those for which a container waits that the kubelet can't make or start, and how a sentence says it.
var reasons = map[string]string{
	"CreateContainerConfigError": "can't be made", "CreateContainerError": "can't be made", "PreCreateHookError": "can't be made",
	"PreStartHookError": "can't be started", "RunContainerError": "can't be started",
}

const (
	userFix = "Give the container the number of a user that is not root and under which its program can run, or use an image that names one (USER). If it has to be root, take runAsNonRoot away."
	nodeFix = "See what the node's kubelet and its container runtime say, and whether its disk keeps up; restart the runtime if it hangs."
)

// readings are what the kubelet and the runtime say of a container that they can't make, the first that fits. {IMAGE} and {NODE}
// stand for the container's, $1 for what the pattern's group found.
var readings = []struct {
	pattern *regexp.Regexp
	kind    diagnosis.Kind
	field   string
	says    string
	fix     string
}{
	{regexp.MustCompile(`has runAsNonRoot and image will run as root`), diagnosis.KindConfig, "securityContext.runAsUser",
		"may not run as root (runAsNonRoot), but its image {IMAGE} does, so the kubelet does not start it", userFix},
	{regexp.MustCompile(`has runAsNonRoot and image has non-numeric user \(([^)]*)\)`), diagnosis.KindConfig, "securityContext.runAsUser",
		"may not run as root (runAsNonRoot), and the kubelet can't tell whether user $1 of its image {IMAGE} is, as that is no number, so it does not start it",
		userFix},
	{regexp.MustCompile(`runAsUser breaks non-root policy`), diagnosis.KindConfig, "securityContext.runAsUser",
		"may not run as root (runAsNonRoot), but is set to (runAsUser: 0), so the kubelet does not start it", userFix},
	{regexp.MustCompile(`no command specified`), diagnosis.KindImage, "image",
		"can't be started: neither it nor its image {IMAGE} names a command",
		"Use an image with an entry point, or give the container the command that it is to run."},
	{regexp.MustCompile(`subPath(?: directory)? for volumeMount "([^"]+)"`), diagnosis.KindConfig, "volumeMounts[$1].subPath",
		"can't be made: the subPath at which it mounts volume $1 can't be prepared",
		"Correct the subPath, or what the volume holds there: the kubelet makes it as a directory, and follows no link out of the volume."},
	{regexp.MustCompile(`(?i)no space left on device`), diagnosis.KindDisk, "", "can't be made: the disk of node {NODE} is full", "Free space on the node."},
	{regexp.MustCompile(`(?i)name .* is reserved for|name .* is already in use`), diagnosis.KindNode, "",
		"can't be made: the container runtime of node {NODE} still has one of its name", nodeFix},
	{regexp.MustCompile(`(?i)deadline exceeded`), diagnosis.KindNode, "",
		"can't be made: the container runtime of node {NODE} does not answer in time", nodeFix},
}

// container explains a container that the kubelet can't make or start. What a container that can't be started says is told as
// the way it ended.
func container(f *diagnosis.Facts, c diagnosis.Container) (diagnosis.Finding, bool) {
	reason, message := c.Waiting()
	can, ok := reasons[reason]
	if !ok || reason == "RunContainerError" && c.Failing(f.Now) || missingref.Explains(f, message) {
		return diagnosis.Finding{}, false
	}
	owner := f.Owner(c.Pod)
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: owner.Object, Field: list(c) + "[" + c.Spec.Name + "]", Value: reason, Score: diagnosis.ScoreStrong,
		Evidence: []string{fmt.Sprintf("pod %s: %s waits, %s: %s", c.Pod.Name, c.Noun(), reason, diagnosis.Shorten(mask.Text(message), 300))},
	}
	message = plain(message)
	says, fix := fmt.Sprintf("%s (%s): %s", can, reason, diagnosis.Shorten(message, 200)), "Correct what the message names."
	if message == "" {
		says = fmt.Sprintf("%s (%s)", can, reason)
	}
	for _, r := range readings {
		m := r.pattern.FindStringSubmatchIndex(message)
		if m == nil {
			continue
		}
		out.Kind, fix = r.kind, r.fix
		says = string(r.pattern.ExpandString(nil, r.says, message, m))
		if r.field != "" {
			out.Field, out.Value = out.Field+"."+string(r.pattern.ExpandString(nil, r.field, message, m)), ""
		}
		switch r.kind {
		case diagnosis.KindImage:
			out.Value = c.Spec.Image
		case diagnosis.KindNode, diagnosis.KindDisk:
			out.Object, out.Field = node(c.Pod), ""
		}
		break
	}
	says = strings.NewReplacer("{IMAGE}", c.Spec.Image, "{NODE}", c.Pod.Spec.NodeName).Replace(says)
	out.Sentence = fmt.Sprintf("%s of %s %s", diagnosis.Upper(c.Noun()), owner.Object, says)
	out.Fix = diagnosis.Fix{Explanation: fix, Commands: f.Undo(changed(f, c))}
	if fix == userFix {
		out.Fix = asUser(owner, c, out.Fix)
	}
	out.Fix.Commands = append(out.Fix.Commands, describe(c.Pod))
	return out, true
}

// changed tells whether an earlier revision has the container in another way.
func changed(f *diagnosis.Facts, c diagnosis.Container) func(old *corev1.PodSpec) bool {
	return func(old *corev1.PodSpec) bool {
		now := &f.Workload.Template.Spec
		return !equality.Semantic.DeepEqual(diagnosis.ContainerNamed(old, c.Spec.Name), diagnosis.ContainerNamed(now, c.Spec.Name)) ||
			!equality.Semantic.DeepEqual(old.SecurityContext, now.SecurityContext)
	}
}

// asUser adds how the container gets another user. Which one it needs only its image's maker knows.
func asUser(w diagnosis.Workload, c diagnosis.Container, fix diagnosis.Fix) diagnosis.Fix {
	if instead, commands := diagnosis.Unchangeable(w, c); instead != "" {
		return diagnosis.Fix{Explanation: fix.Explanation + " " + instead, Commands: append(fix.Commands, commands...)}
	}
	body := fmt.Sprintf(`{%q:[{"name":%q,"securityContext":{"runAsUser":UID}}]}`, list(c), c.Spec.Name)
	for _, field := range slices.Backward(strings.Split(strings.TrimPrefix(w.SpecPath(""), "/"), "/")) {
		body = fmt.Sprintf("{%q:%s}", field, body)
	}
	fix.Explanation += " UID stands for that number."
	fix.Commands = append(fix.Commands, diagnosis.Kubectl(w.Namespace, "patch", strings.ToLower(w.Kind), w.Name, "--type=strategic", "-p", body))
	return fix
}

// list is the field of the pod's specification that holds the container.
func list(c diagnosis.Container) string {
	if c.Init || c.Sidecar {
		return "initContainers"
	}
	return "containers"
}

// hook explains a container that the kubelet ends because its postStart hook fails.
func hook(f *diagnosis.Facts, c diagnosis.Container) (diagnosis.Finding, bool) {
	reason, message := c.Waiting()
	e, ok := f.EndsByHook(c)
	if !ok {
		return diagnosis.Finding{}, false
	}
	owner := f.Owner(c.Pod).Object
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: owner, Field: list(c) + "[" + c.Spec.Name + "].lifecycle.postStart",
		Value: call(c.Spec), Score: diagnosis.ScoreStrong,
		Sentence: fmt.Sprintf("The postStart hook of %s of %s fails, so the kubelet ends the container each time it starts", c.Noun(), owner),
		Fix: diagnosis.Fix{
			Explanation: "Run the hook by hand to see why it fails: it runs beside the program's start, which it must not rely on, and what it writes is kept nowhere.",
			Commands:    append(f.Undo(changed(f, c)), diagnosis.LogsCommand(c)),
		},
	}
	if reason == "PostStartHookError" && message != "" {
		out.Evidence = append(out.Evidence, fmt.Sprintf("pod %s: %s waits, %s: %s", c.Pod.Name, c.Noun(), reason, diagnosis.Shorten(mask.Text(message), 300)))
	}
	if out.Value != "" {
		out.Evidence = append(out.Evidence, "the hook is "+diagnosis.Shorten(out.Value, 200))
	}
	if e != nil {
		out.Evidence = append(out.Evidence, diagnosis.EventEvidence(e))
	}
	return out, true
}

// call says what a container's postStart hook does.
func call(c *corev1.Container) string {
	if c.Lifecycle == nil || c.Lifecycle.PostStart == nil {
		return ""
	}
	switch h := c.Lifecycle.PostStart; {
	case h.Exec != nil:
		return strings.Join(mask.Words(h.Exec.Command), " ")
	case h.HTTPGet != nil:
		return mask.Text(fmt.Sprintf("GET :%s%s", h.HTTPGet.Port.String(), h.HTTPGet.Path))
	}
	return ""
}

var (
	// layers are what the kubelet and the runtime put before a message.
	layers = regexp.MustCompile(`^.*(?:desc = |failed \(add\): |network: |generate spec: )`)
	// marks tell one pod and container from others: a sentence about all of them leaves them out.
	marks = regexp.MustCompile(` \(pod: "[^"]*", container: [^)]*\)| ?"?\b[0-9a-f]{12,64}\b"?`)
)

// plain is a message without what differs from pod to pod, and with secrets masked.
func plain(message string) string {
	return strings.TrimSpace(marks.ReplaceAllString(layers.ReplaceAllString(mask.Text(message), ""), ""))
}
