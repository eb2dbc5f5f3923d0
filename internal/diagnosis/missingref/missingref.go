// Package missingref finds references to ConfigMaps, Secrets, keys in them and ServiceAccounts that do not exist. A
// missing Secret is known from events and container states; no Secret is ever read.
package missingref

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds references to what does not exist.
var Detector = diagnosis.Detector{Name: "missingref", Doc: "references to ConfigMaps, Secrets, keys and ServiceAccounts that do not exist", Detect: detect}

var (
	objectGone = regexp.MustCompile(`(?i)\b(configmap|secret) "([^"]+)" not found`)
	keyGone    = regexp.MustCompile(`couldn't find key (\S+) in (ConfigMap|Secret) [^/\s]+/(\S+)`)
	volumeKey  = regexp.MustCompile(`references non-existent (?:secret|config) key: (\S+)`)
	onVolume   = regexp.MustCompile(`for volume "([^"]+)"`)
	accounts   = regexp.MustCompile(`serviceaccount "([^"]+)" not found`)
)

// said is what events and container states say is missing, with the text that says it.
type said map[[3]string]string // kind, name, key

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	if !f.Workload.Exists() {
		return nil
	}
	told := listen(f)
	var out []diagnosis.Finding
	for _, ref := range f.References() {
		if ref.Kind == "PersistentVolumeClaim" || ref.Optional {
			continue
		}
		if found, ok := check(f, ref, told); ok {
			out = append(out, found)
		}
	}
	return append(out, account(f)...)
}

// Explains tells whether what the kubelet says is of a missing object or key that the workload refers to.
func Explains(f *diagnosis.Facts, message string) bool {
	name := ""
	if m := objectGone.FindStringSubmatch(message); m != nil {
		name = m[2]
	} else if m := keyGone.FindStringSubmatch(message); m != nil {
		name = m[3]
	}
	return slices.ContainsFunc(f.References(), func(r diagnosis.Reference) bool { return r.Name == name && !r.Optional })
}

// listen collects what the kubelet said of pods that do not run.
func listen(f *diagnosis.Facts) said {
	told := said{}
	hear := func(message, evidence string) {
		if m := objectGone.FindStringSubmatch(message); m != nil {
			told[[3]string{kindOf(m[1]), m[2], ""}] = evidence
		}
		if m := keyGone.FindStringSubmatch(message); m != nil {
			told[[3]string{m[2], m[3], m[1]}] = evidence
		}
		if m, v := volumeKey.FindStringSubmatch(message), onVolume.FindStringSubmatch(message); m != nil && v != nil {
			told[[3]string{"volume", v[1], m[1]}] = evidence
		}
	}
	for _, c := range f.Containers() {
		if reason, message := c.Waiting(); message != "" {
			hear(message, fmt.Sprintf("pod %s: container %s waits, %s: %s", c.Pod.Name, c.Spec.Name, reason, message))
		}
	}
	for i := range f.Pods {
		for _, e := range f.PodEvents(&f.Pods[i], "FailedMount", "Failed") {
			hear(e.Message, diagnosis.EventEvidence(&e))
		}
	}
	return told
}

func kindOf(word string) string {
	if word[0] == 's' || word[0] == 'S' {
		return "Secret"
	}
	return "ConfigMap"
}

func check(f *diagnosis.Facts, ref diagnosis.Reference, told said) (diagnosis.Finding, bool) {
	present := f.ConfigMap(ref.Name)
	if ref.Kind != "ConfigMap" {
		present = nil
	}
	whole, gone := told[[3]string{ref.Kind, ref.Name, ""}]
	if present != nil {
		gone = false // it was made after the event
	} else if ref.Kind == "ConfigMap" && f.Knows("ConfigMap") {
		gone = true
	}
	if gone {
		if whole == "" {
			whole = fmt.Sprintf("the API server has no ConfigMap %s in namespace %s", ref.Name, f.NS())
		}
		return missingObject(f, ref, whole), true
	}
	if ref.Key == "" {
		return diagnosis.Finding{}, false
	}
	text, gone := told[[3]string{ref.Kind, ref.Name, ref.Key}]
	if !gone {
		text, gone = told[[3]string{"volume", volumeOf(ref), ref.Key}]
	}
	if present != nil && present.Data != nil {
		if _, has := present.Data[ref.Key]; has {
			return diagnosis.Finding{}, false
		}
		if !gone {
			text, gone = fmt.Sprintf("ConfigMap %s has the keys %v", ref.Name, slices.Sorted(maps.Keys(present.Data))), true
		}
	}
	if !gone {
		return diagnosis.Finding{}, false
	}
	return missingKey(f, ref, present, text), true
}

var volumeField = regexp.MustCompile(`^volumes\[([^\]]+)\]`)

func volumeOf(ref diagnosis.Reference) string {
	if m := volumeField.FindStringSubmatch(ref.Field); m != nil {
		return m[1]
	}
	return ""
}

// sure is lower for a workload whose pods all run: they were made before the object went.
func sure(f *diagnosis.Facts) float64 {
	waits := slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool { return diagnosis.Unready(&p) && !f.OfPastTry(&p) })
	if f.Workload.Satisfied() && len(f.Pods) > 0 && !waits {
		return diagnosis.ScorePossible
	}
	return diagnosis.ScoreCertain
}

