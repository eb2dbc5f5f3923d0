// Package podsecurity finds pods that the Pod Security level of their namespace refuses.
package podsecurity

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds what Pod Security refuses.
var Detector = diagnosis.Detector{Name: "podsecurity", Doc: "pods refused by the Pod Security level of their namespace", Detect: detect}

var violates = regexp.MustCompile(`violates PodSecurity "([^":]+)[^"]*": (.*)$`)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	for _, e := range f.Creations() {
		m := violates.FindStringSubmatch(e.Message)
		if m == nil {
			continue
		}
		fields := broken(m[2])
		out := diagnosis.Finding{
			Kind: diagnosis.KindConfig, Object: f.Workload.Object, Field: "securityContext", Value: strings.Join(fields, ", "), Score: diagnosis.ScoreCertain,
			Sentence: fmt.Sprintf("Namespace %s enforces Pod Security %s, and the pods of %s break it: %s", f.NS(), m[1], f.Workload.Object, strings.Join(fields, ", ")),
			Evidence: []string{diagnosis.EventEvidence(&e)},
		}
		out.Fix = harden(f, m[1])
		return []diagnosis.Finding{out}
	}
	return nil
}

// broken are the names of the rules: what is before the parentheses.
func broken(text string) []string {
	var out []string
	depth, start := 0, 0
	add := func(s string) {
		s, _, _ = strings.Cut(strings.TrimSpace(s), " (")
		if s != "" {
			out = append(out, s)
		}
	}
	for i, r := range text {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				add(text[start:i])
				start = i + 1
			}
		}
	}
	add(text[start:])
	return out
}

// harden is the patch that gives every container what the level asks of it. Host namespaces, host paths and
// privileged containers have to be given up by hand.
func harden(f *diagnosis.Facts, level string) diagnosis.Fix {
	w := f.Workload
	fix := diagnosis.Fix{Explanation: "Give the containers the security context that the level asks for."}
	if level != "restricted" || w.Kind == "Pod" || w.Kind == "Job" {
		fix.Explanation = fmt.Sprintf("Leave out of the pod template what Pod Security %s forbids, or run it in a namespace that allows it.", level)
		return fix
	}
	type context struct {
		Name            string         `json:"name"`
		SecurityContext map[string]any `json:"securityContext"`
	}
	containers := func(names []string) []context {
		var out []context
		for _, n := range names {
			out = append(out, context{n, map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []string{"ALL"}}}})
		}
		return out
	}
	var names, initNames []string
	for _, c := range w.Template.Spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range w.Template.Spec.InitContainers {
		initNames = append(initNames, c.Name)
	}
	spec := map[string]any{
		"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": 65534, "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
		"containers":      containers(names),
	}
	if len(initNames) > 0 {
		spec["initContainers"] = containers(initNames)
	}
	patch := map[string]any{"spec": map[string]any{"template": map[string]any{"spec": spec}}}
	if w.Kind == "CronJob" {
		patch = map[string]any{"spec": map[string]any{"jobTemplate": patch}}
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return fix
	}
	return diagnosis.FixBy(fix.Explanation+" User 65534 is nobody; an image that needs another says so.", []diagnosis.Patch{{Object: w.Object, Type: "strategic", Body: string(body)}})
}
