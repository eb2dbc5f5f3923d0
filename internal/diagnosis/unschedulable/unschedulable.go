// Package unschedulable finds pods that no node may run, with each of the scheduler's reasons and its numbers.
package unschedulable

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds pods that can't be scheduled.
var Detector = diagnosis.Detector{
	Name: "unschedulable", Doc: "pods that no node may run: resources, selectors, affinity, taints, volumes, topology",
	Detect: detect,
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i := range f.Pods {
		p := &f.Pods[i]
		c := diagnosis.PodCondition(p, corev1.PodScheduled)
		if c.Status != corev1.ConditionFalse || p.DeletionTimestamp != nil {
			continue
		}
		if c.Reason == corev1.PodReasonSchedulingGated {
			out = append(out, gated(f, p))
			continue
		}
		out = append(out, reasons(f, p, c.Message)...)
	}
	return out
}

func gated(f *diagnosis.Facts, p *corev1.Pod) diagnosis.Finding {
	var gates []string
	for _, g := range p.Spec.SchedulingGates {
		gates = append(gates, g.Name)
	}
	owner := f.Owner(p)
	return diagnosis.Finding{
		Kind: diagnosis.KindScheduling, Object: owner.Object, Field: "schedulingGates", Value: strings.Join(gates, ", "), Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("The pods of %s are held back by the scheduling gates %s", owner.Object, strings.Join(gates, ", ")),
		Fix: diagnosis.Fix{Explanation: "Let the controller of the gate remove it, or leave it out of the pod template.",
			Commands: []string{diagnosis.Kubectl(f.NS(), "get", "pod", p.Name, "-o", "jsonpath={.spec.schedulingGates}")}},
	}
}

// begin is where each of the scheduler's reasons begins, with the number of nodes it holds for. Reasons are of any words, and
// have commas of their own.
var begin = regexp.MustCompile(`(?:^|, )(\d+) `)

// reason is one of the scheduler's, and the number of nodes it holds for.
type reason struct {
	nodes, why string
}

// counted are the reasons that hold for a number of nodes. A sentence before them, which holds for all nodes, and those after
// them, about what the scheduler did then, are left out.
func counted(said string) []reason {
	_, list, _ := strings.Cut(said, "available: ")
	list, _, _ = strings.Cut(list, ". ") // keys of taints and names of resources have dots
	at := begin.FindAllStringSubmatchIndex(list, -1)
	if len(at) == 0 || at[0][0] > 0 {
		return nil
	}
	var out []reason
	for i, m := range at {
		end := len(list)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		out = append(out, reason{nodes: list[m[2]:m[3]], why: strings.TrimRight(list[m[1]:end], " .")})
	}
	return out
}

// affinitySelector is the scheduler's reason for nodes that the pod's own choice leaves out.
const affinitySelector = "node affinity/selector"

// claimed is what the scheduler says of a claim that no pod can use.
var claimed = regexp.MustCompile(`persistentvolumeclaim "([^"]+)" (is being deleted|bound to non-existent persistentvolume "[^"]+")`)

