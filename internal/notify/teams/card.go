package teams

import (
	"fmt"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/summary"
)

// The form of a card: https://adaptivecards.io/explorer/ at version 1.4, which the desktop and mobile clients of Teams
// show. Text is in TextRuns, which have no Markdown, and a mention needs an entity, of which there are none.
type (
	envelope struct {
		Type        string       `json:"type"`
		Attachments []attachment `json:"attachments"`
	}
	attachment struct {
		ContentType string `json:"contentType"`
		Content     card   `json:"content"`
	}
	card struct {
		Schema  string    `json:"$schema"`
		Type    string    `json:"type"`
		Version string    `json:"version"`
		MSTeams msTeams   `json:"msteams"`
		Body    []element `json:"body"`
		// FallbackText is shown by clients that know no such card.
		FallbackText string `json:"fallbackText"`
	}
	msTeams struct {
		Width string `json:"width"`
	}
	element struct {
		Type      string `json:"type"`
		Inlines   []run  `json:"inlines"`
		Spacing   string `json:"spacing,omitempty"`
		Separator bool   `json:"separator,omitempty"`
	}
	run struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		Size     string `json:"size,omitempty"`
		Weight   string `json:"weight,omitempty"`
		Color    string `json:"color,omitempty"`
		FontType string `json:"fontType,omitempty"`
		IsSubtle bool   `json:"isSubtle,omitempty"`
	}
)

// maxText bounds each text but facts and commands, which the summary bounds. Teams takes messages of some 28 KB
// (https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages); a card has at most 28 texts.
const maxText = 300

func block(spacing string, runs ...run) element {
	return element{Type: "RichTextBlock", Inlines: runs, Spacing: spacing}
}

// text is a run of data. Teams turns {{DATE(...)}} and {{TIME(...)}} into other text even where no Markdown is, so braces
// do not stay together.
func text(data string) run { return whole(summary.Line(data, maxText)) }

// whole is a run of what the summary made safe to show and bounded.
func whole(data string) run { return run{Type: "TextRun", Text: apart(data)} }

func apart(data string) string {
	out := make([]rune, 0, len(data))
	for i, r := range data {
		if r == '{' && i > 0 && data[i-1] == '{' {
			out = append(out, ' ')
		}
		out = append(out, r)
	}
	return string(out)
}

// message is a summary as Teams shows it.
func message(s summary.Summary) envelope {
	head := text(s.Headline(maxText))
	head.Size, head.Weight, head.Color = "Large", "Bolder", color(s)
	body := []element{block("", head)}
	if s.Text != "" {
		body = append(body, block("Small", text(s.Text)))
	}
	for _, f := range s.Facts() {
		name := text(f.Name + ": ")
		name.Text += " "
		name.Weight = "Bolder"
		body = append(body, block("Small", name, whole(f.Value)))
	}
	for _, c := range s.Commands {
		body = append(body, block("Small", command(c)))
	}
	for i, a := range s.Alerts {
		e := block("Small", text(a))
		e.Separator = i == 0
		body = append(body, e)
	}
	if s.More > 0 {
		body = append(body, block("Small", text(fmt.Sprintf("and %d more", s.More))))
	}
	body = append(body, block("Medium", command(s.Show)))
	return envelope{Type: "message", Attachments: []attachment{{
		ContentType: "application/vnd.microsoft.card.adaptive",
		Content: card{
			Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
			MSTeams: msTeams{Width: "Full"}, Body: body, FallbackText: apart(s.Headline(maxText)),
		},
	}}}
}

func command(line string) run {
	r := whole(line)
	r.FontType, r.IsSubtle = "Monospace", true
	return r
}

func color(s summary.Summary) string {
	switch {
	case s.Over:
		return "Good"
	case s.Severity == v1alpha1.SeverityCritical:
		return "Attention"
	case s.Severity == v1alpha1.SeverityWarning:
		return "Warning"
	}
	return "Default"
}
