// Package initcontainer finds init containers that fail or do not end, so that the pod never starts.
package initcontainer

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/exit"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
)

// Detector finds init containers that hold their pod up.
var Detector = diagnosis.Detector{Name: "initcontainer", Doc: "init containers that fail or do not end", Detect: detect}

// patience is how long an init container may run before it is said to hold its pod up.
const patience = 3 * time.Minute

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range f.Containers() {
		if !c.Init || c.Status == nil || !diagnosis.Unready(c.Pod) {
			continue
		}
		run := c.Status.State.Running
		switch {
		case c.Failing(f.Now) && !diagnosis.OutOfMemory(c.Ended()):
			found := exit.Explain(f, c)
			found.Sentence += "; the pod's containers wait for it"
			out = append(out, found)
		case run != nil && f.Now.Sub(run.StartedAt.Time) > patience:
			out = append(out, endless(f, c))
		}
	}
	return out
}

func endless(f *diagnosis.Facts, c diagnosis.Container) diagnosis.Finding {
	owner := f.Owner(c.Pod).Object
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: owner, Field: "initContainers[" + c.Spec.Name + "]", Score: diagnosis.ScoreLikely,
		Sentence: fmt.Sprintf("Init container %s of %s does not end, and the pod's containers wait for it", c.Spec.Name, owner),
		Evidence: []string{fmt.Sprintf("pod %s: init container %s runs for %s", c.Pod.Name, c.Spec.Name, f.Age(c.Status.State.Running.StartedAt.Time))},
		Fix: diagnosis.Fix{
			Explanation: "See what the init container waits for, and bring that up or correct its command.",
			Commands:    []string{diagnosis.Kubectl(c.Pod.Namespace, "logs", "pod/"+c.Pod.Name, "-c", c.Spec.Name)},
		},
	}
	switch line, ok := logline.Find(f.Log(c.Pod.Name, c.Spec.Name, false)); {
	case ok && line.Weight > 0:
		out.Sentence += ": " + strings.TrimRight(line.Message, ". ")
		out.Evidence = append(out.Evidence, "log: "+diagnosis.Shorten(line.Line, 400))
		out.Score = exit.Score(logline.Classify(line.Line))
	case ok:
		out.Evidence = append(out.Evidence, "last line of the log: "+diagnosis.Shorten(line.Line, 400))
	}
	return out
}
