package slack

import (
	"slices"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/document"
	"github.com/kubebot/kubebot/internal/interact"
	"github.com/kubebot/kubebot/internal/links"
	"github.com/kubebot/kubebot/internal/notify"
)

// actionPrefix begins the action_id of each of our buttons; the action follows.
const actionPrefix = "kubebot_"

// ActionOf reads the action_id of a button of ours.
func ActionOf(actionID string) (interact.Action, bool) {
	name, ok := strings.CutPrefix(actionID, actionPrefix)
	if !ok {
		return "", false
	}
	return interact.Parse(name)
}

// valueOf is the value of a button: which Incident it is about, and which of its causes.
func valueOf(action interact.Action, inc *v1alpha1.Incident) string {
	value := string(inc.UID) + "/" + inc.Name
	if place, ok := action.Judges(); ok && int(place) <= len(inc.Status.Causes) {
		value += "/" + interact.CauseKey(inc.Status.Causes[place-1])
	}
	return value
}

// IncidentOf reads the value of a button of ours. The cause is empty where the button is about none.
func IncidentOf(value string) (uid, name, cause string, ok bool) {
	uid, name, ok = strings.Cut(value, "/")
	name, cause, _ = strings.Cut(name, "/")
	return uid, name, cause, ok && uid != "" && name != "" && len(value) <= 512 && !strings.ContainsAny(name+cause, "/ ")
}

// Plain returns data from anywhere as a text object and as a text for notifications, safe to show and cut to a limit.
func Plain(data string, limit int) (*slackgo.TextBlockObject, string) {
	text := lines(data, min(limit, limitText))
	return plain(text), line(data, maxFallback)
}

// Button is a button of an action about an Incident. The label is cut to what Slack takes.
func Button(action interact.Action, inc *v1alpha1.Incident, label string) *slackgo.ButtonBlockElement {
	return slackgo.NewButtonBlockElement(actionPrefix+string(action), valueOf(action, inc), plain(line(label, limitButton)))
}

const (
	// limitButton is how long the label of a button may be.
	limitButton = 75
	// limitURL is how long the address of a button may be.
	limitURL = 3000
)

// buttons are the rows of what people can do about the incident as it stands.
func buttons(msg notify.Message, grafana links.Grafana) []slackgo.Block {
	inc := msg.Incident
	if inc.UID == "" {
		return nil
	}
	var first, second []slackgo.BlockElement
	if !over(msg) {
		if inc.Spec.Acknowledge == nil {
			first = append(first, Button(interact.Acknowledge, inc, "Acknowledge").WithStyle(slackgo.StylePrimary))
		} else {
			first = append(first, Button(interact.Release, inc, "Take back"))
		}
		if silenced(msg) {
			first = append(first, Button(interact.Unsilence, inc, "End the silence"))
		} else if len(interact.Matchers(inc)) > 0 {
			first = append(first, Button(interact.SilenceHour, inc, "Silence 1 h"),
				Button(interact.SilenceDay, inc, "Silence 1 day").WithConfirm(silenceDialog))
		}
	}
	first = append(first, Button(interact.Details, inc, "Show more"))
	first = append(first, linkButtons(inc, grafana)...)
	second = append(second, Button(interact.Mattered, inc, "This mattered"), Button(interact.Noise, inc, "This was noise"))
	if document.Stated(inc) != nil {
		second = append(second, Button(interact.CauseRight, inc, "Cause is right"), Button(interact.CauseWrong, inc, "Cause is wrong"))
	}
	return []slackgo.Block{slackgo.NewActionBlock("kubebot_do", first...), slackgo.NewActionBlock("kubebot_judge", second...)}
}

// silenceDialog is asked before a whole day of silence.
var silenceDialog = slackgo.NewConfirmationBlockObject(
	plain("Silence for a day?"), plain("Alertmanager says nothing about these alerts until then. The silence can be ended here."),
	plain("Silence"), plain("Cancel"))

// silenced tells whether a silence is asked for at the time of the message.
func silenced(msg notify.Message) bool {
	s := msg.Incident.Spec.Silence
	return s != nil && s.Until.After(msg.At)
}

// shownLink is an address of Grafana that belongs to a message.
type shownLink struct{ id, label, address string }

// shownLinks lead to the dashboard of the workload or node, else the first one, and to a workload's traces. An address that
// Slack does not take is left out.
func shownLinks(inc *v1alpha1.Incident, grafana links.Grafana) []shownLink {
	var w links.Window
	if t := started(inc); !t.IsZero() {
		w.From = t.Add(-links.Before)
	}
	board := shownLink{"link_dashboard", "Open dashboard", grafana.Home(w)}
	traces := shownLink{"link_traces", "Open traces", ""}
	subject := inc.Spec.Subject
	switch {
	case subject.Namespace != "" && subject.Kind != "Alert":
		board.address, traces.address = grafana.Workload(subject.Namespace, subject.Name, w), grafana.Traces(subject.Name, w)
	case subject.Namespace == "" && subject.Kind == "Node":
		board.address = grafana.Node(subject.Name, w)
	}
	return slices.DeleteFunc([]shownLink{board, traces}, func(l shownLink) bool { return l.address == "" || len(l.address) > limitURL })
}

func linkButtons(inc *v1alpha1.Incident, grafana links.Grafana) []slackgo.BlockElement {
	var all []slackgo.BlockElement
	for _, l := range shownLinks(inc, grafana) {
		all = append(all, slackgo.NewButtonBlockElement(actionPrefix+l.id, "", plain(l.label)).WithURL(l.address))
	}
	return all
}

// linkLine has the links where nobody answers to buttons: Slack expects an answer to a button that leads elsewhere too.
func linkLine(inc *v1alpha1.Incident, grafana links.Grafana) []slackgo.Block {
	line := ""
	for _, l := range shownLinks(inc, grafana) {
		link := "<" + strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(l.address) + "|" + l.label + ">  "
		if len(line)+len(link) <= limitText {
			line += link
		}
	}
	if line == "" {
		return nil
	}
	return []slackgo.Block{slackgo.NewContextBlock("", slackgo.NewTextBlockObject(slackgo.MarkdownType, line, false, false))}
}
