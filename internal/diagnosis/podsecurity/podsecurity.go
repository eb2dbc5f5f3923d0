// Package podsecurity finds pods that the Pod Security level of their namespace refuses.
package podsecurity

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds what Pod Security refuses.
var Detector = diagnosis.Detector{Name: "podsecurity", Doc: "pods refused by the Pod Security level of their namespace", Detect: detect}

var violates = regexp.MustCompile(`violates PodSecurity "([^":]+)[^"]*": (.*)$`)

// Reads tells whether the detector explains what is said of pods that can't be made.
func Reads(message string) bool { return violates.MatchString(message) }

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	for _, e := range f.Creations() {
		m := violates.FindStringSubmatch(e.Message)
		if m == nil {
			continue
		}
		fields := broken(m[2])
		out := diagnosis.Finding{
			Kind: diagnosis.KindConfig, Object: f.Workload.Object, Field: "securityContext", Value: strings.Join(fields, ", "), Score: diagnosis.ScoreCertain,
			Sentence: fmt.Sprintf("Namespace %s enforces Pod Security %s, and the pods of %s break it: %s",
				f.NS(), m[1], f.Workload.Object, strings.Join(fields, ", ")),
			Evidence: []string{diagnosis.EventEvidence(&e)},
		}
		out.Fix = harden(f, m[1], fields)
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

// curable are the rules whose breach a security context mends.
var curable = []string{
	"privileged", "allowPrivilegeEscalation != false", "unrestricted capabilities", "non-default capabilities",
	"runAsNonRoot != true", "runAsUser=0", "seccompProfile",
}

// nobody is the user that programs run as which may be any but root.
const nobody = 65534

// harden is the patch that gives every container what the level asks of it. Host namespaces, host paths and other volumes
// have to be given up by hand.
func harden(f *diagnosis.Facts, level string, broken []string) diagnosis.Fix {
	w := f.Workload
	uncurable := slices.ContainsFunc(broken, func(rule string) bool { return !slices.Contains(curable, rule) })
	if level != "restricted" || w.Kind == "Pod" || w.Kind == "Job" || uncurable {
		return diagnosis.Fix{Explanation: fmt.Sprintf(
			"Leave out of the pod template what Pod Security %s forbids, or run it in a namespace that allows it.", level)}
	}
	explanation := "Give the containers the security context that the level asks for."
	if slices.Contains(broken, "privileged") || slices.Contains(broken, "runAsUser=0") {
		explanation += " A program that can't do without root or privileges has to run in a namespace that allows them."
	}
	spec := map[string]any{"securityContext": pod(w.Template.Spec.SecurityContext), "containers": contexts(w.Template.Spec.Containers)}
	if inits := w.Template.Spec.InitContainers; len(inits) > 0 {
		spec["initContainers"] = contexts(inits)
	}
	patch := map[string]any{"spec": map[string]any{"template": map[string]any{"spec": spec}}}
	if w.Kind == "CronJob" {
		patch = map[string]any{"spec": map[string]any{"jobTemplate": patch}}
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return diagnosis.Fix{Explanation: explanation}
	}
	if strings.Contains(string(body), strconv.Itoa(nobody)) {
		explanation += fmt.Sprintf(" User %d is nobody; an image that needs another says so.", nobody)
	}
	return diagnosis.FixBy(explanation, []diagnosis.Patch{{Object: w.Object, Type: "strategic", Body: string(body)}})
}

// pod is what changes in the security context of the pod: a user or a profile of its own that is allowed stays.
func pod(has *corev1.PodSecurityContext) map[string]any {
	out := map[string]any{"runAsNonRoot": true}
	if has == nil || ptr.Deref(has.RunAsUser, 0) == 0 {
		out["runAsUser"] = nobody
	}
	if has == nil || has.SeccompProfile == nil || has.SeccompProfile.Type == corev1.SeccompProfileTypeUnconfined {
		out["seccompProfile"] = map[string]any{"type": corev1.SeccompProfileTypeRuntimeDefault}
	}
	return out
}

// contexts are what changes in the containers.
func contexts(list []corev1.Container) []any {
	var out []any
	for i := range list {
		out = append(out, map[string]any{"name": list[i].Name, "securityContext": container(list[i].SecurityContext)})
	}
	return out
}

// container is what changes in the security context of a container: what it has itself holds before what the pod has.
func container(has *corev1.SecurityContext) map[string]any {
	capabilities := map[string]any{"drop": []string{"ALL"}}
	out := map[string]any{"allowPrivilegeEscalation": false, "capabilities": capabilities}
	if has == nil {
		return out
	}
	if ptr.Deref(has.Privileged, false) {
		out["privileged"] = false
	}
	if !ptr.Deref(has.RunAsNonRoot, true) {
		out["runAsNonRoot"] = true
	}
	if ptr.Deref(has.RunAsUser, nobody) == 0 {
		out["runAsUser"] = nobody
	}
	if has.SeccompProfile != nil && has.SeccompProfile.Type == corev1.SeccompProfileTypeUnconfined {
		out["seccompProfile"] = map[string]any{"type": corev1.SeccompProfileTypeRuntimeDefault}
	}
	if has.Capabilities != nil && len(has.Capabilities.Add) > 0 {
		capabilities["add"] = nil // takes the list out
		if slices.Contains(has.Capabilities.Add, "NET_BIND_SERVICE") {
			capabilities["add"] = []string{"NET_BIND_SERVICE"} // the only one that the level allows
		}
	}
	return out
}
