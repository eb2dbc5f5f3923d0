package slack

import (
	"fmt"
	"sort"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/document"
	"github.com/kubebot/kubebot/internal/notify"
)

// Limits of Block Kit (https://docs.slack.dev/reference/block-kit/blocks) in characters, and ours below them. The text
// of all blocks together may be 12,000 and some; ours is far below, since nobody reads more.
const (
	limitHeader = 150
	limitText   = 3000

	maxField    = 400
	maxCause    = 600
	maxList     = 2800
	maxSummary  = 300
	maxContext  = 600
	maxFallback = 1000
	maxNames    = 10
)

// eventType is the type of the metadata of every message.
const eventType = "kubebot_delivery"

// content is a message before it is sent: what is seen, and what notifications and screen readers say.
type content struct {
	blocks []slackgo.Block
	text   string
}

// head renders the incident as it stands. Text from the cluster is only ever in plain_text objects, which hold no
// mention, link or format; the few mrkdwn objects are constants.
func head(msg notify.Message, cluster string) content {
	inc := msg.Incident
	title := mark(msg) + " " + headline(msg)
	blocks := []slackgo.Block{
		slackgo.NewHeaderBlock(plain(line(title, limitHeader))),
		slackgo.NewSectionBlock(nil, rows(msg, cluster), nil),
	}
	for _, text := range []string{whole(msg), cause(inc), fix(inc)} {
		if text != "" {
			blocks = append(blocks, slackgo.NewSectionBlock(plain(text), nil, nil))
		}
	}
	if list := alertList(alerts(inc)); list != "" {
		blocks = append(blocks, slackgo.NewSectionBlock(plain(list), nil, nil))
	}
	blocks = append(blocks, slackgo.NewContextBlock("", footer(inc)...))
	text := fmt.Sprintf("%s [%s] %s: %s", title, severity(inc), subject(inc), inc.Status.Cause)
	return content{blocks: blocks, text: line(strings.TrimSuffix(strings.TrimSpace(text), ":"), maxFallback)}
}

// part tells whether the message is to show the incident as part of another one.
func part(msg notify.Message) bool { return msg.Incident.Status.DuplicateOf != "" && !over(msg) }

// whole says of which other incident the incident is part.
func whole(msg notify.Message) string {
	if !part(msg) {
		return ""
	}
	if d := msg.Incident.Status.Decision; d != nil && d.Reason == "Duplicate" && d.Message != "" {
		return line(d.Message, maxCause)
	}
	return line("It is part of "+msg.Incident.Status.DuplicateOf, maxCause)
}

// cause says the likely cause, with its score where an analysis gave one.
func cause(inc *v1alpha1.Incident) string {
	text := line(inc.Status.Cause, maxCause)
	switch c := document.Stated(inc); {
	case text == "":
		return ""
	case c != nil:
		return fmt.Sprintf("Likely cause (%d %%): %s", c.ScorePercent, text)
	}
	return "Likely cause: " + text
}

// fix says what repairs the cause, with all of its commands to copy: one alone may delete what the next makes anew. Where
// they do not fit, or are not shown as they are, it says where they are.
func fix(inc *v1alpha1.Incident) string {
	c := document.Stated(inc)
	if c == nil || c.Fix == nil {
		return ""
	}
	text := "Fix: " + line(c.Fix.Explanation, maxCause)
	whole := text
	for _, command := range c.Fix.Commands {
		shown := line(command, limitText)
		if whole += "\n" + shown; shown != literal(command, limitText) || units(whole) > limitText {
			return text + "\nIts commands: " + line(document.Why(inc), maxContext)
		}
	}
	return whole
}

// reply renders the change for the thread.
func reply(msg notify.Message) content {
	text := mark(msg) + " " + change(msg)
	return content{
		blocks: []slackgo.Block{slackgo.NewSectionBlock(plain(lines(text, limitText)), nil, nil)},
		text:   line(text, maxFallback),
	}
}

// change says what changed.
func change(msg notify.Message) string {
	if strings.TrimSpace(msg.Text) != "" {
		return msg.Text
	}
	return map[v1alpha1.TransitionKind]string{
		v1alpha1.TransitionOpened:   "Opened.",
		v1alpha1.TransitionUpdated:  "Updated.",
		v1alpha1.TransitionResolved: "Resolved.",
		v1alpha1.TransitionReopened: "It is back.",
	}[msg.Transition]
}