func reasons(f *diagnosis.Facts, p *corev1.Pod, message string) []diagnosis.Finding {
	said, _, _ := strings.Cut(message, "preemption:")
	owner := f.Owner(p)
	base := diagnosis.Finding{
		Kind: diagnosis.KindScheduling, Object: owner.Object, Score: diagnosis.ScoreCertain,
		Evidence: []string{fmt.Sprintf("pod %s is not scheduled: %s", p.Name, diagnosis.Shorten(message, 400))},
	}
	var out []diagnosis.Finding
	all := counted(said)
	most := 0
	for _, r := range all {
		n, _ := strconv.Atoi(r.nodes)
		most = max(most, n)
	}
	for _, r := range all {
		if owner.Kind == "DaemonSet" && len(all) > 1 && strings.Contains(r.why, affinitySelector) {
			continue // each pod is meant for one node, which the others are not
		}
		x := one(f, p, owner, base, r.nodes, r.why)
		if n, _ := strconv.Atoi(r.nodes); x.Field == tolerations && x.Kind != diagnosis.KindNode && len(all) > 1 {
			x.Score = besides(x, n < most)
		}
		out = append(out, x)
	}
	if len(out) > 0 {
		return out
	}
	claim := claimed.FindStringSubmatch(said)
	switch {
	case claim != nil:
		base.Symptom, base.Score = true, diagnosis.ScoreSymptom
		base.Sentence = fmt.Sprintf("The pods of %s can't be scheduled, because PersistentVolumeClaim %s %s",
			owner.Object, claim[1], claim[2])
	case strings.Contains(said, "persistentvolumeclaim"), strings.Contains(said, "PersistentVolumeClaim"):
		base.Symptom, base.Score = true, diagnosis.ScoreSymptom
		base.Sentence = fmt.Sprintf("The pods of %s can't be scheduled, because a volume claim has no volume", owner.Object)
	case strings.Contains(said, "no nodes available"), strings.HasPrefix(said, "0/0"):
		base.Kind = diagnosis.KindNode
		base.Sentence = fmt.Sprintf("The pods of %s can't be scheduled, because the cluster has no node", owner.Object)
	default:
		base.Score = diagnosis.ScoreLikely
		base.Sentence = fmt.Sprintf("The pods of %s can't be scheduled: %s", owner.Object, diagnosis.Shorten(said, 200))
	}
	base.Fix = diagnosis.Fix{Explanation: "See the scheduler's reasons.", Commands: []string{diagnosis.Kubectl(f.NS(), "describe", "pod", p.Name)}}
	return []diagnosis.Finding{base}
}

// besides is the score of a taint that a person set, where there are other reasons: such a taint says what the node is for,
// so that what keeps the pods off the other nodes is likelier to be wrong.
func besides(x diagnosis.Finding, fewer bool) float64 {
	switch {
	case strings.HasPrefix(x.Value, roles):
		return diagnosis.ScorePossible
	case fewer:
		return diagnosis.ScoreLikely
	}
	return x.Score
}

func one(f *diagnosis.Facts, p *corev1.Pod, owner diagnosis.Workload, out diagnosis.Finding, nodes, why string) diagnosis.Finding {
	on := "on " + nodeCount(nodes)
	spec := &owner.Template.Spec
	switch {
	case strings.HasPrefix(why, "Insufficient "):
		return insufficient(f, p, owner, out, strings.TrimPrefix(why, "Insufficient "), nodes)
	case strings.Contains(why, "Too many pods"):
		out.Kind, out.Field = diagnosis.KindNode, "status.allocatable.pods"
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s: no room for one more pod there (status.allocatable.pods)", owner.Object, on)
		out.Fix = diagnosis.Fix{Explanation: "Add nodes, or lower the number of pods.", Commands: []string{diagnosis.Kubectl("", "get", "nodes")}}
	case strings.Contains(why, affinitySelector), strings.Contains(why, "node selector"):
		return selector(f, p, owner, out, on)
	case strings.Contains(why, "taint"):
		return taint(f, p, owner, out, why, on)
	case strings.Contains(why, "existing pods"):
		return keptAway(f, p, owner, out, on)
	case strings.Contains(why, "anti-affinity"):
		out.Field = "affinity.podAntiAffinity"
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s: their anti-affinity (affinity.podAntiAffinity) forbids the pods that run there",
			owner.Object, on)
		out.Fix = diagnosis.Fix{Explanation: "Prefer the anti-affinity instead of requiring it, add nodes, or lower the replicas.",
			Commands: editCommand(f, owner)}
	case strings.Contains(why, "pod affinity"):
		out.Field = "affinity.podAffinity"
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s: no pod runs there that their affinity (affinity.podAffinity) asks for",
			owner.Object, on)
		out.Fix = diagnosis.Fix{Explanation: "Correct the affinity's labels, or start what it asks for.", Commands: editCommand(f, owner)}
	case strings.Contains(why, "topology spread"):
		out.Field = "topologySpreadConstraints"
		out.Value = topology(spec)
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s without breaking their spread (topologySpreadConstraints over %s)",
			owner.Object, on, out.Value)
		out.Fix = diagnosis.Fix{Explanation: "Set whenUnsatisfiable to ScheduleAnyway, raise maxSkew, or label the nodes with the topology key.",
			Commands: editCommand(f, owner)}
	case strings.Contains(why, "volume node affinity"), strings.Contains(why, "PersistentVolume's node affinity"):
		out.Kind, out.Field = diagnosis.KindDisk, "volumes"
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s: their volume can be used on another node or zone only (volume node affinity)",
			owner.Object, on)
		out.Fix = diagnosis.Fix{Explanation: "Bring a node up where the volume is.", Commands: []string{diagnosis.Kubectl("", "describe", "pv")}}
	case strings.Contains(why, "unschedulable"):
		out.Kind, out.Field = diagnosis.KindNode, "spec.unschedulable"
		return cordoned(f, owner, out, on)
	case strings.Contains(why, "free ports"):
		out.Field = "containers.ports.hostPort"
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s: the host port they ask for is taken there", owner.Object, on)
		out.Fix = diagnosis.Fix{Explanation: "Leave the host port out, or give it another number.", Commands: editCommand(f, owner)}
	case strings.Contains(why, "cannot allocate all claims") && len(p.Spec.ResourceClaims) > 0:
		out.Field, out.Value, out.Score = "resourceClaims", devices(p), diagnosis.ScoreStrong
		out.Sentence = fmt.Sprintf(
			"The pods of %s can't be scheduled %s: no free devices there fit their resource claims (resourceClaims %s)",
			owner.Object, on, out.Value)
		out.Fix = diagnosis.Fix{
			Explanation: "Compare the devices that the nodes offer with what the claims ask for; a node without any may lack the device's driver.",
			Commands: []string{
				diagnosis.Kubectl("", "get", "resourceslices"), diagnosis.Kubectl(f.NS(), "get", "resourceclaims", "-o", "yaml"),
			},
		}
	default:
		out.Score = diagnosis.ScoreLikely
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s: %s", owner.Object, on, diagnosis.Shorten(why, 200))
		out.Fix = diagnosis.Fix{Explanation: "See the scheduler's reasons.", Commands: []string{diagnosis.Kubectl(f.NS(), "describe", "pod", p.Name)}}
	}
	return out
}

