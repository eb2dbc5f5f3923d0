package slack_test

import (
	"context"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/slack"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// text is a message as people see it.
func text(m slacktest.Message) string { return strings.Join(slacktest.Lines(m), "\n") }

func TestAnIncidentIsOneHeadWithItsStoryInTheThread(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, "#prod")
	head := delivered(t, s, message()).Head
	if head.Channel != channel || head.ID == "" {
		t.Fatalf("head is %+v", head)
	}
	for _, msg := range []notify.Message{updated(head), resolved(head)} {
		if res := delivered(t, s, msg); res.Head != head || res.PossibleDuplicate != "" {
			t.Errorf("got %+v", res)
		}
	}
	list := w.Messages(channel)
	if len(list) != 3 {
		t.Fatalf("%d messages, want a head and two replies", len(list))
	}
	if got := text(list[0]); !strings.HasPrefix(got, "✅ Resolved: checkout answers with errors") || len(list[0].Before) != 2 {
		t.Errorf("the head is, after %d edits:\n%s", len(list[0].Before), got)
	}
	for i, want := range []string{"", "🔴 payment fails too.", "✅ All alerts ended."} {
		if i > 0 && (text(list[i]) != want || list[i].ThreadTS != head.ID) {
			t.Errorf("reply %d in %s is %q, want %q", i, list[i].ThreadTS, text(list[i]), want)
		}
	}
	for i, key := range []string{"2c4f1e9a-oncall-1", "2c4f1e9a-oncall-2", "2c4f1e9a-oncall-3"} {
		if m := list[i].Metadata; m == nil || m.EventType != "kubebot_delivery" || m.EventPayload["key"] != key {
			t.Errorf("message %d carries %+v, want the key %s", i, m, key)
		}
	}
}

func TestAContinuedIncidentGoesIntoTheThread(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	thread := delivered(t, s, message()).Head
	next := message()
	next.Key, next.Thread = "other-1", thread
	head := delivered(t, s, next).Head
	change := updated(head)
	change.Thread = thread
	delivered(t, s, change)
	list := w.Messages(channel)
	if len(list) != 3 || list[1].TS != head.ID || list[1].ThreadTS != thread.ID || list[2].ThreadTS != thread.ID {
		t.Errorf("got %+v", list)
	}
	if len(list[1].Before) != 1 || len(list[0].Before) != 0 {
		t.Error("the change is to edit the second incident's message, not the first's")
	}
}

func TestReopenedIsSeenInTheChannel(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	head := delivered(t, s, message()).Head
	msg := updated(head)
	msg.Transition, msg.Text = v1alpha1.TransitionReopened, ""
	delivered(t, s, msg)
	if reply := w.Messages(channel)[1]; !reply.Broadcast || text(reply) != "🔴 It is back." {
		t.Errorf("got %+v", reply)
	}
}

func TestWhatBecameCriticalIsSeenInTheChannel(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	msg := updated(delivered(t, s, message()).Head)
	msg.Details = []v1alpha1.TransitionDetail{v1alpha1.DetailBecameCritical}
	delivered(t, s, msg)
	if reply := w.Messages(channel)[1]; !reply.Broadcast {
		t.Errorf("got %+v", reply)
	}
}

func TestADeletedHeadIsReplaced(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	head := delivered(t, s, message()).Head
	w.Delete(channel, head.ID)
	res := delivered(t, s, resolved(head))
	list := w.Messages(channel)
	if len(list) != 1 || res.Head.ID != list[0].TS || res.Head == head || list[0].Metadata.EventPayload["key"] != "2c4f1e9a-oncall-3" {
		t.Errorf("got %+v and %+v", res, list)
	}
}

func TestAHeadThatMayNotBeEditedIsToldOfInTheThread(t *testing.T) {
	for _, code := range []string{"edit_window_closed", "cant_update_message"} {
		w := newWorkspace(t, nil)
		s := w.sink(t, channel)
		head := delivered(t, s, message()).Head
		w.fault(t, slacktest.Fault{Method: "chat.update", Kind: slacktest.KindError, Error: code})
		if res := delivered(t, s, resolved(head)); res.Head != head || !strings.Contains(res.Detail, code) {
			t.Errorf("%s: got %+v", code, res)
		}
		if list := w.Messages(channel); len(list) != 2 || list[1].ThreadTS != head.ID {
			t.Errorf("%s: got %+v", code, list)
		}
	}
}