// over tells whether the message is to show the incident as over.
func over(msg notify.Message) bool {
	state := msg.Incident.Status.State
	ended := state == v1alpha1.IncidentResolved || state == v1alpha1.IncidentClosed
	return msg.Transition == v1alpha1.TransitionResolved || ended && msg.Transition != v1alpha1.TransitionReopened
}

// mark is the sign that says at a glance how bad it is.
func mark(msg notify.Message) string {
	switch {
	case over(msg):
		return "✅"
	case part(msg):
		return "🔗"
	case msg.Incident.Status.State == v1alpha1.IncidentAcknowledged:
		return "👀"
	}
	return severityMark(severity(msg.Incident))
}

func severityMark(s v1alpha1.Severity) string {
	switch s {
	case v1alpha1.SeverityCritical:
		return "🔴"
	case v1alpha1.SeverityInfo:
		return "🔵"
	}
	return "🟠"
}

// headline says what is wrong, or that it is over.
func headline(msg notify.Message) string {
	title := msg.Incident.Status.Title
	if strings.TrimSpace(title) == "" {
		title = subject(msg.Incident)
	}
	if over(msg) {
		return "Resolved: " + title
	}
	return title
}

// rows are label and value side by side: at most five pairs, as a section takes ten fields.
func rows(msg notify.Message, cluster string) []*slackgo.TextBlockObject {
	inc := msg.Incident
	if inc.Spec.ClusterName != "" {
		cluster = inc.Spec.ClusterName
	}
	var fields []*slackgo.TextBlockObject
	for _, row := range []struct{ label, value string }{
		{"*Severity*", string(severity(inc))},
		{"*Subject*", subject(inc)},
		{"*Cluster*", cluster},
		{"*Since*", since(inc)},
		{"*State*", state(msg)},
	} {
		if value := line(row.value, maxField); value != "" {
			label := slackgo.NewTextBlockObject(slackgo.MarkdownType, row.label, false, true)
			fields = append(fields, label, plain(value))
		}
	}
	return fields
}

func severity(inc *v1alpha1.Incident) v1alpha1.Severity {
	if inc.Status.Severity != "" {
		return inc.Status.Severity
	}
	worst := v1alpha1.SeverityInfo
	for _, a := range inc.Spec.OpeningAlerts {
		if a.Severity == v1alpha1.SeverityCritical || a.Severity == v1alpha1.SeverityWarning && worst == v1alpha1.SeverityInfo {
			worst = a.Severity
		}
	}
	return worst
}

func subject(inc *v1alpha1.Incident) string {
	s := inc.Spec.Subject
	switch {
	case s.Display != "":
		return s.Display
	case s.Namespace != "":
		return fmt.Sprintf("%s %s/%s", s.Kind, s.Namespace, s.Name)
	}
	return s.Kind + " " + s.Name
}

// clock is how times are shown: to the second, in UTC, so that people in several time zones speak of the same.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func started(inc *v1alpha1.Incident) time.Time {
	if inc.Status.StartedAt != nil {
		return inc.Status.StartedAt.Time
	}
	var first time.Time
	for _, a := range inc.Spec.OpeningAlerts {
		if first.IsZero() || a.StartsAt.Time.Before(first) {
			first = a.StartsAt.Time
		}
	}
	return first
}

func since(inc *v1alpha1.Incident) string {
	if t := started(inc); !t.IsZero() {
		return clock(t)
	}
	return ""
}

// state says where the incident stands, and for how long it lasted once it is over.
func state(msg notify.Message) string {
	inc := msg.Incident
	if over(msg) {
		end := msg.At
		if inc.Status.ResolvedAt != nil {
			end = inc.Status.ResolvedAt.Time
		}
		if begin := started(inc); !begin.IsZero() && end.After(begin) {
			return fmt.Sprintf("Resolved at %s, after %s", clock(end), end.Sub(begin).Round(time.Second))
		}
		return "Resolved at " + clock(end)
	}
	text := ""
	if ack := inc.Spec.Acknowledge; ack != nil && inc.Status.State == v1alpha1.IncidentAcknowledged && ack.By != "" {
		text = "Acknowledged by " + ack.By
	}
	if silenced(msg) {
		text = strings.TrimPrefix(fmt.Sprintf("%s, silenced until %s", text, clock(inc.Spec.Silence.Until.Time)), ", ")
		if by := inc.Spec.Silence.By; by != "" {
			text += " by " + by
		}
	}
	if text != "" {
		return text
	}
	if inc.Status.State == "" || inc.Status.State == v1alpha1.IncidentResolved || inc.Status.State == v1alpha1.IncidentClosed {
		return string(v1alpha1.IncidentOpen)
	}
	return string(inc.Status.State)
}

