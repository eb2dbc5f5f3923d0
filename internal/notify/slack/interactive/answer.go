package interactive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/slack"
)

// Bounds of an answer in characters: one section of text, and of these as many as are worth reading.
const (
	maxSection  = 2900
	maxSections = 3
)

// tell says something to the person alone: by the interaction's own address, which needs no scope and no membership,
// else by the Web API.
func (h *Handler) tell(ctx context.Context, app *App, p pressed, r *Receiver, text string, buttons []slackgo.BlockElement) {
	block, plain := slack.Plain(text, maxSection)
	blocks := []slackgo.Block{slackgo.NewSectionBlock(block, nil, nil)}
	if len(buttons) > 0 {
		blocks = append(blocks, slackgo.NewActionBlock("kubebot_others", buttons...))
	}
	err := app.respond(ctx, p.responseURL, &slackgo.WebhookMessage{
		Text: plain, Blocks: &slackgo.Blocks{BlockSet: blocks}, ResponseType: slackgo.ResponseTypeEphemeral,
	})
	if err == nil {
		return
	}
	if r == nil && len(app.Receivers) > 0 {
		r = app.Receivers[0]
	}
	if err := errors.Join(err, app.whisper(ctx, r, p, "", plain, blocks)); err != nil {
		h.Log.Info("Person was not answered", "user", p.who.id, "reason", app.redact(err))
	}
}

// respond answers by the address that came with the press. It must be one of Slack's: that of the Web API's host, or
// the hooks beside it.
func (a *App) respond(ctx context.Context, address string, msg *slackgo.WebhookMessage) error {
	if !a.own(address) {
		return errors.New("the press came with no address of Slack's to answer to")
	}
	client, err := a.http()
	if err != nil {
		return err
	}
	return slackgo.PostWebhookCustomHTTPContext(ctx, address, client, msg)
}

// own tells whether an address is of the Slack that the app is of: slack.com answers at hooks.slack.com.
func (a *App) own(address string) bool {
	to, err := url.Parse(address)
	api, err2 := url.Parse(a.APIURL)
	if err != nil || err2 != nil || to.Scheme != api.Scheme || to.Host == "" {
		return false
	}
	return to.Host == api.Host || to.Host == "hooks."+strings.TrimPrefix(api.Host, "api.")
}

// whisper sends a message that the person alone sees.
func (a *App) whisper(ctx context.Context, r *Receiver, p pressed, thread, text string, blocks []slackgo.Block) error {
	if r == nil {
		return errors.New("no receiver's token to answer with")
	}
	web, err := a.web(r)
	if err != nil {
		return err
	}
	options := []slackgo.MsgOption{slackgo.MsgOptionText(text, false), slackgo.MsgOptionBlocks(blocks...)}
	if thread != "" {
		options = append(options, slackgo.MsgOptionTS(thread))
	}
	if _, err := web.PostEphemeralContext(ctx, p.channel, p.who.id, options...); err != nil {
		return fmt.Errorf("send a message to the person alone: %w", err)
	}
	return nil
}

// redact drops addresses from an error: those to answer to are secrets.
func (a *App) redact(err error) string {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err.Error()
	}
	return err.Error()
}

// show tells the person more, in the incident's thread.
func (h *Handler) show(ctx context.Context, app *App, r *Receiver, p pressed, inc *v1alpha1.Incident) {
	text := summary(inc)
	if h.Details != nil {
		if more := h.Details(ctx, inc); more != "" {
			text += "\n\n" + more
		}
	}
	var blocks []slackgo.Block
	for _, part := range split(text, maxSection, maxSections) {
		block, _ := slack.Plain(part, maxSection)
		blocks = append(blocks, slackgo.NewSectionBlock(block, nil, nil))
	}
	_, plain := slack.Plain(text, maxSection)
	if err := app.whisper(ctx, r, p, p.thread, plain, blocks); err != nil {
		h.Log.Info("Details were not shown in the thread", "user", p.who.id, "reason", app.redact(err))
		h.tell(ctx, app, p, r, text, nil)
	}
}

// summary is what the Incident itself holds: the alerts and the evidence.
func summary(inc *v1alpha1.Incident) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Incident %s: %s", inc.Name, inc.Status.Title)
	for i, c := range inc.Status.Causes {
		fmt.Fprintf(&b, "\n\nCause %d (%d %%): %s", i+1, c.ScorePercent, c.Sentence)
		for _, e := range c.Evidence {
			fmt.Fprintf(&b, "\n• %s", e.Text)
		}
	}
	const most = 5
	for i, a := range inc.Status.Alerts {
		if i == most {
			fmt.Fprintf(&b, "\n\n… and %d more alerts", len(inc.Status.Alerts)-most)
			break
		}
		fmt.Fprintf(&b, "\n\nAlert %s (%s, %s): %s", a.Name, a.Severity, a.State, a.Summary)
		if a.Description != "" {
			fmt.Fprintf(&b, "\n%s", a.Description)
		}
	}
	return b.String()
}

// split cuts a text between lines into at most most parts of at most size bytes.
func split(text string, size, most int) []string {
	var parts []string
	for text != "" && len(parts) < most {
		if len(text) <= size {
			return append(parts, text)
		}
		at := strings.LastIndexByte(text[:size], '\n')
		if at <= 0 {
			at = size
			for at > 0 && text[at]&0xC0 == 0x80 {
				at--
			}
		}
		parts, text = append(parts, text[:at]), strings.TrimLeft(text[at:], "\n")
	}
	return parts
}
