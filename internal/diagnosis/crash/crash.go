// Package crash finds containers that end and are restarted, and says why from the exit code and the decisive log line.
package crash

import (
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/exit"
)

// Detector finds crash loops.
var Detector = diagnosis.Detector{Name: "crash", Doc: "containers that end, with the reason from exit code, signal and last log line", Detect: detect}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range f.Containers() {
		if c.Init || !c.Failing(f.Now) || diagnosis.OutOfMemory(c.Ended()) || c.Pod.Status.Reason == "Evicted" {
			continue // what ended these, other detectors say
		}
		if _, hook := f.EndsByHook(c); f.Rebooted(c) != nil || f.KilledByProbe(c) != nil || hook && f.Subject.Kind != "Node" {
			continue // as of those that the kubelet ended; of a node's containers nothing else tells of hooks
		}
		out = append(out, exit.Explain(f, c))
	}
	return out
}