// alerts are those of the incident, also before its status was written.
func alerts(inc *v1alpha1.Incident) []v1alpha1.IncidentAlert {
	if len(inc.Status.Alerts) > 0 {
		return inc.Status.Alerts
	}
	return inc.Spec.OpeningAlerts
}

// named are the alerts of one name.
type named struct {
	name, summary    string
	firing, resolved int
	critical         bool
}

// byName groups alerts by name: critical names first, then by name. The summary is that of the first alert of the name
// that fires, in the order of fingerprints, so that the text does not change with the order of the list.
func byName(list []v1alpha1.IncidentAlert) []*named {
	sorted := append([]v1alpha1.IncidentAlert(nil), list...)
	sort.SliceStable(sorted, func(i, j int) bool {
		if fi, fj := sorted[i].State == v1alpha1.AlertFiring, sorted[j].State == v1alpha1.AlertFiring; fi != fj {
			return fi
		}
		return sorted[i].Fingerprint < sorted[j].Fingerprint
	})
	index := map[string]*named{}
	var names []*named
	for _, a := range sorted {
		n := index[a.Name]
		if n == nil {
			n = &named{name: a.Name, summary: a.Summary}
			index[a.Name] = n
			names = append(names, n)
		}
		if a.State == v1alpha1.AlertFiring {
			n.firing++
		} else {
			n.resolved++
		}
		n.critical = n.critical || a.Severity == v1alpha1.SeverityCritical
		if n.summary == "" {
			n.summary = a.Summary
		}
	}
	sort.SliceStable(names, func(i, j int) bool {
		if names[i].critical != names[j].critical {
			return names[i].critical
		}
		return names[i].name < names[j].name
	})
	return names
}

// alertList is one line per alert name, at most maxNames, within maxList characters.
func alertList(list []v1alpha1.IncidentAlert) string {
	names := byName(list)
	var b strings.Builder
	for i, n := range names {
		text := fmt.Sprintf("• %s (%s)", line(n.name, maxSummary), count(n))
		if summary := line(n.summary, maxSummary); summary != "" {
			text += ": " + summary
		}
		if i == maxNames || units(b.String())+units(text)+1 > maxList {
			fmt.Fprintf(&b, "\n… and %d more kinds of alert", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(text)
	}
	return b.String()
}

func count(n *named) string {
	switch {
	case n.resolved == 0:
		return fmt.Sprintf("%d firing", n.firing)
	case n.firing == 0:
		return fmt.Sprintf("%d resolved", n.resolved)
	}
	return fmt.Sprintf("%d firing, %d resolved", n.firing, n.resolved)
}

// footer says where to read more.
func footer(inc *v1alpha1.Incident) []slackgo.MixedElement {
	elements := []slackgo.MixedElement{
		plain(line(fmt.Sprintf("kubectl get incident %s -n %s -o yaml", inc.Name, inc.Namespace), maxContext)),
	}
	for _, a := range alerts(inc) {
		if runbook := line(a.RunbookURL, maxContext); runbook != "" {
			return append(elements, plain("Runbook: "+runbook))
		}
	}
	return elements
}

// plain is a text object that Slack shows as it is: no mention, link, emoji code or format in it has a meaning.
func plain(escaped string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.PlainTextType, escaped, false, false)
}

// metadata is what the message is found by when the answer to sending it was lost.
func metadata(msg notify.Message) slackgo.SlackMetadata {
	if msg.Digest != nil {
		names := make([]any, 0, len(msg.Digest))
		for _, inc := range msg.Digest {
			names = append(names, inc.Name)
		}
		return slackgo.SlackMetadata{EventType: eventType, EventPayload: map[string]any{
			"key": msg.Key, "namespace": msg.Incident.Namespace, "incidents": names, "transition": string(msg.Transition), "sequence": msg.Sequence,
		}}
	}
	return slackgo.SlackMetadata{EventType: eventType, EventPayload: map[string]any{
		"key":        msg.Key,
		"incident":   msg.Incident.Namespace + "/" + msg.Incident.Name,
		"transition": string(msg.Transition),
		"sequence":   msg.Sequence,
	}}
}