func missingObject(f *diagnosis.Facts, ref diagnosis.Reference, evidence string) diagnosis.Finding {
	w := f.Workload
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: w.Object, Field: ref.Field, Value: ref.Name, Score: sure(f), Evidence: []string{evidence},
		Sentence: fmt.Sprintf("%s %s does not exist in namespace %s; %s %s", ref.Kind, ref.Name, f.NS(), w.Object, ref.Use),
	}
	var names []string
	for _, m := range f.ConfigMaps {
		names = append(names, m.Name)
	}
	near := diagnosis.Near(ref.Name, names)
	undo := f.Undo(func(old *corev1.PodSpec) bool {
		return !slices.ContainsFunc(diagnosis.References(old), func(r diagnosis.Reference) bool { return r.Kind == ref.Kind && r.Name == ref.Name })
	})
	switch {
	case ref.Kind == "ConfigMap" && near != "" && w.Kind != "Pod" && w.Kind != "Job":
		out.Fix = diagnosis.FixBy(fmt.Sprintf("Make the ConfigMap, or refer to the like-named %s, which exists.", near),
			[]diagnosis.Patch{diagnosis.JSONPatch(w.Object, diagnosis.Replace(w.SpecPath(ref.Path), ref.Name, near)...)})
	case len(undo) > 0:
		out.Fix = diagnosis.Fix{Explanation: fmt.Sprintf("Make the %s, or go back to an earlier revision, which did not need it.", ref.Kind), Commands: undo}
	default:
		out.Fix = create(f, ref)
	}
	return out
}

// create makes the object with the keys that the workload takes from it.
func create(f *diagnosis.Facts, ref diagnosis.Reference) diagnosis.Fix {
	args := []string{"create", "configmap", ref.Name}
	if ref.Kind == "Secret" {
		args = []string{"create", "secret", "generic", ref.Name}
	}
	var keys []string
	for _, r := range f.References() {
		if r.Kind == ref.Kind && r.Name == ref.Name && r.Key != "" && !slices.Contains(keys, r.Key) {
			keys = append(keys, r.Key)
		}
	}
	for _, k := range keys {
		args = append(args, "--from-literal="+k+"=VALUE")
	}
	text := fmt.Sprintf("Make the %s with the content that the program expects; the waiting pods then start by themselves.", ref.Kind)
	if len(keys) > 0 {
		text += " VALUE stands for a key's content."
	} else {
		args = append(args, "--from-file=FOLDER")
		text += " FOLDER stands for a folder with a file for each key."
	}
	return diagnosis.Fix{Explanation: text, Commands: []string{diagnosis.Kubectl(f.NS(), args...)}}
}

func missingKey(f *diagnosis.Facts, ref diagnosis.Reference, present *corev1.ConfigMap, evidence string) diagnosis.Finding {
	w := f.Workload
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: w.Object, Field: ref.Field, Value: ref.Key, Score: sure(f), Evidence: []string{evidence},
		Sentence: fmt.Sprintf("%s %s in namespace %s has no key %s; %s %s", ref.Kind, ref.Name, f.NS(), ref.Key, w.Object, ref.Use),
	}
	near := ""
	if present != nil {
		near = diagnosis.Near(ref.Key, slices.Sorted(maps.Keys(present.Data)))
	}
	if near != "" && w.Kind != "Pod" && w.Kind != "Job" {
		out.Fix = diagnosis.FixBy(fmt.Sprintf("Add the key, or take the like-named %s.", near),
			[]diagnosis.Patch{diagnosis.JSONPatch(w.Object, diagnosis.Replace(w.SpecPath(ref.KeyPath), ref.Key, near)...)})
		return out
	}
	field, value := "data", "VALUE"
	if ref.Kind == "Secret" {
		field = "stringData"
	}
	out.Fix = diagnosis.Fix{
		Explanation: "Add the key; VALUE stands for its content.",
		Commands: []string{diagnosis.Kubectl(f.NS(), "patch", strings.ToLower(ref.Kind), ref.Name,
			"--type=merge", "-p", fmt.Sprintf(`{%q:{%q:%q}}`, field, ref.Key, value))},
	}
	return out
}

// Reads tells whether the detector explains what is said of pods that can't be made.
func Reads(f *diagnosis.Facts, message string) bool {
	m := accounts.FindStringSubmatch(message)
	return m != nil && m[1] == f.Workload.Template.Spec.ServiceAccountName
}

// account finds a ServiceAccount that does not exist.
func account(f *diagnosis.Facts) []diagnosis.Finding {
	name, w := f.Workload.Template.Spec.ServiceAccountName, f.Workload
	made := len(f.Pods) > 0
	if w.Kind == "CronJob" { // the pods of earlier Jobs were made before the account went
		made = slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool {
			return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
		})
	}
	if name == "" || f.ServiceAccount(name) != nil || made && w.Satisfied() {
		return nil
	}
	evidence := ""
	for _, e := range f.Creations() {
		if m := accounts.FindStringSubmatch(e.Message); m != nil && m[1] == name {
			evidence = diagnosis.EventEvidence(&e)
			break
		}
	}
	if evidence == "" {
		if !f.Knows("ServiceAccount") {
			return nil
		}
		evidence = fmt.Sprintf("the API server has no ServiceAccount %s in namespace %s", name, f.NS())
	}
	then := "the pods are then made within some minutes"
	if w.Kind != "Job" && w.Kind != "CronJob" {
		then += ", at once after a restart of the rollout"
	}
	return []diagnosis.Finding{{
		Kind: diagnosis.KindConfig, Object: w.Object, Field: "serviceAccountName", Value: name, Score: diagnosis.ScoreCertain, Evidence: []string{evidence},
		Sentence: fmt.Sprintf("ServiceAccount %s does not exist in namespace %s; %s runs its pods as it", name, f.NS(), w.Object),
		Fix: diagnosis.Fix{Explanation: "Make the ServiceAccount (and bind the roles it needs); " + then + ".",
			Commands: []string{diagnosis.Kubectl(f.NS(), "create", "serviceaccount", name)}},
	}}
}