// A message is better plain than not at all.
func TestRejectedBlocksGoOutAsText(t *testing.T) {
	for _, code := range []string{"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"} {
		w := newWorkspace(t, nil)
		w.fault(t, slacktest.Fault{Method: "chat.postMessage", Kind: slacktest.KindError, Error: code, Count: 1})
		delivered(t, w.sink(t, channel), message())
		list := w.Messages(channel)
		if len(list) != 1 || list[0].Blocks != nil || !strings.Contains(list[0].Text, "checkout answers with errors") || list[0].Metadata == nil {
			t.Errorf("%s: got %+v", code, list)
		}
	}
}

func TestWhatSlackAnswers(t *testing.T) {
	for code, want := range map[string]struct {
		outcome  notify.Outcome
		word     string
		onlyThis bool
	}{
		"invalid_auth":                        {notify.Refused, "TokenInvalid", false},
		"token_revoked":                       {notify.Refused, "TokenRevoked", false},
		"token_expired":                       {notify.Refused, "TokenExpired", false},
		"missing_scope":                       {notify.Refused, "ScopeMissing", false},
		"channel_not_found":                   {notify.Refused, "ChannelNotFound", false},
		"not_in_channel":                      {notify.Refused, "NotInChannel", false},
		"is_archived":                         {notify.Refused, "ChannelArchived", false},
		"is_inactive":                         {notify.Refused, "ChannelArchived", false},
		"restricted_action":                   {notify.Refused, "PostingRestricted", false},
		"team_access_not_granted":             {notify.Refused, "AccessDenied", false},
		"restricted_action_thread_locked":     {notify.Refused, "PostingRestricted", true},
		"message_not_found":                   {notify.Refused, "MessageGone", true},
		"msg_too_long":                        {notify.Refused, "MessageRejected", true},
		"ratelimited":                         {notify.Retry, "RateLimited", false},
		"service_unavailable":                 {notify.Retry, "SlackError", false},
		"something_that_is_new":               {notify.Retry, "SlackError", false},
		"fatal_error":                         {notify.Unknown, "ServerError", false},
		"internal_error":                      {notify.Unknown, "ServerError", false},
		"<!channel> https://evil.example.com": {notify.Unknown, "BadAnswer", false},
	} {
		w := newWorkspace(t, nil)
		w.fault(t, slacktest.Fault{Method: "chat.postMessage", Kind: slacktest.KindError, Error: code})
		res := send(t, w.sink(t, channel), message())
		if res.Outcome != want.outcome || res.Word != want.word || res.OnlyThis != want.onlyThis || res.Detail == "" || strings.Contains(res.Detail, "evil") {
			t.Errorf("%s: got %+v, want %+v", code, res, want)
		}
	}
}

func TestRealRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		channel string
		change  func(*slacktest.Options)
		word    string
	}{
		"no such channel":              {channel: "#nowhere", word: "ChannelNotFound"},
		"private and not a member":     {channel: "C0000000005", word: "ChannelNotFound"},
		"archived":                     {channel: "#archived", word: "ChannelArchived"},
		"outside without public scope": {channel: "#outside", change: withScopes("chat:write"), word: "NotInChannel"},
		"without chat:write":           {channel: "#prod", change: withScopes("channels:history"), word: "ScopeMissing"},
		"another token":                {channel: "#prod", change: func(o *slacktest.Options) { o.Tokens[0].Value = "xoxb-other" }, word: "TokenInvalid"},
		"revoked token":                {channel: "#prod", change: func(o *slacktest.Options) { o.Tokens[0].Error = "token_revoked" }, word: "TokenRevoked"},
	} {
		w := newWorkspace(t, c.change)
		if res := send(t, w.sink(t, c.channel), message()); res.Outcome != notify.Refused || res.Word != c.word || res.Detail == "" {
			t.Errorf("%s: got %+v, want %s", name, res, c.word)
		}
	}
}

