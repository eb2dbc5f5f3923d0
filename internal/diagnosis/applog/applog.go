// Package applog finds programs that run and are ready, and log one error again and again.
package applog

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/exit"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
	"github.com/kubebot/kubebot/internal/diagnosis/service"
)

// Detector finds errors that recur in logs.
var Detector = diagnosis.Detector{Name: "applog", Doc: "errors that a running program logs again and again", Detect: detect}

// An error counts as trouble of now if it was logged several times within some minutes and just now.
const (
	window   = 5 * time.Minute
	justNow  = 2 * time.Minute
	minCount = 5
	// maxFindings: what a program logs beside its most frequent errors rarely tells more.
	maxFindings = 2
)

// pattern is a kind of line.
type pattern struct {
	count   int
	message string
	line    string
	last    time.Time
	c       diagnosis.Container
}

// Recurs tells whether a pod of the workload logs errors again and again.
func Recurs(f *diagnosis.Facts) bool { return len(patterns(f)) > 0 }

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, p := range patterns(f) {
		x := explain(f, p)
		if slices.ContainsFunc(out, func(o diagnosis.Finding) bool { return o.Object == x.Object && o.Kind == diagnosis.KindDependency }) {
			continue // another path of the same dependency
		}
		if out = append(out, x); len(out) == maxFindings {
			break
		}
	}
	return out
}

var variable = regexp.MustCompile(`[0-9a-f]{8,}|\d+`)

func patterns(f *diagnosis.Facts) []pattern {
	found := map[string]*pattern{}
	for _, c := range f.Containers() {
		if c.Init || c.Failing(f.Now) || !diagnosis.PodReady(c.Pod) {
			continue
		}
		for _, line := range f.Log(c.Pod.Name, c.Spec.Name, false) {
			if line.Time.IsZero() || f.Now.Sub(line.Time) > window {
				continue
			}
			d, ok := logline.Find([]diagnosis.Line{line})
			if !ok || d.Weight < logline.WeightError || elsewhere(logline.Classify(d.Line)) {
				continue
			}
			key := c.Spec.Name + " " + variable.ReplaceAllString(d.Message, "#")
			if found[key] == nil {
				found[key] = &pattern{c: c}
			}
			p := found[key]
			p.count++
			if !line.Time.Before(p.last) {
				p.message, p.line, p.last, p.c = d.Message, d.Line, line.Time, c
			}
		}
	}
	var out []pattern
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if p := found[key]; p.count >= minCount && f.Now.Sub(p.last) < justNow {
			out = append(out, *p)
		}
	}
	slices.SortStableFunc(out, func(a, b pattern) int { return cmp.Compare(b.count, a.count) })
	return out
}

// elsewhere are the classes of lines that other detectors explain from both ends.
func elsewhere(c logline.Class) bool {
	switch c {
	case logline.ClassDNS, logline.ClassRefused, logline.ClassTimeout, logline.ClassCertificate, logline.ClassForbidden:
		return true
	}
	return false
}

func explain(f *diagnosis.Facts, p pattern) diagnosis.Finding {
	w := f.Owner(p.c.Pod)
	out := diagnosis.Finding{
		Kind: diagnosis.KindCode, Object: w.Object, Field: p.c.Path(), Value: p.message, Score: diagnosis.ScorePossible + 0.1,
		Sentence: fmt.Sprintf("Container %s of %s logs an error again and again: %s", p.c.Spec.Name, w.Object, p.message),
		Evidence: []string{fmt.Sprintf("log of pod %s (%d such lines in %d min): %s",
			p.c.Pod.Name, p.count, int(window.Minutes()), diagnosis.Shorten(p.line, 400))},
		Fix: diagnosis.Fix{Explanation: "Look at what the line names; go back if it began with the last rollout.",
			Commands: []string{diagnosis.LogsCommand(p.c)}},
	}
	if s := called(f, p.message); s != nil {
		out.Kind, out.Object, out.Field, out.Value, out.Score = diagnosis.KindDependency, service.Object(s), "", s.Name, diagnosis.ScoreLikely
		out.Sentence = fmt.Sprintf("%s fails by calls to Service %s: %s", w.Object, s.Name, p.message)
		out.Fix = diagnosis.Fix{Explanation: "Ask the same question of the dependency.",
			Commands: []string{"kubectl kubebot why -n " + s.Namespace + " service/" + s.Name}}
		return out
	}
	if field, value, says := exit.Setting(p.c.Spec, p.message, w.Name, f.NS()); strings.HasPrefix(field, "env[") {
		out.Kind, out.Score = diagnosis.KindConfig, diagnosis.ScoreStrong
		out.Field, out.Value = out.Field+"."+field, value
		out.Sentence += "; " + says
		out.Fix.Explanation = "Correct the setting that the line names."
	}
	out.Fix.Commands = append(out.Fix.Commands, f.Undo(diagnosis.Any)...)
	return out
}

// failedCall is what the error of a call to another service looks like.
var failedCall = regexp.MustCompile(`(?i)\bcall|\brequest to|\bupstream|\brpc error|(?:answered|returned|status(?: code)?:?|got) 5\d\d`)

// called is the Service of another workload that a message names as a word of its own.
func called(f *diagnosis.Facts, message string) *corev1.Service {
	if !failedCall.MatchString(message) {
		return nil
	}
	words := strings.FieldsFunc(message, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
	for i := range f.Services {
		s := &f.Services[i]
		if slices.Contains(words, s.Name) && !service.Matches(s, f.Workload.Template.Labels) {
			return s
		}
	}
	return nil
}
