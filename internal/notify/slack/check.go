package slack

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// Check looks whether the token is there and valid, whether it may post, and whether the channel's history can be read.
func (s *Sink) Check(ctx context.Context) (reason, message string) {
	ctx, cancel := transport.WithMargin(ctx)
	defer cancel()
	api, fail := s.open()
	switch {
	case fail == nil:
	case fail.word == "SecretMissing":
		return v1alpha1.ReasonSecretMissing, fail.detail
	default:
		return v1alpha1.ReasonInvalidSpec, fail.detail
	}
	reason, message = s.check(ctx, api)
	return reason, strings.ReplaceAll(message, api.token, "[token]")
}

func (s *Sink) check(ctx context.Context, api *api) (reason, message string) {
	scopes, fail := api.scopes(ctx)
	switch {
	case fail != nil:
		return s.sort(fail)
	case len(scopes) > 0 && !scopes["chat:write"]:
		return v1alpha1.ReasonReceiverRefused, "The Slack app lacks the scope chat:write: add it and install the app again."
	}
	channel, fail := s.resolve(ctx, api)
	if fail == nil {
		fail = api.history(ctx, channel)
	}
	switch {
	case fail == nil:
		return "", ""
	case fail.code == "channel_not_found" && channel != "":
		return v1alpha1.ReasonReceiverRefused, fail.detail
	case fail.outcome == notify.Refused:
		return v1alpha1.ReasonHistoryUnavailable, fmt.Sprintf(
			"The history of the Slack channel can't be read, so a lost answer may lead to a second copy of a message. %s", historyAdvice(fail))
	}
	return s.sort(fail)
}

// historyAdvice says what to do about history that can't be read.
func historyAdvice(fail *failure) string {
	if fail.code == "not_in_channel" {
		return "Slack answered not_in_channel. Invite the app to the channel (/invite)."
	}
	return fail.detail
}

// sort makes a condition of a failure. Being told to wait says nothing about the receiver.
func (s *Sink) sort(fail *failure) (reason, message string) {
	switch {
	case fail.word == "RateLimited":
		return "", ""
	case fail.outcome == notify.Refused:
		detail := fail.detail
		if strings.HasPrefix(fail.word, "Token") {
			detail += fmt.Sprintf(" It is read from key %q of Secret %q.", s.options.Token.Key, s.options.Token.Secret)
		}
		return v1alpha1.ReasonReceiverRefused, detail
	}
	return v1alpha1.ReasonUndelivered, "Slack does not answer as it should. " + fail.detail
}

// scopes returns the scopes of the token, as the answer's header X-OAuth-Scopes names them; none if it has no such
// header.
func (a *api) scopes(ctx context.Context) (map[string]bool, *failure) {
	var header http.Header
	fail := do(ctx, func(ctx context.Context) error {
		resp, err := a.client.AuthTestContext(ctx)
		if err == nil && resp.UserID != "" {
			header = resp.Header
		}
		return err
	})
	if fail != nil {
		return nil, fail
	}
	if header == nil {
		return nil, garbage()
	}
	scopes := map[string]bool{}
	for scope := range strings.SplitSeq(header.Get("X-OAuth-Scopes"), ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			scopes[scope] = true
		}
	}
	return scopes, nil
}

// history looks whether the channel's history can be read.
func (a *api) history(ctx context.Context, channel string) *failure {
	var resp *slackgo.GetConversationHistoryResponse
	fail := do(ctx, func(ctx context.Context) (err error) {
		resp, err = a.client.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{ChannelID: channel, Limit: 1})
		return err
	})
	if fail == nil && !resp.Ok {
		fail = garbage()
	}
	return fail
}
