// Package forbidden finds what is refused to the workload's pods for lack of rights, by their log.
package forbidden

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds denials by RBAC.
var Detector = diagnosis.Detector{Name: "forbidden", Doc: "requests refused by RBAC, by the pods' log", Detect: detect}

// denial is what the API server says to whom it refuses something.
var denial = regexp.MustCompile(
	`User "?\\?"?system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)\\?"? cannot (\w+) resource \\?"([\w./-]+)\\?" in API group \\?"([\w.-]*)\\?"(?: (?:in the namespace \\?"([a-z0-9-]+)\\?"|at the cluster scope))?`)

const (
	// recent is how old a log line may be to tell of now.
	recent = 10 * time.Minute
	// A program that is ready may ask now and then for what it can do without. Several refusals within some minutes, the
	// last just now, are more than that, unless they were there long before.
	window   = 5 * time.Minute
	justNow  = 2 * time.Minute
	minCount = 3
	long     = 30 * time.Minute
	// livedWith is the score of a refusal that a ready program seems to live with.
	livedWith = 0.3
)

// refused is a request that was refused again and again.
type refused struct {
	request []string // what denial found
	line    string
	pod     string
	count   int // of lines in the window
	first   time.Time
	last    time.Time
	// age is how old the last one is, or was when the container that wrote it failed.
	age time.Duration
	// failing is set where a container that wrote it fails, or its pod is not ready.
	failing bool
}

// denials are the refusals in the logs, those of one request together.
func denials(f *diagnosis.Facts) []refused {
	found := map[string]*refused{}
	var keys []string
	for _, l := range f.Logs {
		failing, until := state(f, l)
		for _, line := range l.Lines {
			m := denial.FindStringSubmatch(line.Text)
			if m == nil {
				continue
			}
			key := strings.Join(m[1:], "\x00")
			r := found[key]
			if r == nil {
				r = &refused{request: m, first: line.Time}
				found[key], keys = r, append(keys, key)
			}
			if line.Time.Before(r.first) {
				r.first = line.Time
			}
			age := until.Sub(line.Time)
			if line.Time.IsZero() || age <= window {
				r.count++
			}
			r.failing = r.failing || failing
			if !line.Time.Before(r.last) {
				r.line, r.pod, r.last, r.age = line.Text, l.Pod, line.Time, age
			}
		}
	}
	var out []refused
	for _, key := range keys {
		if r := found[key]; r.last.IsZero() || r.age < recent {
			out = append(out, *r)
		}
	}
	return out
}

// state tells whether the container that wrote a log fails, or its pod is not ready, and until when it ran.
func state(f *diagnosis.Facts, l diagnosis.Log) (failing bool, until time.Time) {
	for _, c := range f.Containers() {
		switch {
		case c.Pod.Name != l.Pod || c.Spec.Name != l.Container:
		case c.Failing(f.Now):
			return true, c.RanUntil(f.Now)
		default:
			return diagnosis.Unready(c.Pod), f.Now
		}
	}
	return false, f.Now
}

// score says how sure it is that the refusal is the trouble.
func (r refused) score(now time.Time) float64 {
	switch {
	case r.failing:
		return diagnosis.ScoreStrong
	case r.count >= minCount && (r.last.IsZero() || now.Sub(r.last) < justNow && now.Sub(r.first) < long):
		return diagnosis.ScorePossible
	}
	return livedWith
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, r := range denials(f) {
		out = append(out, denied(f, r))
	}
	return out
}

func denied(f *diagnosis.Facts, r refused) diagnosis.Finding {
	m := r.request
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
	score, fix := r.score(f.Now), grant(ns, account, verb, resource, group, full, in)
	if !runsAs(f, r.pod, ns, account) {
		score, fix = livedWith, leave(ns, account)
	}
	return diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: diagnosis.Object{APIVersion: "v1", Kind: "ServiceAccount", Namespace: ns, Name: account},
		Field: "roles", Value: verb + " " + full, Score: score,
		Sentence: fmt.Sprintf("ServiceAccount %s of namespace %s may not %s %s %s; %s asks for it", account, ns, verb, full, where, f.Workload.Object),
		Evidence: []string{fmt.Sprintf("log of pod %s: %s", r.pod, diagnosis.Shorten(r.line, 300))},
		Fix:      fix,
	}
}

// runsAs tells whether a pod runs as a service account. A log holds what others sent too, and no command may give rights to
// whom they name.
func runsAs(f *diagnosis.Facts, pod, ns, account string) bool {
	return slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool {
		return p.Name == pod && p.Namespace == ns && cmp.Or(p.Spec.ServiceAccountName, "default") == account
	})
}

// powers are resources and verbs by which one gets what others may do.
var powers = map[string]bool{
	"secrets": true, "serviceaccounts/token": true, "pods/exec": true, "pods/attach": true, "pods/ephemeralcontainers": true,
	"impersonate": true, "bind": true, "escalate": true,
}

// leave says what to do where no command to copy should give the right.
func leave(ns, account string) diagnosis.Fix {
	return diagnosis.Fix{
		Explanation: "Leave out what asks for it, or have somebody who knows the program decide whether it is to have the right.",
		Commands:    []string{diagnosis.Kubectl(ns, "get", "serviceaccount", account, "-o", "yaml")},
	}
}

// grant binds a role with the right. Rights in the whole cluster, or to what gives further rights, are more than a command to
// copy should give.
func grant(ns, account, verb, resource, group, full, in string) diagnosis.Fix {
	if in == "" || powers[resource] || powers[verb] || group == rbacv1.GroupName {
		return leave(ns, account)
	}
	role := strings.Join([]string{account, verb, strings.ReplaceAll(full, "/", "-")}, "-")
	return diagnosis.Fix{Explanation: "Bind a role with the right, if the program is meant to have it.", Commands: []string{
		diagnosis.Kubectl(in, "create", "role", role, "--verb="+verb, "--resource="+full),
		diagnosis.Kubectl(in, "create", "rolebinding", role, "--role="+role, "--serviceaccount="+ns+":"+account),
	}}
}
