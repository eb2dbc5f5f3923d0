package notstarted

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// plugin is the name by which the runtime calls a network plugin.
var plugin = regexp.MustCompile(`plugin type="([^"]+)"`)

const pluginFix = "See that the network plugin's pod runs on the node, and what it logs."

// troubles are what the runtime says of a sandbox that it can't make, the first that fits. {PLUGIN} stands for the network plugin,
// {NODE} for the node, {PODS} for whose pods they are, {MESSAGE} for what is said and $1 for what the pattern's group found.
var troubles = []struct {
	pattern *regexp.Regexp
	kind    diagnosis.Kind
	says    string
	fix     string
}{
	{regexp.MustCompile(`(?i)failed to assign an ip address|no (?:more )?ip(?: addresse)?s available|no (?:available|free) ip|range is full|out of ip addresses|assigned 0 out of 1 requested`),
		diagnosis.KindNetwork, "The network plugin {PLUGIN}of node {NODE} has no address left for {PODS}",
		"Give the plugin more addresses (a larger subnet or pod range, more of them for each node), or let fewer pods run on the node."},
	{regexp.MustCompile(`(?i)cni plugin not initialized|network plugin is not ready|failed to find plugin|no networks found in |subnet\.env: no such file`),
		diagnosis.KindNetwork, "Node {NODE} has no network plugin that is ready, so {PODS} can't start there: {MESSAGE}", pluginFix},
	{regexp.MustCompile(`(?i)no runtime for "([^"]+)" is configured|RuntimeHandler "([^"]+)" not supported`), diagnosis.KindConfig,
		"Node {NODE} has no container runtime $1$2, which {PODS} ask for (runtimeClassName)",
		"Install the runtime on the node, keep the pods to nodes that have it (scheduling.nodeSelector of the RuntimeClass), or leave runtimeClassName out."},
	{regexp.MustCompile(`(?i)(?:get|pull) (?:sandbox )?image "([^"]+)"`), diagnosis.KindImage,
		"Node {NODE} can't pull image $1, in which the sandbox of every pod runs, so {PODS} can't start there",
		"Let the node reach the image's registry, or load the image on the node."},
	{regexp.MustCompile(`(?i)no space left on device`), diagnosis.KindDisk,
		"The disk of node {NODE} is full, so {PODS} can't start there", "Free space on the node."},
	{regexp.MustCompile(`(?i)plugin type=|network for sandbox|networkPlugin`), diagnosis.KindNetwork,
		"The network plugin {PLUGIN}of node {NODE} fails, so {PODS} can't start there: {MESSAGE}", pluginFix},
	{regexp.MustCompile(``), diagnosis.KindNode,
		"Node {NODE} can't make the sandbox of {PODS}: {MESSAGE}", "See what the node's kubelet and its container runtime say."},
}

// sandboxes explains the pods whose sandbox can't be made: those of the same trouble together, as it may be that of many nodes.
func sandboxes(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	var nodes [][]string
	at := map[string]int{}
	for i := range f.Pods {
		p := &f.Pods[i]
		events := f.PodEvents(p, "FailedCreatePodSandBox")
		if len(events) == 0 || sandboxed(p) || f.Young(p) && len(events) == 1 && events[0].Count < 2 {
			continue // one that failed once is made at the next try
		}
		x := broken(f, p, &events[0])
		j, seen := at[x.Sentence]
		if !seen {
			j = len(out)
			at[x.Sentence] = j
			out, nodes = append(out, x), append(nodes, nil)
		} else if len(out[j].Evidence) < 3 {
			out[j].Evidence = append(out[j].Evidence, x.Evidence...)
		}
		nodes[j] = append(nodes[j], p.Spec.NodeName)
	}
	for i := range out {
		slices.Sort(nodes[i])
		out[i].Sentence = named(out[i].Sentence, slices.Compact(nodes[i]))
	}
	return out
}

// named puts the nodes' names into a sentence.
func named(sentence string, nodes []string) string {
	const most = 3
	if len(nodes) == 1 {
		return strings.ReplaceAll(sentence, "{NODE}", nodes[0])
	}
	names := strings.Join(nodes[:min(len(nodes), most)], ", ")
	if more := len(nodes) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return strings.NewReplacer("Node {NODE} has", "Nodes "+names+" have", "Node {NODE}", "Nodes "+names, "node {NODE}", "nodes "+names).Replace(sentence)
}

// sandboxed tells whether the pod has its sandbox now. Kubernetes before 1.29 does not say so, but gives the pod its address
// then.
func sandboxed(p *corev1.Pod) bool {
	if c := diagnosis.PodCondition(p, corev1.PodReadyToStartContainers); c.Status != "" {
		return c.Status == corev1.ConditionTrue
	}
	return p.Status.PodIP != "" && !p.Spec.HostNetwork
}

// broken explains the event of a pod; {NODE} stays in the sentence.
func broken(f *diagnosis.Facts, p *corev1.Pod, e *corev1.Event) diagnosis.Finding {
	name := ""
	if m := plugin.FindStringSubmatch(e.Message); m != nil {
		name = m[1]
	}
	out := diagnosis.Finding{
		Object: node(p), Value: cmp.Or(name, e.Reason), Score: diagnosis.ScoreStrong,
		Evidence: []string{diagnosis.EventEvidence(e)},
	}
	for _, t := range troubles {
		m := t.pattern.FindStringSubmatchIndex(e.Message)
		if m == nil {
			continue
		}
		out.Kind, out.Fix.Explanation = t.kind, t.fix
		out.Sentence = string(t.pattern.ExpandString(nil, t.says, e.Message, m))
		break
	}
	if name != "" {
		name += " "
	}
	out.Sentence = strings.NewReplacer("{PLUGIN}", name, "{PODS}", whose(f),
		"{MESSAGE}", strings.TrimRight(diagnosis.Shorten(plain(e.Message), 200), ". ")).Replace(out.Sentence)
	out.Fix.Commands = []string{diagnosis.Kubectl("", "get", "pods", "-A", "-o", "wide", "--field-selector=spec.nodeName="+p.Spec.NodeName), describe(p)}
	if out.Kind == diagnosis.KindConfig {
		out.Object, out.Field, out.Value = f.Owner(p).Object, "runtimeClassName", ""
		if p.Spec.RuntimeClassName != nil {
			out.Value = *p.Spec.RuntimeClassName
		}
		out.Fix.Commands[0] = diagnosis.Kubectl("", "get", "runtimeclasses")
	}
	return out
}
