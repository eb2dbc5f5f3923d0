package unschedulable

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// selector says what of the pods' own choice of nodes keeps them off the nodes. The pod counts rather than the template:
// admission may add to it.
func selector(f *diagnosis.Facts, p *corev1.Pod, owner diagnosis.Workload, out diagnosis.Finding, on string) diagnosis.Finding {
	wanted := p.Spec.NodeSelector
	if len(wanted) == 0 {
		wanted = owner.Template.Spec.NodeSelector
	}
	affinity := required(p)
	if affinity == nil {
		affinity = required(&corev1.Pod{Spec: owner.Template.Spec})
	}
	var having, fitting []string
	for i := range f.Nodes {
		if n := &f.Nodes[i]; labels.SelectorFromSet(wanted).Matches(labels.Set(n.Labels)) {
			having = append(having, n.Name)
			if fits(affinity, n) {
				fitting = append(fitting, n.Name)
			}
		}
	}
	out.Field = "affinity.nodeAffinity"
	if affinity == nil && len(wanted) > 0 {
		out.Field, out.Value = "nodeSelector", labels.Set(wanted).String()
	}
	asks, all := affinity != nil || len(wanted) > 0, f.Knows("Node")
	if asks && len(fitting) > 0 {
		out.Score = diagnosis.ScorePossible // what keeps the pods off those is another reason
	}
	switch key := missing(f, wanted); {
	case asks && all && len(fitting) > 0:
		return narrowed(f, owner, out, fitting)
	case key != "":
		return missingLabel(f, p, owner, out, key, wanted)
	case all && len(having) == 0 && len(wanted) > 0:
		return apart(f, owner, out, wanted)
	}
	what := "affinity"
	if out.Value != "" {
		what = "selector"
	}
	out.Sentence = fmt.Sprintf("The pods of %s can't be scheduled %s, which do not fit their node %s (%s)",
		owner.Object, on, what, strings.TrimSpace(out.Field+" "+out.Value))
	out.Fix = diagnosis.Fix{Explanation: fmt.Sprintf("Label a node as the %[1]s asks, or correct the %[1]s.", what), Commands: editCommand(f, owner)}
	return out
}

// required is the node affinity without which a pod is not scheduled.
func required(p *corev1.Pod) *corev1.NodeSelector {
	if p.Spec.Affinity == nil || p.Spec.Affinity.NodeAffinity == nil {
		return nil
	}
	return p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
}

// fits tells whether a node fits one of the terms.
func fits(s *corev1.NodeSelector, n *corev1.Node) bool {
	return s == nil || slices.ContainsFunc(s.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		return len(t.MatchExpressions)+len(t.MatchFields) > 0 &&
			meets(t.MatchExpressions, n.Labels) && meets(t.MatchFields, labels.Set{"metadata.name": n.Name})
	})
}

var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn, corev1.NodeSelectorOpExists: selection.Exists,
	corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist, corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
}

func meets(expressions []corev1.NodeSelectorRequirement, set labels.Set) bool {
	return !slices.ContainsFunc(expressions, func(e corev1.NodeSelectorRequirement) bool {
		r, err := labels.NewRequirement(e.Key, operators[e.Operator], e.Values)
		return err != nil || !r.Matches(set)
	})
}

// missing is the first label that no node has, or empty.
func missing(f *diagnosis.Facts, wanted map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if !slices.ContainsFunc(f.Nodes, func(n corev1.Node) bool { return has(&n, key, wanted[key]) }) {
			return key
		}
	}
	return ""
}

func has(n *corev1.Node, key, value string) bool {
	v, ok := n.Labels[key]
	return ok && v == value
}

// few joins up to three names.
func few(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

// narrowed is for pods that some nodes fit.
func narrowed(f *diagnosis.Facts, owner diagnosis.Workload, out diagnosis.Finding, fitting []string) diagnosis.Finding {
	by := out.Field
	if out.Value != "" {
		by += " " + out.Value
	}
	out.Sentence = fmt.Sprintf("The pods of %s fit no other node than %s (%s)", owner.Object, few(fitting), by)
	out.Fix = diagnosis.Fix{Explanation: "See what keeps them off there, or let them run on more nodes.",
		Commands: append([]string{diagnosis.Kubectl("", "describe", "node", fitting[0])}, editCommand(f, owner)...)}
	return out
}

// apart is for labels that nodes have, but none has all of them.
func apart(f *diagnosis.Facts, owner diagnosis.Workload, out diagnosis.Finding, wanted map[string]string) diagnosis.Finding {
	var where []string
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		var nodes []string
		for i := range f.Nodes {
			if has(&f.Nodes[i], key, wanted[key]) {
				nodes = append(nodes, f.Nodes[i].Name)
			}
		}
		where = append(where, fmt.Sprintf("%s=%s is on %s", key, wanted[key], few(nodes)))
	}
	out.Field, out.Value = "nodeSelector", labels.Set(wanted).String()
	out.Sentence = fmt.Sprintf("No node has all the labels that %s asks for (nodeSelector): %s", owner.Object, strings.Join(where, "; "))
	out.Fix = diagnosis.Fix{Explanation: "Correct the selector, or add a node with all of them.", Commands: append(show(wanted), editCommand(f, owner)...)}
	return out
}