func TestRateLimitIsHandedOn(t *testing.T) {
	w := newWorkspace(t, func(o *slacktest.Options) { o.Limits = &slacktest.Limits{PostsPerSecond: 0.1, PostBurst: 1} })
	s := w.sink(t, "#prod")
	delivered(t, s, message())
	res := send(t, s, message())
	if res.Outcome != notify.Retry || res.Word != "RateLimited" || res.RetryAfter < time.Second || res.RetryAfter > 10*time.Second {
		t.Errorf("got %+v", res)
	}
	if n := len(w.Messages(channel)); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

func TestTheTokenIsReadAtEachUse(t *testing.T) {
	w := newWorkspace(t, nil)
	ref := secretfile.Ref{File: filepath.Join(t.TempDir(), "token"), Secret: "slack", Key: "token"}
	s := newSink(t, slack.Options{Channel: channel, Token: ref, APIURL: w.url})
	res := send(t, s, message())
	if res.Outcome != notify.Refused || res.Word != "SecretMissing" || !strings.Contains(res.Detail, `"slack"`) || !strings.Contains(res.Detail, `"token"`) {
		t.Errorf("without the file: %+v", res)
	}
	if reason, message := s.Check(context.Background()); reason != v1alpha1.ReasonSecretMissing || !strings.Contains(message, `"slack"`) {
		t.Errorf("Check without the file gives %s: %s", reason, message)
	}
	if err := os.WriteFile(ref.File, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	delivered(t, s, message())
	if reason, message := s.Check(context.Background()); reason != "" {
		t.Errorf("Check gives %s: %s", reason, message)
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		channel string
		change  func(*slacktest.Options)
		fault   slacktest.Fault
		reason  string
		says    string
	}{
		"all well":                  {channel: channel},
		"all well, by name":         {channel: "#prod"},
		"private channel":           {channel: "C0000000004"},
		"no history scope":          {channel: channel, change: withScopes("chat:write"), reason: v1alpha1.ReasonHistoryUnavailable, says: "channels:history"},
		"no private history scope":  {channel: "C0000000004", change: withScopes("chat:write", "channels:history"), reason: v1alpha1.ReasonHistoryUnavailable, says: "groups:history"},
		"not a member":              {channel: "C0000000002", reason: v1alpha1.ReasonHistoryUnavailable, says: "/invite"},
		"by name, no channels:read": {channel: "#prod", change: withScopes("chat:write", "channels:history"), reason: v1alpha1.ReasonHistoryUnavailable, says: "channels:read"},
		"by name, not listed":       {channel: "#private", reason: v1alpha1.ReasonHistoryUnavailable, says: "channel's ID"},
		"no such channel":           {channel: "C0000000077", reason: v1alpha1.ReasonReceiverRefused, says: "slack.channel"},
		"no chat:write":             {channel: channel, change: withScopes("channels:history"), reason: v1alpha1.ReasonReceiverRefused, says: "chat:write"},
		"revoked":                   {channel: channel, change: func(o *slacktest.Options) { o.Tokens[0].Error = "token_revoked" }, reason: v1alpha1.ReasonReceiverRefused, says: `Secret "slack"`},
		"down":                      {channel: channel, fault: slacktest.Fault{Method: "*", Kind: slacktest.KindStatus, Status: 503}, reason: v1alpha1.ReasonUndelivered, says: "503"},
		"garbage":                   {channel: channel, fault: slacktest.Fault{Method: "*", Kind: slacktest.KindGarbage}, reason: v1alpha1.ReasonUndelivered, says: "slack.apiURL"},
		"told to wait":              {channel: channel, fault: slacktest.Fault{Method: "*", Kind: slacktest.KindRateLimit, RetryAfter: 30}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, c.change)
			if c.fault.Kind != "" {
				w.fault(t, c.fault)
			}
			reason, message := w.sink(t, c.channel).Check(context.Background())
			if reason != c.reason || !strings.Contains(message, c.says) || (reason == "") != (message == "") {
				t.Errorf("got %s: %s, want %s with %q", reason, message, c.reason, c.says)
			}
			if n := len(w.Messages("")); n != 0 {
				t.Errorf("Check sent %d messages", n)
			}
		})
	}
}

// A proxy that ends TLS is trusted by slack.caSecret, which works as soon as it is there.
func TestAnExtraAuthority(t *testing.T) {
	w := newWorkspace(t, nil)
	web := httptest.NewTLSServer(w.Handler())
	defer web.Close()
	ca := secretfile.Ref{File: filepath.Join(t.TempDir(), "ca.crt"), Secret: "proxy", Key: "ca.crt"}
	s := newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: web.URL + "/api/", CASecret: ca})
	if res := send(t, s, message()); res.Outcome != notify.Refused || res.Word != "SecretMissing" || !strings.Contains(res.Detail, `"proxy"`) {
		t.Errorf("without the file: %+v", res)
	}
	if err := os.WriteFile(ca.File, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if reason, message := s.Check(context.Background()); reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(message, `"proxy"`) {
		t.Errorf("with a file that holds none, Check gives %s: %s", reason, message)
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(ca.File, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	delivered(t, s, message())
	plain := newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: web.URL + "/api/"})
	if res := send(t, plain, message()); res.Outcome != notify.Refused || res.Word != "CertificateUntrusted" {
		t.Errorf("without caSecret: %+v", res)
	}
}
