package enrich

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/mask"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/truncate"
)

// Bounds of what an Incident holds of an answer, in bytes.
const (
	maxCausesBytes = 24 << 10
	maxText        = 512
	maxName        = 253
	maxCommand     = 1024
	maxCommands    = 4
)

// leftOut ends the explanation of a fix whose commands an Incident can't hold.
const leftOut = " Its commands are too long to be kept, or hold what looks like a secret; kubebot why prints them."

var (
	slow  = regexp.MustCompile(`(?i)latency|slow|duration|timeout`)
	fails = regexp.MustCompile(`(?i)error|5xx|fail(ing|ed)?requests|availability|dependencyfail|down`)
)

// QuestionOf returns the question that an Incident asks, as of now.
func QuestionOf(inc *v1alpha1.Incident, now time.Time) Question {
	s := inc.Spec.Subject
	q := Question{Subject: diagnosis.Object{APIVersion: s.APIVersion, Kind: s.Kind, Namespace: s.Namespace, Name: s.Name}, Now: now, Alarm: now, Troubled: true}
	if at := began(inc); !at.IsZero() {
		q.Alarm = at
	}
	if q.Alarm.After(now) {
		q.Alarm = now
	}
	// What goes on for long is judged by its beginning.
	if most := q.Alarm.Add(judgedFor); q.Now.After(most) {
		q.Now = most
	}
	alerts := inc.Status.Alerts
	if len(alerts) == 0 {
		alerts = inc.Spec.OpeningAlerts
	}
	for i := range alerts {
		switch {
		case fails.MatchString(alerts[i].Name):
			q.Signal = rca.SignalAvailability
		case slow.MatchString(alerts[i].Name) && q.Signal == "":
			q.Signal = rca.SignalLatency
		}
	}
	return q
}

// judgedFor is how much of the trouble is looked at.
const judgedFor = 30 * time.Minute

// began returns when what an Incident tells of now began: the first of the most severe alerts that fire, or one that began
// at most half an hour before it and fires too, because rules wait for different times. A warning of days ago is not when
// what became critical today began. Where nothing fires it is the start of the Incident; zero where that is not known.
func began(inc *v1alpha1.Incident) time.Time {
	var worst v1alpha1.Severity
	var first time.Time
	for _, a := range inc.Status.Alerts {
		if a.State != v1alpha1.AlertFiring || a.StartsAt.IsZero() {
			continue
		}
		rank := alert.Rank(a.Severity) - alert.Rank(worst)
		if rank > 0 || rank == 0 && a.StartsAt.Time.Before(first) {
			worst, first = a.Severity, a.StartsAt.Time
		}
	}
	at := first
	for _, a := range inc.Status.Alerts {
		if a.State == v1alpha1.AlertFiring && a.StartsAt.Time.Before(at) && !a.StartsAt.Time.Before(first.Add(-judgedFor)) {
			at = a.StartsAt.Time
		}
	}
	switch {
	case !at.IsZero():
		return at
	case inc.Status.StartedAt != nil:
		return inc.Status.StartedAt.Time
	}
	return inc.CreationTimestamp.Time
}

// Explain looks for the cause of an Incident and returns it as the Incident's status holds it: bounded, with secrets
// masked once more.
func (a *Analyst) Explain(ctx context.Context, inc *v1alpha1.Incident) v1alpha1.IncidentStatus {
	now := time.Now()
	q := QuestionOf(inc, now)
	answer := a.Analyse(ctx, q)
	if earlier, ok := stands(inc, answer.Diagnoses, now); ok {
		return earlier
	}
	status := answer.Status()
	since := metav1.NewTime(q.Alarm.UTC().Truncate(time.Second))
	status.Analysis.Since = &since
	return status
}

// Status is the answer as an Incident's status holds it: causes and analysis.
func (a Answer) Status() v1alpha1.IncidentStatus {
	state := v1alpha1.AnalysisNothingStandsOut
	if a.Found {
		state = v1alpha1.AnalysisCauseFound
	}
	out := v1alpha1.IncidentStatus{
		Causes:   Bound(a.Causes),
		Analysis: &v1alpha1.Analysis{State: state, Message: text(a.Message, maxText), Weights: truncate.Bytes(a.Weights, 63)},
	}
	for _, s := range a.Sources {
		s.Message = text(s.Message, maxText)
		out.Analysis.Sources = append(out.Analysis.Sources, s)
	}
	return out
}

// Bound cuts causes to what the API allows and an Incident holds, and masks what looks like a secret in every text.
func Bound(causes []v1alpha1.Cause) []v1alpha1.Cause {
	var out []v1alpha1.Cause
	for _, c := range causes[:min(len(causes), maxCauses)] {
		out = append(out, bound(c))
	}
	for size(out) > maxCausesBytes { // the last ones are the least likely
		last := &out[len(out)-1]
		if len(last.Evidence) > 1 {
			last.Evidence = last.Evidence[:len(last.Evidence)-1]
			continue
		}
		out = out[:len(out)-1]
	}
	return out
}

func size(causes []v1alpha1.Cause) int {
	data, err := json.Marshal(causes)
	if err != nil {
		return 0 // only strings and numbers are in them
	}
	return len(data)
}

func bound(in v1alpha1.Cause) v1alpha1.Cause {
	c := *in.DeepCopy()
	c.Object.APIVersion, c.Object.Kind = truncate.Bytes(c.Object.APIVersion, maxName), truncate.Bytes(c.Object.Kind, 63)
	c.Object.Namespace, c.Object.Name = truncate.Bytes(c.Object.Namespace, 63), truncate.Bytes(c.Object.Name, maxName)
	c.Workload, c.Field, c.Sentence = truncate.Bytes(c.Workload, maxName), text(c.Field, maxName), text(c.Sentence, maxText)
	c.Evidence = c.Evidence[:min(len(c.Evidence), 8)]
	for i := range c.Evidence {
		c.Evidence[i].Text = text(c.Evidence[i].Text, maxText)
	}
	c.Path, c.Region = c.Path[:min(len(c.Path), 12)], c.Region[:min(len(c.Region), 6)]
	for _, list := range [][]string{c.Path, c.Region} {
		for i := range list {
			list[i] = text(list[i], maxName)
		}
	}
	if c.Fix != nil {
		if fits(c.Fix.Commands) {
			c.Fix.Explanation = text(c.Fix.Explanation, maxText)
		} else {
			c.Fix.Explanation, c.Fix.Commands = text(c.Fix.Explanation, maxText-len(leftOut))+leftOut, nil
		}
	}
	return c
}

// standIn is a word that stands in a command where only the user knows the secret, with what is around it.
var standIn = regexp.MustCompile(`([=:"' ])(?:PASSWORD|VALUE)(["'\s]|$)`)

// fits tells whether an Incident can hold all commands as they are: one that is cut or masked does something else, and
// some of them without the others may delete what those make anew.
func fits(commands []string) bool {
	return len(commands) <= maxCommands && !slices.ContainsFunc(commands, func(command string) bool {
		filled := standIn.ReplaceAllString(command, "${1}"+mask.Hidden+"${2}")
		return len(command) > maxCommand || mask.Text(filled) != filled
	})
}

// text masks, puts on one line and cuts.
func text(s string, limit int) string {
	return truncate.Bytes(strings.Join(strings.Fields(mask.Text(strings.ToValidUTF8(s, "\uFFFD"))), " "), limit)
}
