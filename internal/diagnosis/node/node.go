// Package node finds nodes that are not ready, gone or short of something, under the workload's pods.
package node

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds nodes in trouble.
var Detector = diagnosis.Detector{Name: "node", Doc: "nodes that are not ready, gone, cordoned or under pressure, and evictions", Detect: detect}

var pressures = map[corev1.NodeConditionType]struct {
	what string
	kind diagnosis.Kind
}{
	corev1.NodeMemoryPressure: {"memory", diagnosis.KindMemory},
	corev1.NodeDiskPressure:   {"disk space", diagnosis.KindDisk},
	corev1.NodePIDPressure:    {"process ids", diagnosis.KindNode},
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	var names []string
	if f.Subject.Kind == "Node" {
		names = append(names, f.Subject.Name)
	}
	for i := range f.Pods {
		p := &f.Pods[i]
		if n := p.Spec.NodeName; n != "" && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			names = append(names, n)
		}
		if p.Status.Reason != "Evicted" || !matters(f, p) {
			continue
		}
		if limit, own := ownLimit(p.Status.Message); own {
			out = append(out, overLimit(f, p, limit))
		} else {
			out = append(out, evicted(f, p))
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		n := f.Node(name)
		if n == nil {
			if f.Knows("Node") {
				out = append(out, gone(f, name))
			}
			continue
		}
		out = append(out, conditions(f, n)...)
		out = append(out, rebooted(f, n)...)
		if f.Subject.Kind == "Node" && n.Spec.Unschedulable {
			out = append(out, cordoned(f, n))
		}
	}
	return out
}

func object(name string) diagnosis.Object {
	return diagnosis.Object{APIVersion: "v1", Kind: "Node", Name: name}
}

// whose says whose pods run there.
func whose(f *diagnosis.Facts) string {
	if !f.Workload.Exists() {
		return ""
	}
	return fmt.Sprintf("; pods of %s run on it", f.Workload.Object)
}

func gone(f *diagnosis.Facts, name string) diagnosis.Finding {
	return diagnosis.Finding{
		Kind: diagnosis.KindNode, Object: object(name), Field: "metadata.name", Value: name, Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("Node %s does not exist any more%s", name, whose(f)),
		Fix: diagnosis.Fix{Explanation: "Delete the pods that are still bound to the node, so that they are made elsewhere.",
			Commands: []string{diagnosis.Kubectl(f.NS(), "delete", "pods", "--field-selector=spec.nodeName="+name, "--force", "--grace-period=0")}},
	}
}

// cordoned is told of a node that was asked about: a workload's pods that run there stay.
func cordoned(f *diagnosis.Facts, n *corev1.Node) diagnosis.Finding {
	out := diagnosis.Finding{
		Kind: diagnosis.KindNode, Object: object(n.Name), Field: "spec.unschedulable", Value: "true", Score: diagnosis.ScoreLikely,
		Sentence: fmt.Sprintf("Node %s takes no new pods (cordoned: spec.unschedulable)", n.Name),
		Evidence: []string{"spec.unschedulable is true"},
		Fix: diagnosis.Fix{Explanation: "Let the node take pods again when its maintenance is over.",
			Commands: []string{diagnosis.Kubectl("", "uncordon", n.Name)}},
	}
	if f.Troubled {
		out.Score = diagnosis.ScorePossible // an alert has another cause, for which somebody may have cordoned it
	}
	for _, t := range n.Spec.Taints {
		if t.Key == corev1.TaintNodeUnschedulable && t.TimeAdded != nil {
			out.Evidence[0] += " since " + f.Age(t.TimeAdded.Time)
		}
	}
	return out
}

func conditions(f *diagnosis.Facts, n *corev1.Node) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range n.Status.Conditions {
		x := diagnosis.Finding{
			Kind: diagnosis.KindNode, Object: object(n.Name), Field: "status.conditions[" + string(c.Type) + "]",
			Value: string(c.Status), Score: diagnosis.ScoreCertain,
			Evidence: []string{fmt.Sprintf("condition %s=%s since %s: %s: %s",
				c.Type, c.Status, f.Age(c.LastTransitionTime.Time), c.Reason, diagnosis.Shorten(c.Message, 200))},
			Fix: diagnosis.Fix{Commands: []string{diagnosis.Kubectl("", "describe", "node", n.Name)}},
		}
		pressure, known := pressures[c.Type]
		switch {
		case c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown:
			x.Sentence = fmt.Sprintf("Node %s has stopped reporting%s", n.Name, whose(f))
			x.Fix.Explanation = "See whether the machine and its kubelet run; delete the node if it is gone for good."
		case c.Type == corev1.NodeReady && c.Status == corev1.ConditionFalse:
			x.Sentence = fmt.Sprintf("Node %s is not ready (%s)%s", n.Name, c.Reason, whose(f))
			x.Fix.Explanation = "See what its kubelet says."
		case known && c.Status == corev1.ConditionTrue:
			x.Kind, x.Score = pressure.kind, diagnosis.ScoreStrong
			if f.Subject.Kind != "Node" && f.Workload.Satisfied() {
				x.Score = diagnosis.ScorePossible
			}
			x.Sentence = fmt.Sprintf("Node %s is short of %s (condition %s)%s", n.Name, pressure.what, c.Type, whose(f))
			x.Fix.Explanation = "Free some on the node, or move pods away from it."
			x.Fix.Commands = append(x.Fix.Commands, diagnosis.Kubectl("", "cordon", n.Name))
		case c.Type == corev1.NodeNetworkUnavailable && c.Status == corev1.ConditionTrue:
			x.Kind = diagnosis.KindNetwork
			x.Sentence = fmt.Sprintf("Node %s has no pod network (condition NetworkUnavailable)%s", n.Name, whose(f))
			x.Fix.Explanation = "See that the network plugin's pod runs on the node."
		default:
			continue
		}
		out = append(out, x)
	}
	return out
}

