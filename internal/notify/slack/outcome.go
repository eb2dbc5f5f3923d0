package slack

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// failure is why a call of the Web API did not succeed.
type failure struct {
	outcome      notify.Outcome
	word, detail string
	retryAfter   time.Duration
	// onlyThis: what was refused is this message.
	onlyThis bool
	// code is Slack's own word for the error, if it answered with one.
	code string
}

func (f *failure) result() notify.Result {
	return notify.Result{Outcome: f.outcome, Word: f.word, Detail: f.detail, RetryAfter: f.retryAfter, OnlyThis: f.onlyThis}
}

// ofChannel tells whether the channel takes nothing, whatever it is.
func (f *failure) ofChannel() bool {
	switch f.word {
	case "ChannelNotFound", "NotInChannel", "ChannelArchived", "PostingRestricted":
		return !f.onlyThis
	}
	return false
}

// meaning is what an error code of Slack says about the attempt.
type meaning struct {
	outcome notify.Outcome
	word    string
	advice  string
}

const (
	adviceToken   = "Put the bot token (xoxb-…) of the installed app into the Secret."
	adviceAccess  = "A workspace administrator must allow the app to post."
	adviceChannel = "Check slack.channel; a private channel needs its ID, and the app as a member (/invite)."
)

// meanings are the documented errors of chat.postMessage, chat.update, conversations.history, conversations.replies and
// auth.test (https://docs.slack.dev/reference/methods) that say more than "try again". Any other is tried again.
var meanings = map[string]meaning{
	"not_authed":       {notify.Refused, "TokenInvalid", adviceToken},
	"invalid_auth":     {notify.Refused, "TokenInvalid", adviceToken},
	"account_inactive": {notify.Refused, "TokenRevoked", "The app was removed from the workspace or the token revoked: install it again. " + adviceToken},
	"token_revoked":    {notify.Refused, "TokenRevoked", "The token was revoked: install the app again. " + adviceToken},
	"token_expired":    {notify.Refused, "TokenExpired", "The token has expired: use a token that does not rotate. " + adviceToken},
	"not_allowed_token_type": {notify.Refused, "TokenInvalid",
		"This kind of token can't be used. " + adviceToken},
	"missing_scope":            {notify.Refused, "ScopeMissing", "Add the scope to the app and install it again."},
	"no_permission":            {notify.Refused, "AccessDenied", adviceAccess},
	"access_denied":            {notify.Refused, "AccessDenied", adviceAccess},
	"accesslimited":            {notify.Refused, "AccessDenied", adviceAccess},
	"ekm_access_denied":        {notify.Refused, "AccessDenied", adviceAccess},
	"enterprise_is_restricted": {notify.Refused, "AccessDenied", adviceAccess},
	"org_login_required":       {notify.Refused, "AccessDenied", adviceAccess},
	"team_access_not_granted":  {notify.Refused, "AccessDenied", adviceAccess},
	"team_not_found":           {notify.Refused, "AccessDenied", adviceAccess},
	"two_factor_setup_required": {notify.Refused, "AccessDenied",
		adviceAccess},

	"channel_not_found": {notify.Refused, "ChannelNotFound", adviceChannel},
	"not_in_channel":    {notify.Refused, "NotInChannel", "Invite the app to the channel (/invite), or give it the scope chat:write.public."},
	"is_archived":       {notify.Refused, "ChannelArchived", "Unarchive the channel or name another in slack.channel."},
	// It is what chat.update answers for a channel that was archived, deleted or frozen.
	"is_inactive":       {notify.Refused, "ChannelArchived", "Unarchive the channel or name another in slack.channel."},
	"restricted_action": {notify.Refused, "PostingRestricted", adviceAccess},
	"restricted_action_read_only_channel": {notify.Refused, "PostingRestricted",
		"The channel is read-only: allow the app to post there or name another."},
	"restricted_action_non_threadable_channel": {notify.Refused, "PostingRestricted", "The channel allows no threads: name another."},
	"restricted_action_thread_only_channel":    {notify.Refused, "PostingRestricted", "The channel allows threads only: name another."},
	"restricted_action_thread_locked":          {notify.Refused, "PostingRestricted", "The thread is locked: unlock it."},
	"method_not_supported_for_channel_type":    {notify.Refused, "ChannelNotFound", adviceChannel},

	"message_not_found":   {notify.Refused, "MessageGone", "The message was deleted."},
	"thread_not_found":    {notify.Refused, "MessageGone", "The message was deleted."},
	"cant_update_message": {notify.Refused, "EditRefused", "The message is of another app, so it can't be edited."},
	"edit_window_closed":  {notify.Refused, "EditRefused", "The workspace's settings forbid edits of old messages."},

	"invalid_blocks":                 {notify.Refused, "MessageRejected", ""},
	"invalid_blocks_format":          {notify.Refused, "MessageRejected", ""},
	"msg_blocks_too_long":            {notify.Refused, "MessageRejected", ""},
	"msg_too_long":                   {notify.Refused, "MessageRejected", ""},
	"no_text":                        {notify.Refused, "MessageRejected", ""},
	"invalid_metadata_format":        {notify.Refused, "MessageRejected", ""},
	"invalid_metadata_schema":        {notify.Refused, "MessageRejected", ""},
	"metadata_too_large":             {notify.Refused, "MessageRejected", ""},
	"metadata_must_be_sent_from_app": {notify.Refused, "MessageRejected", adviceToken},
	"invalid_arguments":              {notify.Refused, "MessageRejected", ""},
	"invalid_form_data":              {notify.Refused, "MessageRejected", ""},
	"unknown_method":                 {notify.Refused, "WrongURL", "Check slack.apiURL."},

	"ratelimited":            {notify.Retry, "RateLimited", ""},
	"rate_limited":           {notify.Retry, "RateLimited", ""},
	"message_limit_exceeded": {notify.Retry, "RateLimited", "The workspace has reached its limit of messages."},
	// "It's possible some aspect of the operation succeeded before the error was raised."
	"fatal_error":    {notify.Unknown, "ServerError", ""},
	"internal_error": {notify.Unknown, "ServerError", ""},
}

