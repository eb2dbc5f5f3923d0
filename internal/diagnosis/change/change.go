// Package change compares the workload's revision with the one before, and finds changed ConfigMaps, near the time when
// trouble began.
package change

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/applog"
	"github.com/kubebot/kubebot/internal/mask"
)

// Detector finds recent changes of a workload in trouble.
var Detector = diagnosis.Detector{Name: "change", Doc: "recent changes of image, environment and configuration before the trouble", Detect: detect}

// recent is how old a change may be to be named.
const recent = 6 * time.Hour

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	if !f.Workload.Exists() || !troubled(f) {
		return nil
	}
	return append(rollouts(f), configs(f)...)
}

// troubled tells whether something is wrong that a change could explain.
func troubled(f *diagnosis.Facts) bool {
	if f.Troubled || !f.Workload.Satisfied() && !f.RollingOut() {
		return true
	}
	for _, c := range f.Containers() {
		if c.Failing(f.Now) || diagnosis.Unready(c.Pod) && !f.Young(c.Pod) {
			return true
		}
	}
	return applog.Recurs(f)
}

func rollouts(f *diagnosis.Facts) []diagnosis.Finding {
	present, before := f.Revisions()
	if present == nil || before == nil || f.Now.Sub(present.MadeAt) > recent && done(f, present) {
		return nil
	}
	changes := Diff(&before.Spec, &present.Spec)
	if len(changes) == 0 {
		return nil
	}
	kind := diagnosis.KindConfig
	if strings.Contains(changes[0].Field, ".image") {
		kind = diagnosis.KindImage
	}
	var says []string
	for _, c := range changes[:min(len(changes), 4)] {
		says = append(says, c.String())
	}
	if more := len(changes) - 4; more > 0 {
		says = append(says, diagnosis.Plural(more, "more change"))
	}
	back := f.Earlier(diagnosis.Any)
	fix := diagnosis.Fix{
		Explanation: fmt.Sprintf("Go back to revision %d if the trouble began with the change.", back.Revision) +
			f.Untried(diagnosis.Any),
		Commands: f.Undo(diagnosis.Any),
	}
	if len(fix.Commands) > 1 {
		fix.Explanation += " A StatefulSet waits for pods that are not ready, so delete these then."
	}
	return []diagnosis.Finding{{
		Kind: kind, Object: f.Workload.Object, Field: changes[0].Field, Value: changes[0].New, Score: diagnosis.ScorePossible,
		Sentence: fmt.Sprintf("Revision %d of %s changed %s", present.Revision, f.Workload.Object, strings.Join(says, "; ")),
		Evidence: evidence(f, present, back),
		Fix:      fix,
	}}
}

// done tells whether a rollout came to its end. That of a StatefulSet with a partition, or of what replaces its pods on
// deletion alone, never reaches all pods.
func done(f *diagnosis.Facts, v *diagnosis.Version) bool {
	return f.Workload.Satisfied() || v.Kind == "ControllerRevision" && f.Workload.Ready >= f.Workload.Desired
}

func evidence(f *diagnosis.Facts, present, before *diagnosis.Version) []string {
	out := []string{fmt.Sprintf("%s %s (revision %d) was made %s ago, %d of its pods are ready",
		present.Kind, present.Name, present.Revision, f.Age(present.MadeAt), present.Ready)}
	if before.Ready > 0 {
		be := "are"
		if before.Ready == 1 {
			be = "is"
		}
		out = append(out, fmt.Sprintf("%s of revision %d %s still ready", diagnosis.Plural(int(before.Ready), "pod"), before.Revision, be))
	}
	return out
}

// Change is one difference between two pod templates, with secrets masked.
type Change struct{ Field, Old, New string }

// String says the change in words.
func (c Change) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s (added: %s)", c.Field, c.New)
	case c.New == "":
		return fmt.Sprintf("%s (removed: %s)", c.Field, c.Old)
	}
	return fmt.Sprintf("%s from %s to %s", c.Field, c.Old, c.New)
}

// ReachesProgram tells whether the program runs with something else since the change. Probes only decide when it is
// restarted and when it gets traffic.
func (c Change) ReachesProgram() bool { return !strings.HasSuffix(c.Field, "Probe") }

// Diff compares two pod templates: images first, then environment, then the rest that decides how containers run.
func Diff(old, now *corev1.PodSpec) []Change {
	var images, rest, around []Change
	for _, list := range []struct {
		name     string
		was, are []corev1.Container
	}{{"containers", old.Containers, now.Containers}, {"initContainers", old.InitContainers, now.InitContainers}} {
		for i := range list.are {
			n := &list.are[i]
			at := list.name + "[" + n.Name + "]"
			o := diagnosis.ContainerNamed(old, n.Name)
			if o == nil {
				rest = append(rest, Change{Field: at, New: n.Image})
				continue
			}
			if o.Image != n.Image {
				images = append(images, Change{at + ".image", o.Image, n.Image})
			}
			rest = append(rest, container(at+".", o, n)...)
			around = append(around, rights(at, o, n)...)
		}
		for i := range list.was {
			if o := &list.was[i]; diagnosis.ContainerNamed(now, o.Name) == nil {
				rest = append(rest, Change{Field: list.name + "[" + o.Name + "]", Old: o.Image})
			}
		}
	}
	return slices.Concat(images, rest, references(old, now), around, surroundings(old, now))
}