// ownLimits are what the kubelet says when a pod uses more of the node's disk than the pod itself allows; the node may
// have plenty (pkg/kubelet/eviction/helpers.go of Kubernetes). The groups are the volume, the container and the limit.
var ownLimits = regexp.MustCompile(`Usage of EmptyDir volume "(?P<volume>[^"]+)" exceeds the limit "(?P<limit>[^"]+)"|Container (?P<container>\S+) exceeded its local ephemeral storage limit "(?P<limit>[^"]+)"|Pod ephemeral local storage usage exceeds the total limit of containers (?P<limit>\S+?)\.?(?:\s|$)`)

// limit is a bound of a pod's own on disk space: its field in the pod's specification, what is bounded, and the value.
type limit struct{ field, of, value string }

// ownLimit reads the limit that a message of the kubelet names.
func ownLimit(message string) (limit, bool) {
	m := ownLimits.FindStringSubmatch(message)
	if m == nil {
		return limit{}, false
	}
	said := map[string]string{}
	for i, name := range ownLimits.SubexpNames() {
		if m[i] != "" {
			said[name] = m[i]
		}
	}
	switch {
	case said["volume"] != "":
		return limit{"volumes[" + said["volume"] + "].emptyDir.sizeLimit", "Volume " + said["volume"], said["limit"]}, true
	case said["container"] != "":
		return limit{"containers[" + said["container"] + "].resources.limits.ephemeral-storage", "Container " + said["container"], said["limit"]}, true
	}
	return limit{"containers[*].resources.limits.ephemeral-storage", "The local disk space", said["limit"]}, true
}

// lately is for how long an eviction is still trouble of now when other pods have taken over: alerts look at up to 5
// minutes, and are up to 5 minutes old when they are explained again.
const lately = 10 * time.Minute

// matters tells whether an eviction is trouble of now. What is left of an evicted pod stays for days; once the workload has
// all its pods, or one that was made since, what is wrong with these is something else.
func matters(f *diagnosis.Facts, evicted *corev1.Pod) bool {
	at, made := diagnosis.EvictedAt(evicted), evicted.CreationTimestamp.Time
	if f.Now.Sub(at) < lately || f.Subject.Kind == "Pod" && f.Subject.Name == evicted.Name {
		return true
	}
	return !whole(f) && !f.OfPastTry(evicted) && !slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool {
		return p.CreationTimestamp.After(made) && !p.CreationTimestamp.Time.Before(at)
	})
}

// whole tells whether the workload has all its pods. A CronJob always has, also when its last run was evicted.
func whole(f *diagnosis.Facts) bool { return f.Workload.Satisfied() && f.Workload.Kind != "CronJob" }

// overLimit is an eviction that the pod's own limit asked for.
func overLimit(f *diagnosis.Facts, p *corev1.Pod, l limit) diagnosis.Finding {
	owner := f.Owner(p).Object
	return diagnosis.Finding{
		Kind: diagnosis.KindDisk, Object: owner, Field: l.field, Value: l.value, Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("%s of %s took more than its limit of %s, so its pod was evicted", l.of, owner, l.value),
		Evidence: []string{"pod " + p.Name + " is Evicted: " + strings.TrimRight(diagnosis.Shorten(p.Status.Message, 200), ". ")},
		Fix: diagnosis.Fix{Explanation: "Let the program remove what it no longer needs, or raise the limit (" + l.field + ") if the work needs it.",
			Commands: []string{diagnosis.Kubectl(f.NS(), "describe", "pod", p.Name)}},
	}
}

func evicted(f *diagnosis.Facts, p *corev1.Pod) diagnosis.Finding {
	score := diagnosis.ScoreLikely
	if whole(f) {
		score = diagnosis.ScoreSymptom
	}
	return diagnosis.Finding{
		Kind: diagnosis.KindNode, Object: object(p.Spec.NodeName), Field: "status.conditions", Value: "Evicted", Score: score, Symptom: whole(f),
		Sentence: fmt.Sprintf("Node %s evicted pods of %s: %s",
			p.Spec.NodeName, f.Owner(p).Object, strings.TrimRight(diagnosis.Shorten(p.Status.Message, 200), ". ")),
		Evidence: []string{"pod " + p.Name + " is Evicted"},
		Fix: diagnosis.Fix{Explanation: "Request as much as the pods use (requests), so that they are put where there is room and are evicted last.",
			Commands: []string{diagnosis.Kubectl("", "describe", "node", p.Spec.NodeName)}},
	}
}