func nodeCount(n string) string {
	if n == "1" {
		return "1 node"
	}
	return n + " nodes"
}

func editCommand(f *diagnosis.Facts, owner diagnosis.Workload) []string {
	return []string{diagnosis.Kubectl(f.NS(), "edit", owner.Arg())}
}

func topology(spec *corev1.PodSpec) string {
	var keys []string
	for _, c := range spec.TopologySpreadConstraints {
		keys = append(keys, c.TopologyKey)
	}
	return strings.Join(keys, ", ")
}

// devices names the pod's resource claims, and what each is or is made from.
func devices(p *corev1.Pod) string {
	var names []string
	for _, c := range p.Spec.ResourceClaims {
		from := "of ResourceClaim " + ptr.Deref(c.ResourceClaimName, "")
		if c.ResourceClaimTemplateName != nil {
			from = "of ResourceClaimTemplate " + *c.ResourceClaimTemplateName
		}
		names = append(names, c.Name+" "+from)
	}
	return strings.Join(names, ", ")
}

// insufficient compares what the pod requests with what the nodes have.
func insufficient(f *diagnosis.Facts, p *corev1.Pod, owner diagnosis.Workload, out diagnosis.Finding, name, nodes string) diagnosis.Finding {
	want := request(p, corev1.ResourceName(name))
	var largest resource.Quantity
	where := ""
	for i := range f.Nodes {
		if q := f.Nodes[i].Status.Allocatable[corev1.ResourceName(name)]; where == "" || q.Cmp(largest) > 0 {
			largest, where = q, f.Nodes[i].Name
		}
	}
	out.Field, out.Value = "containers.resources.requests."+name, want.String()
	out.Sentence = fmt.Sprintf("The pods of %s request %s=%s, which no node has free", owner.Object, name, want.String())
	tooBig := where != "" && want.Cmp(largest) > 0
	switch {
	case tooBig:
		out.Sentence = fmt.Sprintf("The pods of %s request %s=%s, more than any node has: the largest, %s, has %s",
			owner.Object, name, want.String(), where, readable(largest))
	case where != "":
		out.Sentence += fmt.Sprintf(" (%s short of it; the largest, %s, has %s in all)", nodeCount(nodes), where, readable(largest))
	}
	out.Fix.Explanation = fmt.Sprintf("Lower the request (resources.requests.%s) to what the program uses, or add a node with enough.", name)
	out.Fix.Commands = []string{diagnosis.Kubectl("", "describe", "nodes")}
	if fix, ok := lower(p, owner, out.Fix.Explanation, corev1.ResourceName(name), largest); ok && tooBig {
		out.Fix = fix
	}
	return out
}

