package slack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// Slack allows an app some 50 calls of conversations.history a minute in a workspace, for all its receivers and replicas,
// and a look-up after a lost answer needs them. So Slack is asked about a receiver that is well now and then, about one that
// is not ever less often, and never before it wants to be asked again.
const (
	// checkWell is how long at least the answer about a receiver that is well counts; up to as long again is added, so that
	// many receivers do not ask in step.
	checkWell = 5 * time.Minute
	// checkSoon is how long the first complaint counts; each further one counts twice as long, up to checkWell.
	checkSoon = 10 * time.Second
	// checkApart is the least time until Slack is asked again because a message went otherwise than it said.
	checkApart = time.Minute
)

// verdict is what the last check said, with the client and token that it was made with.
type verdict struct {
	reason, message string
	client          *http.Client
	token           string
	// until is how long it counts, and earliest when at the earliest it can end before.
	until, earliest time.Time
	// pause is how long it counts as a complaint; 0 for none.
	pause time.Duration
}

// Check looks whether the token is there and valid, whether it may post, and whether the channel's history can be read. It
// asks Slack only now and then, but at once when the token or the authorities have changed, and soon when a message went
// otherwise than the last answer has it.
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
	s.mu.Lock()
	last := s.verdict
	s.mu.Unlock()
	if last.token != api.token || last.client != api.http {
		last = verdict{client: api.http, token: api.token}
	}
	now := s.options.Now()
	if now.Before(last.until) {
		return last.reason, last.message
	}
	next := last
	reason, message, fail = s.check(ctx, api)
	if fail == nil || fail.word != "RateLimited" { // being told to wait says nothing about the receiver
		next.reason, next.message = reason, strings.ReplaceAll(message, api.token, "[token]")
	}
	next.until, next.earliest, next.pause = now.Add(checkWell+rand.N(checkWell)), now.Add(checkApart), 0
	if reason != "" || fail != nil {
		next.pause = min(max(2*last.pause, checkSoon), checkWell)
		next.until = now.Add(next.pause)
	}
	if fail != nil && fail.retryAfter > next.pause {
		next.until, next.earliest = now.Add(fail.retryAfter), now.Add(fail.retryAfter)
	}
	s.mu.Lock()
	s.verdict = next
	s.mu.Unlock()
	return next.reason, next.message
}

// compare lets Slack be asked soon if a message went otherwise than the last check has it.
func (s *Sink) compare(res notify.Result) {
	if res.Word == "RateLimited" || res.OnlyThis {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	well := s.verdict.reason == "" || s.verdict.reason == v1alpha1.ReasonHistoryUnavailable
	if arrived := res.Outcome == notify.Delivered; arrived != well && s.verdict.earliest.Before(s.verdict.until) {
		s.verdict.until = s.verdict.earliest
	}
}

// check asks Slack; fail is a call that did not succeed.
func (s *Sink) check(ctx context.Context, api *api) (reason, message string, fail *failure) {
	scopes, fail := api.scopes(ctx)
	switch {
	case fail != nil:
		reason, message = s.sort(fail)
		return reason, message, fail
	case len(scopes) > 0 && !scopes["chat:write"]:
		return v1alpha1.ReasonReceiverRefused, "The Slack app lacks the scope chat:write: add it and install the app again.", nil
	}
	channel, fail := s.resolve(ctx, api)
	if fail == nil {
		fail = api.history(ctx, channel)
	}
	switch {
	case fail == nil:
		return "", "", nil
	case fail.code == "channel_not_found" && channel != "":
		return v1alpha1.ReasonReceiverRefused, fail.detail, fail
	case fail.outcome == notify.Refused:
		return v1alpha1.ReasonHistoryUnavailable, fmt.Sprintf(
			"The history of the Slack channel can't be read, so a lost answer may lead to a second copy of a message. %s", historyAdvice(fail)), fail
	}
	reason, message = s.sort(fail)
	return reason, message, fail
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
