package node

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// rebooted finds the reboot that ended containers of the pods on the node, as long as that may be what is noticed now.
func rebooted(f *diagnosis.Facts, n *corev1.Node) []diagnosis.Finding {
	for _, c := range f.Containers() {
		e := f.Rebooted(c)
		if e == nil || c.Pod.Spec.NodeName != n.Name || !c.Failing(f.Now) {
			continue
		}
		whose := "containers on it"
		if f.Workload.Exists() {
			whose = "containers of " + f.Workload.Object.String()
		}
		at := diagnosis.EventTime(e).UTC().Format(time.RFC3339)
		return []diagnosis.Finding{{
			Kind: diagnosis.KindNode, Object: object(n.Name), Field: "status.nodeInfo.bootID", Value: at, Score: diagnosis.ScoreStrong,
			Sentence: fmt.Sprintf("Node %s was rebooted at %s, which ended %s", n.Name, at, whose),
			Evidence: []string{diagnosis.EventEvidence(e), fmt.Sprintf("pod %s: container %s ended with code 255 (Unknown) %s ago",
				c.Pod.Name, c.Spec.Name, f.Age(c.Ended().FinishedAt.Time))},
			Fix: diagnosis.Fix{
				Explanation: "The kubelet starts the containers again. See who or what rebooted the machine: its console, or the end of the log of the boot before (journalctl -b -1).",
				Commands:    []string{diagnosis.Kubectl("", "describe", "node", n.Name)},
			},
		}}
	}
	return nil
}
