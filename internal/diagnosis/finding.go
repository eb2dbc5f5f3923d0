// Package diagnosis finds Kubernetes' own troubles in what the Kubernetes API shows: object states, events and the last
// log lines. Detectors are pure functions over Facts; the package gather reads Facts from a cluster.
package diagnosis

import (
	"cmp"
	"slices"
	"strings"
)

// Kind is a kind of cause. The values are those of the analysis engine.
type Kind string

// Kinds of cause.
const (
	KindCPU         Kind = "cpu"
	KindMemory      Kind = "memory"
	KindDisk        Kind = "disk"
	KindNetwork     Kind = "network"
	KindDependency  Kind = "dependency"
	KindCode        Kind = "code"
	KindConfig      Kind = "config"
	KindImage       Kind = "image"
	KindScheduling  Kind = "scheduling"
	KindQuota       Kind = "quota"
	KindCertificate Kind = "certificate"
	KindDNS         Kind = "dns"
	KindNode        Kind = "node"
	KindUnknown     Kind = "unknown"
)

// Scores that detectors give. A score is the share of cases in which the sentence names what a person would repair.
const (
	// ScoreCertain is for what the API states itself: an object that does not exist, a request that was refused.
	ScoreCertain = 0.97
	// ScoreStrong is for a state that leaves one plausible reading, such as an exit by the kernel's memory killer.
	ScoreStrong = 0.9
	// ScoreLikely is for a reading of log lines, or of a state with a rarer second reading.
	ScoreLikely = 0.75
	// ScorePossible is for what fits but proves nothing by itself, such as a change shortly before.
	ScorePossible = 0.5
	// ScoreSymptom is for what follows from something else that no detector saw.
	ScoreSymptom = 0.25
)

// Object names a Kubernetes object.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Namespace is empty for cluster-scoped objects.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String is the kind and the name, as sentences name objects.
func (o Object) String() string { return o.Kind + " " + o.Name }

// Arg is the object as kubectl takes it: deployment/web.
func (o Object) Arg() string { return strings.ToLower(o.Kind) + "/" + o.Name }

// Fix says how a person can repair the cause. KubeBot never executes one.
type Fix struct {
	Explanation string `json:"explanation"`
	// Commands are complete kubectl commands for the object at hand. A word in capitals stands for a value that only
	// the user can know; the explanation says which.
	Commands []string `json:"commands,omitempty"`
	// Patches are what the commands that patch would send, for a server-side dry run.
	Patches []Patch `json:"patches,omitempty"`
	// LeftOut are commands whose patches do not fit the live object or the API server's schema; Commands has them no more.
	LeftOut []Remark `json:"leftOut,omitempty"`
	// Unchecked are commands of which that is not known.
	Unchecked []Remark `json:"unchecked,omitempty"`
}

// Remark says something of a command.
type Remark struct {
	Command string `json:"command"`
	Reason  string `json:"reason"`
}

// Patch is a change of one object.
type Patch struct {
	Object Object `json:"object"`
	// Type is json, merge or strategic, as kubectl patch --type takes it.
	Type string `json:"type"`
	Body string `json:"body"`
	// Subresource is what is patched of the object, such as scale; empty for the object itself.
	Subresource string `json:"subresource,omitempty"`
	// As is the command that makes the same change in plainer words than kubectl patch.
	As string `json:"as,omitempty"`
}

// Command is the kubectl command that applies the patch.
func (p Patch) Command() string {
	if p.As != "" {
		return p.As
	}
	return Kubectl(p.Object.Namespace, "patch", strings.ToLower(p.Object.Kind), p.Object.Name, "--type="+p.Type, "-p", p.Body)
}

// Finding is one cause, or one symptom, that a detector saw.
type Finding struct {
	Detector string `json:"detector"`
	Kind     Kind   `json:"kind"`
	// Object is what has to be repaired, Field the path in it and Value what is wrong there.
	Object Object `json:"object"`
	Field  string `json:"field,omitempty"`
	Value  string `json:"value,omitempty"`
	// Sentence says the cause in plain words: object, field and the value that is wrong.
	Sentence string `json:"sentence"`
	// Evidence are the facts that a person can check: events, states, log lines with secrets masked.
	Evidence []string `json:"evidence,omitempty"`
	// Score is in 0..1: how sure it is that this is the cause.
	Score float64 `json:"score"`
	// Symptom is set where the finding follows from something else; symptoms rank after all causes.
	Symptom bool `json:"symptom,omitempty"`
	Fix     Fix  `json:"fix"`
}

// Detector turns facts into findings. Detect must be pure: the same facts give the same findings.
type Detector struct {
	Name   string
	Doc    string
	Detect func(*Facts) []Finding
}

// Run runs the detectors and ranks what they found.
func Run(f *Facts, detectors []Detector) []Finding {
	var all []Finding
	for _, d := range detectors {
		for _, finding := range d.Detect(f) {
			finding.Detector, finding.Fix = d.Name, f.Workload.held(finding.Fix)
			all = append(all, finding)
		}
	}
	return Rank(all)
}

// Rank orders findings: causes before symptoms, then by score; equal ones by sentence. Findings with the same sentence
// become one with the evidence of both.
func Rank(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(compareBool(a.Symptom, b.Symptom), cmp.Compare(b.Score, a.Score),
			cmp.Compare(a.Sentence, b.Sentence), cmp.Compare(a.Detector, b.Detector))
	})
	var out []Finding
	at := map[string]int{}
	for _, f := range findings {
		i, seen := at[f.Sentence]
		if !seen {
			at[f.Sentence] = len(out)
			out = append(out, f)
			continue
		}
		for _, e := range f.Evidence {
			if len(out[i].Evidence) < 6 && !slices.Contains(out[i].Evidence, e) {
				out[i].Evidence = append(out[i].Evidence, e)
			}
		}
	}
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
