// Package dependency finds calls that are refused or not answered, from log lines, and what is wrong at their other end.
package dependency

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/calls"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
	"github.com/kubebot/kubebot/internal/diagnosis/service"
	"github.com/kubebot/kubebot/internal/mask"
)

// Detector finds dependencies that fail.
var Detector = diagnosis.Detector{Name: "dependency", Doc: "calls that are refused or not answered, followed to their other end", Detect: detect}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range calls.Of(f, logline.ClassRefused, logline.ClassTimeout) {
		if c.Endpoint.Host != "" && !over(f, c) {
			out = append(out, explain(f, c))
		}
	}
	return out
}

// follows is how long after a pod is ready calls may still be refused: endpoints and the nodes' rules follow within seconds.
const follows = 5 * time.Second

// over tells whether the other end came up after the last such call, all of it is well, and so is the caller: they were
// starting together. What crashes again and again comes up each time, too.
func over(f *diagnosis.Facts, c calls.Call) bool {
	s := calls.Service(f, c.Endpoint.Host)
	if c.Failing || c.Last.IsZero() || s == nil {
		return false
	}
	pods := service.Pods(f, s)
	if slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return diagnosis.Unready(p) || restarted(p, f.Now) }) {
		return false
	}
	return slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
		return diagnosis.PodReady(p) && diagnosis.PodCondition(p, corev1.PodReady).LastTransitionTime.Add(follows).After(c.Last)
	})
}

// restarted tells whether a container of the pod failed lately.
func restarted(p *corev1.Pod, now time.Time) bool {
	return slices.ContainsFunc(diagnosis.ContainersOf(p), func(c diagnosis.Container) bool { return c.Failing(now) })
}

func explain(f *diagnosis.Facts, c calls.Call) diagnosis.Finding {
	does := "refuses the connection"
	if c.Class == logline.ClassTimeout {
		does = "does not answer"
	}
	out := diagnosis.Finding{
		Kind: diagnosis.KindDependency, Object: f.Workload.Object, Field: "call", Value: c.Endpoint.String(), Score: diagnosis.ScoreLikely,
		Sentence: fmt.Sprintf("%s calls %s, which %s", f.Workload.Object, c.Endpoint, does), Evidence: []string{c.Evidence()},
		Fix: diagnosis.Fix{Explanation: "Bring the dependency up, or correct its address.", Commands: []string{c.LogsCommand(f.NS())}},
	}
	if s, ok := calls.SettingOf(f, c.Endpoint.Host); ok {
		out.Field, out.Value = fmt.Sprintf("containers[%s].env[%s]", s.Container, s.Name), mask.Value(s.Name, s.Value)
		out.Sentence += fmt.Sprintf(" (environment variable %s)", s.Name)
	}
	if c.Endpoint.Host == "localhost" || c.Endpoint.Host == "127.0.0.1" || c.Endpoint.Host == "::1" {
		out.Kind = diagnosis.KindConfig
		out.Sentence += ": nothing in the pod itself listens there"
		out.Fix.Explanation = "localhost is the pod itself; give the program the name of the Service that it means."
		return out
	}
	s := calls.Service(f, c.Endpoint.Host)
	if s == nil {
		return out
	}
	return otherEnd(f, out, c, s)
}

// otherEnd looks at the Service that is called, and at its pods.
func otherEnd(f *diagnosis.Facts, out diagnosis.Finding, c calls.Call, s *corev1.Service) diagnosis.Finding {
	if c.Endpoint.Port != 0 &&
		!slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == c.Endpoint.Port }) &&
		s.Spec.ClusterIP != corev1.ClusterIPNone {
		out.Kind, out.Score = diagnosis.KindConfig, diagnosis.ScoreStrong
		out.Sentence += ": " + service.NoPort(s, strconv.Itoa(c.Endpoint.Port))
		out.Fix.Explanation = "Call a port that the Service has."
		return out
	}
	if x, ok := service.Refused(f, s, c.Endpoint.Port); ok && c.Class == logline.ClassRefused {
		x.Sentence, x.Evidence = out.Sentence+": "+x.Sentence, append(out.Evidence, x.Evidence...)
		return x
	}
	why, down := service.Down(f, s)
	if !down {
		return out
	}
	blamed := service.Blamed(s, out.Sentence+": "+why)
	blamed.Evidence = out.Evidence
	return blamed
}