// shape says of which message format errors a plain text may still get through.
var rejectedFormat = map[string]bool{"invalid_blocks": true, "invalid_blocks_format": true, "msg_blocks_too_long": true}

// ofThisMessage are the errors that come of what is in a message, or of the message or thread that it is about: others may
// be taken.
var ofThisMessage = map[string]bool{
	"message_not_found": true, "thread_not_found": true, "cant_update_message": true, "edit_window_closed": true,
	"restricted_action_non_threadable_channel": true, "restricted_action_thread_locked": true,
	"invalid_blocks": true, "invalid_blocks_format": true, "msg_blocks_too_long": true, "msg_too_long": true, "no_text": true,
	"invalid_metadata_format": true, "invalid_metadata_schema": true, "metadata_too_large": true,
	"invalid_arguments": true, "invalid_form_data": true,
}

// codePattern is what Slack's error codes and scopes look like. Anything else in their place is not repeated.
var (
	codePattern  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	scopePattern = regexp.MustCompile(`^[a-z:._, -]{1,200}$`)
)

// explain sorts the error of a call that answered with the given status; 0 when there was no answer.
func explain(err error, call *call) *failure {
	var answered slackgo.SlackErrorResponse
	switch {
	case call.status == http.StatusTooManyRequests:
		return &failure{outcome: notify.Retry, word: "RateLimited", retryAfter: call.retryAfter, code: "ratelimited",
			detail: "Slack asked to send less often."}
	case call.status >= http.StatusInternalServerError:
		return &failure{outcome: notify.Unknown, word: "ServerError", retryAfter: call.retryAfter,
			detail: fmt.Sprintf("Slack answered with HTTP status %d.", call.status)}
	case call.status == http.StatusRequestTimeout:
		return &failure{outcome: notify.Retry, word: "Timeout", detail: "Slack did not get the whole request in time (HTTP status 408)."}
	case call.status >= http.StatusMultipleChoices:
		return &failure{outcome: notify.Refused, word: "WrongURL",
			detail: fmt.Sprintf("HTTP status %d is no answer of Slack: check slack.apiURL and the proxy.", call.status)}
	case errors.As(err, &answered):
		return fromCode(answered)
	case call.status != 0 && !call.broken(err):
		return garbage()
	}
	why := transport.Explain(err)
	out := &failure{outcome: notify.Retry, word: why.Word, detail: why.Detail}
	switch {
	case why.NeedsPerson:
		out.outcome = notify.Refused
	case call.watch.MayHaveArrived():
		out.outcome = notify.Unknown
	}
	return out
}

// garbage is an answer that can't be understood.
func garbage() *failure {
	return &failure{outcome: notify.Unknown, word: "BadAnswer", detail: "The answer was not one of Slack's: check slack.apiURL and the proxy."}
}

// fromCode sorts an error that Slack answered with.
func fromCode(answer slackgo.SlackErrorResponse) *failure {
	code := answer.Err
	if !codePattern.MatchString(code) {
		return garbage()
	}
	m, known := meanings[code]
	if !known {
		m = meaning{outcome: notify.Retry, word: "SlackError"}
	}
	detail := fmt.Sprintf("Slack answered %s.", code)
	if code == "missing_scope" && scopePattern.MatchString(answer.Needed) {
		detail = fmt.Sprintf("Slack answered %s: the app lacks the scope %s.", code, answer.Needed)
	}
	if m.advice != "" {
		detail += " " + m.advice
	}
	return &failure{outcome: m.outcome, word: m.word, detail: detail, code: code, onlyThis: ofThisMessage[code]}
}