// show prints what the nodes have of labels.
func show(wanted map[string]string) []string {
	return []string{diagnosis.Kubectl("", "get", "nodes", "-L", strings.Join(slices.Sorted(maps.Keys(wanted)), ","))}
}

// missingLabel is for a label that no node has.
func missingLabel(f *diagnosis.Facts, p *corev1.Pod, owner diagnosis.Workload, out diagnosis.Finding, key string, wanted map[string]string) diagnosis.Finding {
	value := wanted[key]
	out.Field, out.Value = "nodeSelector", key+"="+value
	out.Sentence = fmt.Sprintf("No node has the label %s=%s that %s asks for (nodeSelector)", key, value, owner.Object)
	if !f.Knows("Node") {
		out.Sentence = fmt.Sprintf("The pods of %s fit no node by their nodeSelector (%s=%s)", owner.Object, key, value)
	}
	values := map[string]bool{}
	for i := range f.Nodes {
		if v, ok := f.Nodes[i].Labels[key]; ok {
			values[v] = true
		}
	}
	found := slices.Sorted(maps.Keys(values))
	if len(found) > 0 {
		out.Sentence += "; nodes have " + few(found)
	}
	near := ""
	if byPeople(key) { // arm64 is like amd64, and yet another machine
		near = diagnosis.Near(value, found)
	}
	out.Fix = missingFix(f, p, owner, key, wanted, near)
	return out
}

// missingFix labels a node that can take the pods where people set the label, and corrects or drops what is asked for.
func missingFix(f *diagnosis.Facts, p *corev1.Pod, owner diagnosis.Workload, key string, wanted map[string]string, near string) diagnosis.Fix {
	var fix diagnosis.Fix
	node := ""
	if byPeople(key) {
		node = worker(f, p, key, wanted)
	}
	if node != "" {
		fix.Commands = append(fix.Commands, diagnosis.Kubectl("", "label", "node", node, key+"="+wanted[key]))
	} else {
		fix.Commands = append(fix.Commands, show(map[string]string{key: ""})...)
	}
	op := diagnosis.Operation{Op: "remove", Path: owner.SpecPath("/nodeSelector/" + escape(key))}
	change := "leave it out of the selector"
	if near != "" {
		op.Op, op.Value, change = "replace", near, "ask for the like "+key+"="+near+", which a node has"
	}
	_, own := owner.Template.Spec.NodeSelector[key]
	changes := own && owner.Kind != "Pod" && owner.Kind != "Job" && (node != "" || near != "")
	if changes {
		patch := diagnosis.JSONPatch(owner.Object, op)
		fix.Patches, fix.Commands = []diagnosis.Patch{patch}, append(fix.Commands, patch.Command())
	}
	switch {
	case node != "" && changes:
		fix.Explanation = "Either of the two: label a node with it, or " + change + "."
	case changes:
		fix.Explanation = "Label a node with it, or " + change + "."
	case byPeople(key):
		fix.Explanation = "Label a node with it, or correct the selector."
	default:
		fix.Explanation = "The cluster or its provider sets this label: add a node that has it, or correct the selector."
	}
	return fix
}

// providers begin or end the domains of labels that kubelets, controllers and providers set.
var providers = []string{"kubernetes.io", "k8s.io", "cloud.google.com", "amazonaws.com", "azure.com", "karpenter.sh", "k8s.aws", "nvidia.com"}

// byPeople tells whether people set a label of nodes. Roles and what is under node-restriction are theirs, too.
func byPeople(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok || domain+"/" == roles || domain == "node-restriction.kubernetes.io" {
		return true
	}
	return !slices.ContainsFunc(providers, func(of string) bool { return domain == of || strings.HasSuffix(domain, "."+of) })
}

// worker is a node that could take the pod if it had the label, or empty. One with another value of it keeps that, and a
// node of the control plane is none unless all nodes are.
func worker(f *diagnosis.Facts, p *corev1.Pod, key string, wanted map[string]string) string {
	rest := maps.Clone(wanted)
	delete(rest, key)
	controls := func(n corev1.Node) bool {
		_, plane := n.Labels[roles+"control-plane"]
		_, master := n.Labels[roles+"master"]
		return plane || master
	}
	workers := slices.ContainsFunc(f.Nodes, func(n corev1.Node) bool { return !controls(n) })
	i := slices.IndexFunc(f.Nodes, func(n corev1.Node) bool {
		_, other := n.Labels[key]
		return !other && !n.Spec.Unschedulable && (!workers || !controls(n)) &&
			labels.SelectorFromSet(rest).Matches(labels.Set(n.Labels)) && fits(required(p), &n) &&
			!slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return keepsOff(&t, p) })
	})
	if i < 0 {
		return ""
	}
	return f.Nodes[i].Name
}

// keepsOff tells whether a taint keeps the pod off its node.
func keepsOff(t *corev1.Taint, p *corev1.Pod) bool {
	return t.Effect != corev1.TaintEffectPreferNoSchedule &&
		!slices.ContainsFunc(p.Spec.Tolerations, func(x corev1.Toleration) bool { return x.ToleratesTaint(logr.Discard(), t, true) })
}

// escape writes a key as part of a JSON pointer.
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
