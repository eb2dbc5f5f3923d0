// Package forbidden finds what is refused for lack of rights: to the workload's pods by their log, or to controllers
// that make the pods.
package forbidden

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds denials by RBAC.
var Detector = diagnosis.Detector{Name: "forbidden", Doc: "requests refused by RBAC, by the pods' log and by events", Detect: detect}

var (
	denial = regexp.MustCompile(`User "?\\?"?system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)\\?"? cannot (\w+) resource \\?"([\w./-]+)\\?" in API group \\?"([\w.-]*)\\?"(?: (?:in the namespace \\?"([a-z0-9-]+)\\?"|at the cluster scope))?`)
	// explained are refusals that other detectors explain.
	explained = regexp.MustCompile(`exceeded quota|failed quota|(?:maximum|minimum) \S+ usage|max limit to request ratio|violates PodSecurity|looking up service account|admission webhook|ValidatingAdmissionPolicy`)
	refusal   = regexp.MustCompile(`is forbidden: (.*)$`)
)

// recent is how old a log line may be to tell of now.
const recent = 10 * time.Minute

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, l := range f.Logs {
		for _, line := range l.Lines {
			if m := denial.FindStringSubmatch(line.Text); m != nil && (line.Time.IsZero() || f.Now.Sub(line.Time) < recent) {
				out = append(out, denied(f, m, line.Text, l.Pod))
			}
		}
	}
	for _, e := range f.Creations() {
		m := refusal.FindStringSubmatch(e.Message)
		if m == nil || explained.MatchString(e.Message) {
			continue
		}
		out = append(out, diagnosis.Finding{
			Kind: diagnosis.KindConfig, Object: f.Workload.Object, Field: "spec.template", Score: diagnosis.ScoreStrong, Evidence: []string{diagnosis.EventEvidence(&e)},
			Sentence: fmt.Sprintf("%s can't make its pods, because the API server forbids it: %s", f.Workload.Object, diagnosis.Shorten(m[1], 240)),
			Fix:      diagnosis.Fix{Explanation: "Change what the message names, or allow it.", Commands: []string{diagnosis.Kubectl(f.NS(), "describe", f.Workload.Arg())}},
		})
	}
	return out
}

func denied(f *diagnosis.Facts, m []string, line, pod string) diagnosis.Finding {
	ns, account, verb, resource, group, in := m[1], m[2], m[3], m[4], m[5], m[6]
	where := "in namespace " + in
	if in == "" {
		where = "in the whole cluster"
	}
	full := resource
	if group != "" {
		base, sub, has := strings.Cut(resource, "/")
		full = base + "." + group
		if has {
			full += "/" + sub
		}
	}
	role := diagnosis.Shorten(account, 40) + "-" + strings.ReplaceAll(resource, "/", "-")
	kind, bind, scope := "role", "rolebinding", in
	if in == "" {
		kind, bind, scope = "clusterrole", "clusterrolebinding", ""
	}
	return diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: diagnosis.Object{APIVersion: "v1", Kind: "ServiceAccount", Namespace: ns, Name: account}, Field: "roles", Value: verb + " " + full, Score: diagnosis.ScoreStrong,
		Sentence: fmt.Sprintf("ServiceAccount %s of namespace %s may not %s %s %s; %s asks for it", account, ns, verb, full, where, f.Workload.Object),
		Evidence: []string{fmt.Sprintf("log of pod %s: %s", pod, diagnosis.Shorten(line, 300))},
		Fix: diagnosis.Fix{Explanation: "Bind a role with the right, if the program is meant to have it.", Commands: []string{
			diagnosis.Kubectl(scope, "create", kind, role, "--verb="+verb, "--resource="+full),
			diagnosis.Kubectl(scope, "create", bind, role, "--"+kind+"="+role, "--serviceaccount="+ns+":"+account),
		}},
	}
}