// lower makes the fix that asks for less in the container that requests most of the resource, if the pod fits a node then.
func lower(p *corev1.Pod, owner diagnosis.Workload, explanation string, name corev1.ResourceName, largest resource.Quantity) (diagnosis.Fix, bool) {
	less := p.DeepCopy()
	container := greatest(less, name)
	if name != corev1.ResourceCPU && name != corev1.ResourceMemory || container == nil || owner.Kind == "Pod" || owner.Kind == "Job" {
		return diagnosis.Fix{}, false
	}
	if diagnosis.ContainerNamed(&owner.Template.Spec, container.Name) == nil { // an admission webhook adds it to the pods
		return diagnosis.Fix{}, false
	}
	// A quarter of the largest node leaves room for the rest of the pods, and is far above most programs' need.
	quarter := resource.NewMilliQuantity(largest.MilliValue()/4, largest.Format)
	if name == corev1.ResourceMemory {
		quarter = resource.NewQuantity(largest.Value()/4>>20<<20, resource.BinarySI)
	}
	container.Resources.Requests[name] = *quarter
	if q := request(less, name); q.Cmp(largest) > 0 {
		return diagnosis.Fix{}, false
	}
	return diagnosis.FixBy(explanation+fmt.Sprintf(" The command asks for a quarter of the largest node, %s.", quarter),
		[]diagnosis.Patch{owner.SetResource(container.Name, "requests", string(name), quarter.String())}), true
}

// readable writes large amounts of bytes in Mi: 24005Mi rather than 24581692Ki.
func readable(q resource.Quantity) string {
	if q.Format == resource.BinarySI && q.Value() > 1<<30 {
		return resource.NewQuantity(q.Value()>>20<<20, resource.BinarySI).String()
	}
	return q.String()
}

const (
	tolerations = "tolerations"
	// conditions and roles begin the keys of taints that say a node's trouble, and what a node is for.
	conditions = "node.kubernetes.io/"
	roles      = "node-role.kubernetes.io/"
)

var braces = regexp.MustCompile(`\{([^:}]+): ?([^}]*)\}`)

func taint(f *diagnosis.Facts, p *corev1.Pod, owner diagnosis.Workload, out diagnosis.Finding, why, on string) diagnosis.Finding {
	out.Field = tolerations
	out.Fix = diagnosis.Fix{Explanation: "Remove the taint if it is not meant for these pods, or let them tolerate it.",
		Commands: []string{diagnosis.Kubectl("", "describe", "nodes")}}
	t, ok := named(f, p, why)
	if !ok {
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s with taints that they do not tolerate (tolerations)", owner.Object, on)
		return out
	}
	out.Value = strings.TrimSuffix(t.Key+"="+t.Value, "=")
	out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s with the taint %s, which they do not tolerate (tolerations)", owner.Object, on, out.Value)
	if by := setter(t.Key); by != "" {
		return started(f, out, t.Key, by)
	}
	switch {
	case t.Key == corev1.TaintNodeUnschedulable:
		out.Kind, out.Field, out.Fix = diagnosis.KindNode, "spec.unschedulable", diagnosis.Fix{}
		return cordoned(f, owner, out, on)
	case strings.HasPrefix(t.Key, conditions):
		out.Kind = diagnosis.KindNode
		out.Fix.Explanation = "Bring the nodes back: the taint goes with the trouble that it stands for."
		return out
	case strings.HasPrefix(t.Key, roles):
		out.Fix = diagnosis.Fix{
			Explanation: "The nodes of that role are kept free of other pods. Add a node for these, or bring those back that can't take them.",
			Commands:    []string{diagnosis.Kubectl("", "get", "nodes")},
		}
		return out
	}
	for _, n := range f.Nodes {
		for _, has := range n.Spec.Taints {
			if has.Key == t.Key && has.Value == t.Value {
				out.Fix.Commands = []string{diagnosis.Kubectl("", "taint", "node", n.Name, t.Key+":"+string(has.Effect)+"-")}
				return out
			}
		}
	}
	return out
}

