package slack_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/slack"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// TestSlackIsAskedSeldom checks every ten seconds for an hour, as the responder does.
func TestSlackIsAskedSeldom(t *testing.T) {
	const method = "conversations.history"
	for name, c := range map[string]struct {
		channel      string
		change       func(*slacktest.Options)
		fault        slacktest.Fault
		reason       string
		fewest, most int
	}{
		"all well":                {channel: channel, fewest: 6, most: 12},
		"all well, by name":       {channel: "#prod", fewest: 6, most: 12},
		"no history scope":        {channel: channel, change: withScopes("chat:write"), reason: v1alpha1.ReasonHistoryUnavailable, fewest: 12, most: 20},
		"a name nobody knows":     {channel: "#nowhere", reason: v1alpha1.ReasonHistoryUnavailable, fewest: 12, most: 20},
		"a revoked token":         {channel: channel, change: func(o *slacktest.Options) { o.Tokens[0].Error = "token_revoked" }, reason: v1alpha1.ReasonReceiverRefused, fewest: 12, most: 20},
		"Slack is out of order":   {channel: channel, fault: slacktest.Fault{Kind: slacktest.KindStatus, Status: 503}, reason: v1alpha1.ReasonUndelivered, fewest: 12, most: 20},
		"told to wait":            {channel: channel, fault: slacktest.Fault{Kind: slacktest.KindRateLimit, RetryAfter: 1}, fewest: 12, most: 20},
		"told to wait 20 minutes": {channel: channel, fault: slacktest.Fault{Kind: slacktest.KindRateLimit, RetryAfter: 1200}, fewest: 3, most: 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, c.change)
			if c.fault.Kind != "" {
				c.fault.Method = method
				w.fault(t, c.fault)
			}
			now := time.Now()
			s := newSink(t, slack.Options{Channel: c.channel, Token: secret(t, token), APIURL: w.url, Now: func() time.Time { return now }})
			for range 360 {
				if reason, message := s.Check(context.Background()); reason != c.reason {
					t.Fatalf("got %s: %s, want %s", reason, message, c.reason)
				}
				now = now.Add(10 * time.Second)
			}
			if n := asked(w, "auth.test"); n < c.fewest || n > c.most {
				t.Errorf("asked %d times, want %d to %d", n, c.fewest, c.most)
			}
			if n := asked(w, method); n > c.most {
				t.Errorf("the history was read %d times, want at most %d", n, c.most)
			}
		})
	}
}

// asked is how often a method was called.
func asked(w workspace, method string) int {
	n := 0
	for _, c := range w.Calls() {
		if c.Method == method {
			n++
		}
	}
	return n
}

func TestWhatChangesIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		// before and after are whether the token is good; send sends in between, and wait is how long until it is noticed.
		before, after string
		send, rotate  bool
		wait          time.Duration
	}{
		"a new token, at once":                    {before: "token_revoked", rotate: true, wait: 0},
		"a message that is refused, soon":         {after: "token_revoked", send: true, wait: time.Minute},
		"a message that arrives after all, soon":  {before: "account_inactive", send: true, wait: time.Minute},
		"what nobody notices, after some minutes": {after: "token_revoked", wait: 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, func(o *slacktest.Options) { o.Tokens[0].Error = c.before })
			now, ref := time.Now(), secret(t, token)
			s := newSink(t, slack.Options{Channel: channel, Token: ref, APIURL: w.url, Now: func() time.Time { return now }})
			bad := func() bool { reason, _ := s.Check(context.Background()); return reason != "" }
			for range 60 { // until a complaint counts as long as it can
				if bad() != (c.before != "") {
					t.Fatal("the first answer is wrong")
				}
				now = now.Add(10 * time.Second)
			}
			w.SetToken(slacktest.Token{Value: token, Scopes: allScopes, Error: c.after})
			if c.rotate {
				w.SetToken(slacktest.Token{Value: "xoxb-new", Scopes: allScopes})
				if err := os.WriteFile(ref.File, []byte("xoxb-new"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.send {
				send(t, s, message())
			}
			began := now
			for bad() != (c.after != "") {
				if now = now.Add(10 * time.Second); now.Sub(began) > c.wait {
					t.Fatal(fmt.Sprint("not noticed after ", now.Sub(began)))
				}
			}
		})
	}
}
