package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// uninspected is why a container waits whose image the kubelet could not look up on the node. That comes before any pull, so
// the registry has no part in it.
const uninspected = "ImageInspectError"

var (
	// silent is what the kubelet hears of a container runtime that does not answer.
	silent = regexp.MustCompile(`(?i)deadline exceeded|connection refused|code = Unavailable`)
	// inspecting are the words around the runtime's own.
	inspecting = regexp.MustCompile(`^Failed to inspect image "[^"]*": (?:rpc error: code = \w+ desc = )?`)
)

func lookup(f *diagnosis.Facts, c diagnosis.Container, message string) diagnosis.Finding {
	node := c.Pod.Spec.NodeName
	says := fmt.Sprintf("can't look up image %s: %s", c.Spec.Image,
		strings.TrimRight(diagnosis.Shorten(inspecting.ReplaceAllString(message, ""), 200), " ."))
	if silent.MatchString(message) {
		says = "does not answer when it is asked for image " + c.Spec.Image
	}
	return diagnosis.Finding{
		Kind: diagnosis.KindNode, Object: diagnosis.Object{APIVersion: "v1", Kind: "Node", Name: node}, Value: uninspected,
		Score:    diagnosis.ScoreStrong,
		Sentence: fmt.Sprintf("The container runtime of node %s %s; %s of %s waits for it", node, says, c.Noun(), f.Owner(c.Pod).Object),
		Evidence: []string{
			fmt.Sprintf("pod %s: %s waits, %s: %s", c.Pod.Name, c.Noun(), uninspected, diagnosis.Shorten(message, 300)),
		},
		Fix: diagnosis.Fix{
			Explanation: "See what the node's kubelet and its container runtime say, and whether its disk keeps up; restart the runtime if it hangs.",
			Commands:    []string{diagnosis.Kubectl("", "describe", "node", node)},
		},
	}
}