// setters are those that put a taint on a node and take it away again, by the taint's key.
var setters = map[string]string{
	"node.cloudprovider.kubernetes.io/uninitialized": "the cloud controller manager, when it has set up the node",
	"node.cloudprovider.kubernetes.io/shutdown":      "the cloud controller manager, when the machine runs again",
	"karpenter.sh/unregistered":                      "Karpenter, when it has set up the node",
	"karpenter.sh/disrupted":                         "Karpenter, which is about to replace the node",
	"ToBeDeletedByClusterAutoscaler":                 "the cluster autoscaler, which is about to remove the node",
}

// notReady ends the taint that a node has until an agent of its network or storage runs on it: node.cilium.io, ebs.csi.aws.com.
const notReady = "/agent-not-ready"

// setter says who takes a taint away, and when; empty for a taint that people or the node's own conditions set.
func setter(key string) string {
	if domain, ok := strings.CutSuffix(key, notReady); ok {
		return "the agent of " + domain + ", when it is ready on the node"
	}
	return setters[key]
}

// started is for a taint that is not removed by hand: what takes it away has not done so.
func started(f *diagnosis.Facts, out diagnosis.Finding, key, by string) diagnosis.Finding {
	out.Kind = diagnosis.KindNode
	out.Sentence += "; it is taken away by " + by
	out.Fix = diagnosis.Fix{Explanation: "Leave the taint, and see why what takes it away has not done so.",
		Commands: []string{diagnosis.Kubectl("", "get", "nodes", "-o", "wide")}}
	for _, n := range f.Nodes {
		if slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key }) {
			out.Fix.Commands = []string{diagnosis.Kubectl("", "describe", "node", n.Name),
				diagnosis.Kubectl("", "get", "pods", "-A", "-o", "wide", "--field-selector=spec.nodeName="+n.Name)}
			break
		}
	}
	return out
}

// named is the taint that the message names. One that names none can only mean a taint that the pod does not tolerate: it
// is known where the nodes have just one.
func named(f *diagnosis.Facts, p *corev1.Pod, why string) (corev1.Taint, bool) {
	if m := braces.FindStringSubmatch(why); m != nil {
		return corev1.Taint{Key: m[1], Value: m[2]}, true
	}
	var found []corev1.Taint
	for _, n := range f.Nodes {
		for _, t := range n.Spec.Taints {
			known := slices.ContainsFunc(found, func(x corev1.Taint) bool { return x.Key == t.Key && x.Value == t.Value })
			if keepsOff(&t, p) && !known {
				found = append(found, t)
			}
		}
	}
	if len(found) != 1 {
		return corev1.Taint{}, false
	}
	return found[0], true
}

func cordoned(f *diagnosis.Facts, owner diagnosis.Workload, out diagnosis.Finding, on string) diagnosis.Finding {
	var names []string
	for _, n := range f.Nodes {
		if n.Spec.Unschedulable {
			names = append(names, n.Name)
			out.Fix.Commands = append(out.Fix.Commands, diagnosis.Kubectl("", "uncordon", n.Name))
		}
	}
	out.Value = strings.Join(names, ", ")
	out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s, which take no new pods (cordoned: spec.unschedulable)", owner.Object, on)
	switch {
	case len(names) == 1:
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled: node %s takes no new pods (cordoned: spec.unschedulable)", owner.Object, out.Value)
	case len(names) > 1:
		out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled: nodes %s take no new pods (cordoned: spec.unschedulable)", owner.Object, few(names))
	}
	out.Fix.Explanation = "Let the nodes take pods again when their maintenance is over."
	return out
}