// container compares what a container runs, and how it is probed.
func container(at string, o, n *corev1.Container) []Change {
	out := environment(at, o.Env, n.Env)
	add := func(field string, a, b any, as, bs string) {
		if !equality.Semantic.DeepEqual(a, b) {
			out = append(out, Change{at + field, as, bs})
		}
	}
	add("command", o.Command, n.Command, words(o.Command), words(n.Command))
	add("args", o.Args, n.Args, words(o.Args), words(n.Args))
	add("resources", o.Resources, n.Resources, amounts(o), amounts(n))
	add("readinessProbe", o.ReadinessProbe, n.ReadinessProbe, probe(o.ReadinessProbe), probe(n.ReadinessProbe))
	add("livenessProbe", o.LivenessProbe, n.LivenessProbe, probe(o.LivenessProbe), probe(n.LivenessProbe))
	add("startupProbe", o.StartupProbe, n.StartupProbe, probe(o.StartupProbe), probe(n.StartupProbe))
	return out
}

func environment(at string, old, now []corev1.EnvVar) []Change {
	var out []Change
	value := func(e corev1.EnvVar) string {
		if e.ValueFrom != nil {
			return "a reference"
		}
		return fmt.Sprintf("%q", mask.Value(e.Name, e.Value))
	}
	for _, n := range now {
		i := slices.IndexFunc(old, func(o corev1.EnvVar) bool { return o.Name == n.Name })
		switch {
		case i < 0:
			out = append(out, Change{at + "env[" + n.Name + "]", "", value(n)})
		case !equality.Semantic.DeepEqual(old[i], n):
			out = append(out, Change{at + "env[" + n.Name + "]", value(old[i]), value(n)})
		}
	}
	for _, o := range old {
		if !slices.ContainsFunc(now, func(n corev1.EnvVar) bool { return n.Name == o.Name }) {
			out = append(out, Change{at + "env[" + o.Name + "]", value(o), ""})
		}
	}
	return out
}

func words(command []string) string { return strings.Join(mask.Words(command), " ") }

func amounts(c *corev1.Container) string {
	var out []string
	for _, list := range []struct {
		name string
		of   corev1.ResourceList
	}{{"requests", c.Resources.Requests}, {"limits", c.Resources.Limits}} {
		for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if q, ok := list.of[r]; ok {
				out = append(out, fmt.Sprintf("%s.%s=%s", list.name, r, q.String()))
			}
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ",")
}

func probe(p *corev1.Probe) string {
	switch {
	case p == nil:
		return ""
	case p.HTTPGet != nil:
		return fmt.Sprintf("GET :%s%s", p.HTTPGet.Port.String(), p.HTTPGet.Path)
	case p.TCPSocket != nil:
		return "TCP :" + p.TCPSocket.Port.String()
	}
	return "another probe"
}

// references are ConfigMaps and Secrets that came or went.
func references(old, now *corev1.PodSpec) []Change {
	key := func(r diagnosis.Reference) string { return r.Kind + " " + r.Name }
	names := func(spec *corev1.PodSpec) []string {
		var out []string
		for _, r := range diagnosis.References(spec) {
			if !slices.Contains(out, key(r)) {
				out = append(out, key(r))
			}
		}
		return out
	}
	was, is := names(old), names(now)
	var out []Change
	for _, n := range is {
		if !slices.Contains(was, n) {
			out = append(out, Change{"references", "", n})
		}
	}
	for _, o := range was {
		if !slices.Contains(is, o) {
			out = append(out, Change{"references", o, ""})
		}
	}
	return out
}

// configs are ConfigMaps that were changed after they were made, lately.
func configs(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	seen := map[string]bool{}
	for _, ref := range f.References() {
		m := f.ConfigMap(ref.Name)
		if ref.Kind != "ConfigMap" || m == nil || seen[ref.Name] {
			continue
		}
		seen[ref.Name] = true
		var at time.Time
		who := ""
		for _, e := range m.ManagedFields {
			if e.Time != nil && e.Time.After(at) {
				at, who = e.Time.Time, e.Manager
			}
		}
		if at.Sub(m.CreationTimestamp.Time) < time.Minute || f.Now.Sub(at) > recent {
			continue
		}
		out = append(out, diagnosis.Finding{
			Kind: diagnosis.KindConfig, Object: diagnosis.Object{APIVersion: "v1", Kind: "ConfigMap", Namespace: f.NS(), Name: m.Name},
			Field: "data", Value: at.UTC().Format(time.RFC3339), Score: 0.4,
			Sentence: fmt.Sprintf("ConfigMap %s was changed at %s; %s %s", m.Name, at.UTC().Format(time.RFC3339), f.Workload.Object, ref.Use),
			Evidence: []string{fmt.Sprintf("changed %s ago by %s", f.Age(at), who)},
			Fix: diagnosis.Fix{Explanation: "Compare it with what it was before.",
				Commands: []string{diagnosis.Kubectl(f.NS(), "get", "configmap", m.Name, "-o", "yaml")}},
		})
	}
	return out
}
