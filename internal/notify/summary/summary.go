// Package summary says an incident in the plain words that sinks without a form of their own show. Everything in it is
// data from the cluster that was made safe to show as plain text: one line each, bounded, without control characters and
// without what hides or turns text around.
package summary

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/document"
	"github.com/kubebot/kubebot/internal/notify"
)

const (
	// maxAlerts are listed; the rest is counted.
	maxAlerts = 10
	// maxLine bounds each text, in characters.
	maxLine = 400
	// maxFix bounds what a fix says, which is more than an Incident holds, and maxCommands all of its commands together.
	maxFix, maxCommands = 600, 2000
)

// Summary is an incident as of a change.
type Summary struct {
	// Title says what is wrong, Subject what is affected.
	Title, Subject string
	Severity       v1alpha1.Severity
	// Over tells that it has ended, AcknowledgedBy who looks after it.
	Over           bool
	Acknowledged   bool
	AcknowledgedBy string
	Cluster        string
	Started, Ended time.Time
	// Text is the change in a sentence.
	Text string
	// Cause is the most likely one; empty when not known. Where an analysis found it, ScorePercent says how likely it is,
	// and Fix and Commands what repairs it: all commands, or the one that prints them.
	Cause        string
	ScorePercent int32
	Fix          string
	Commands     []string
	// Alerts, or incidents of a digest, one line each, and how many more there are.
	Alerts []string
	More   int
	// Show is the command that shows the incident.
	Show string
}

// Of sums a message up. It depends on the message alone.
func Of(msg notify.Message, cluster string) Summary {
	inc := msg.Incident
	whole := document.New(document.Change{
		Key: msg.Key, Transition: msg.Transition, Sequence: msg.Sequence, Text: msg.Text, Details: msg.Details,
		Incident: inc, Digest: msg.Digest, At: msg.At, ClusterName: cluster,
	})
	doc := whole.Incident
	s := Summary{
		Title: Line(doc.Title, maxLine), Subject: Line(doc.Subject.Display, maxLine), Severity: doc.Severity,
		Over: doc.State == v1alpha1.IncidentResolved, Cluster: Line(doc.Cluster, maxLine), Text: Line(prose(msg.Text), maxLine),
		Cause: Line(doc.Cause, maxLine),
		Show:  fmt.Sprintf("kubectl describe incident %s -n %s", Line(inc.Name, maxLine), Line(inc.Namespace, maxLine)),
	}
	if s.Title == "" {
		s.Title = s.Subject
	}
	if ack := inc.Spec.Acknowledge; ack != nil && !s.Over {
		s.Acknowledged, s.AcknowledgedBy = true, Line(ack.By, 100)
	}
	if doc.StartedAt != nil {
		s.Started = *doc.StartedAt
	}
	if doc.ResolvedAt != nil {
		s.Ended = *doc.ResolvedAt
	}
	if c := document.Stated(inc); c != nil {
		s.repair(c, document.Why(inc))
	}
	if len(msg.Digest) > 0 {
		s.digest(whole.Incidents)
		return s
	}
	for i, a := range doc.Alerts {
		if i == maxAlerts {
			s.More = len(doc.Alerts) - maxAlerts
			break
		}
		s.Alerts = append(s.Alerts, alertLine(a))
	}
	return s
}

// repair says how sure the stated cause is, and what repairs it. Half a command, or the first of two, may do harm: where
// not all can be shown as they are, it is the command that prints them.
func (s *Summary) repair(c *v1alpha1.Cause, why string) {
	s.ScorePercent = c.ScorePercent
	if c.Fix == nil {
		return
	}
	s.Fix = Line(c.Fix.Explanation, maxFix)
	left := maxCommands
	for _, command := range c.Fix.Commands {
		if left -= utf8.RuneCountInString(command); left < 0 || Line(command, maxCommands) != command {
			s.Fix = strings.TrimSpace(s.Fix + " The command below prints all of its commands.")
			s.Commands = []string{Line(why, maxFix)}
			return
		}
		s.Commands = append(s.Commands, command)
	}
}

// prose is a change without the indented lines of it, which are commands: a line that is cut holds no half of one.
func prose(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.HasPrefix(l, "    ") })
	return strings.Join(lines, "\n")
}

// digest lists incidents instead of alerts.
func (s *Summary) digest(incidents []document.Incident) {
	s.Show = "kubectl get incidents -A"
	for i, inc := range incidents {
		if i == maxAlerts {
			s.More = len(incidents) - maxAlerts
			return
		}
		line := "[" + string(inc.Severity) + "] " + inc.Title + " (" + inc.Subject.Display + ", " + inc.Name + ")"
		if inc.State == v1alpha1.IncidentResolved || inc.State == v1alpha1.IncidentClosed {
			line += ", ended"
		}
		s.Alerts = append(s.Alerts, Line(line, maxLine))
	}
}

func alertLine(a document.Alert) string {
	line := a.Name + " (" + string(a.Severity) + ")"
	if a.State == v1alpha1.AlertResolved {
		line += ", ended"
	}
	if a.Summary != "" {
		line += ": " + a.Summary
	}
	return Line(line, maxLine)
}

// State is where the incident stands, in a word or two.
func (s Summary) State() string {
	switch {
	case s.Over:
		return "Resolved"
	case s.Acknowledged && s.AcknowledgedBy != "":
		return "Acknowledged by " + s.AcknowledgedBy
	case s.Acknowledged:
		return "Acknowledged"
	}
	return "Open"
}

// Headline is state, severity and title on one line of at most limit characters.
func (s Summary) Headline(limit int) string {
	word := string(s.Severity)
	if s.Over {
		word = "resolved"
	}
	return Line("["+word+"] "+s.Title, limit)
}

// Fact is a name with what it stands for.
type Fact struct{ Name, Value string }

// Facts are what is known of the incident, those that are empty left out.
func (s Summary) Facts() []Fact {
	var facts []Fact
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, Fact{name, value})
		}
	}
	add("Subject", s.Subject)
	add("Severity", string(s.Severity))
	add("State", s.State())
	add("Cluster", s.Cluster)
	add("Since", stamp(s.Started))
	add("Ended", stamp(s.Ended))
	cause := s.Cause
	if s.ScorePercent > 0 {
		cause += fmt.Sprintf(" (%d %%)", s.ScorePercent)
	}
	add("Likely cause", cause)
	add("Fix", s.Fix)
	return facts
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// Plain is the whole of it as plain text with line breaks.
func (s Summary) Plain() string {
	var b strings.Builder
	line := func(text string) { b.WriteString(text + "\n") }
	line(s.Title)
	if s.Text != "" && s.Text != s.Title {
		line(s.Text)
	}
	line("")
	for _, f := range s.Facts() {
		line(f.Name + ": " + f.Value)
	}
	for _, c := range s.Commands {
		line("  " + c)
	}
	if len(s.Alerts) > 0 {
		line("")
	}
	for _, a := range s.Alerts {
		line("- " + a)
	}
	if s.More > 0 {
		line(fmt.Sprintf("- and %d more", s.More))
	}
	line("")
	line("Details: " + s.Show)
	return b.String()
}

// Line makes data safe to show on one line, in at most limit characters.
func Line(data string, limit int) string {
	visible := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.IsSpace(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), unicode.Is(unicode.Cs, r), unicode.Is(unicode.Variation_Selector, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(data, "\uFFFD"))
	text := strings.Join(strings.Fields(visible), " ")
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	runes := []rune(text)
	return string(runes[:limit-1]) + "…"
}
