// Package calls finds the calls of a workload that fail, from its log lines, and what in the namespace they go to.
package calls

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
)

// Call is a kind of call that failed.
type Call struct {
	Class    logline.Class
	Endpoint logline.Endpoint
	// Count of lines, all of them, the last of them, its time and its pod.
	Count int
	Lines []string
	Line  string
	Last  time.Time
	Pod   string
	// Init is the init container that wrote the last of them; empty for one of the others.
	Init string
	// Failing is set where the container that wrote it ended, or its pod is not ready.
	Failing bool
}

// A pod that is ready may log a failed call now and then. Several within some minutes, the last just now, are trouble.
const (
	window   = 5 * time.Minute
	justNow  = 2 * time.Minute
	minCount = 3
)

// Of lists the failed calls of the classes, the most frequent first.
func Of(f *diagnosis.Facts, classes ...logline.Class) []Call {
	found := map[string]*Call{}
	for _, c := range f.Containers() {
		failing, until := c.Failing(f.Now) || diagnosis.Unready(c.Pod), f.Now
		if c.Failing(f.Now) {
			until = c.RanUntil(f.Now) // why a Job of last night failed is in what it said last
		}
		for _, line := range lines(f, c) {
			class := logline.Classify(line.Text)
			if !slices.Contains(classes, class) || !line.Time.IsZero() && until.Sub(line.Time) > window {
				continue
			}
			e, _ := logline.EndpointOf(line.Text)
			key := string(class) + " " + e.String()
			if found[key] == nil {
				found[key] = &Call{Class: class, Endpoint: e}
			}
			call := found[key]
			call.Count++
			call.Lines = append(call.Lines, line.Text)
			call.Failing = call.Failing || failing
			if !line.Time.Before(call.Last) {
				call.Line, call.Last, call.Pod, call.Init = line.Text, line.Time, c.Pod.Name, ""
				if c.Init {
					call.Init = c.Spec.Name
				}
			}
		}
	}
	var out []Call
	for _, c := range found {
		if c.Failing || c.Count >= minCount && (c.Last.IsZero() || f.Now.Sub(c.Last) < justNow) {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b Call) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Endpoint.String(), b.Endpoint.String()), cmp.Compare(a.Class, b.Class))
	})
	return out
}

// lines are those of the present instance, and of the last one if the container failed.
func lines(f *diagnosis.Facts, c diagnosis.Container) []diagnosis.Line {
	out := f.Log(c.Pod.Name, c.Spec.Name, false)
	if c.Failing(f.Now) {
		out = append(slices.Clone(f.Log(c.Pod.Name, c.Spec.Name, true)), out...)
	}
	return out
}

// Evidence is the call as evidence.
func (c Call) Evidence() string {
	message, _ := logline.Message(c.Line)
	return fmt.Sprintf("log of pod %s (%s): %s", c.Pod, diagnosis.Plural(c.Count, "such line"), message)
}

// LogsCommand prints the end of the log that has the call; kubectl takes no init container by itself.
func (c Call) LogsCommand(namespace string) string {
	args := []string{"logs", "pod/" + c.Pod}
	if c.Init != "" {
		args = append(args, "-c", c.Init)
	}
	return diagnosis.Kubectl(namespace, append(args, "--tail=50")...)
}

// Name is the name of the Service in the namespace that a host means, and whether it can mean one there.
func Name(f *diagnosis.Facts, host string) (string, bool) {
	host = strings.TrimSuffix(host, ".")
	parts := strings.Split(host, ".")
	switch {
	case len(parts) == 1:
		return host, host != "localhost"
	case len(parts) == 2 && parts[1] == f.NS(), len(parts) > 2 && parts[1] == f.NS() && parts[2] == "svc":
		return parts[0], true
	}
	return "", false
}

// Service finds the Service of the namespace that a host means, by name or by address.
func Service(f *diagnosis.Facts, host string) *corev1.Service {
	if name, ok := Name(f, host); ok {
		if s := f.Service(name); s != nil {
			return s
		}
	}
	for i := range f.Services {
		if slices.Contains(f.Services[i].Spec.ClusterIPs, host) || f.Services[i].Spec.ClusterIP == host {
			return &f.Services[i]
		}
	}
	return nil
}

// Setting is an environment variable or argument of the workload that names a host.
type Setting struct {
	Container, Name, Value string
}

// SettingOf finds the setting that names a host.
func SettingOf(f *diagnosis.Facts, host string) (Setting, bool) {
	for _, c := range f.Workload.Template.Spec.Containers {
		for _, e := range c.Env {
			if names(e.Value, host) {
				return Setting{c.Name, e.Name, e.Value}, true
			}
		}
	}
	return Setting{}, false
}

// names tells whether a value such as http://cart:8080 has the host as its host.
func names(value, host string) bool {
	if _, rest, ok := strings.Cut(value, "://"); ok {
		value = rest
	}
	value, _, _ = strings.Cut(value, "/")
	if _, rest, ok := strings.Cut(value, "@"); ok {
		value = rest
	}
	value, _, _ = strings.Cut(value, ":")
	return value != "" && value == host
}
