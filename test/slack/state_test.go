package slacktest_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	slacktest "github.com/kubebot/kubebot/test/slack"
)

func TestRateLimits(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 20, 0, 0, time.UTC)
	s := newSetup(t, func(o *slacktest.Options) {
		o.Limits = nil
		o.Now = func() time.Time { return now }
	})
	// until calls until it is told to wait, and returns how often it succeeded and how long to wait.
	until := func(call func() error) (n int, wait time.Duration) {
		t.Helper()
		for range 1000 {
			err := call()
			var limited *slackgo.RateLimitedError
			if errors.As(err, &limited) {
				return n, limited.RetryAfter
			} else if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n, 0
	}
	post := func() error {
		_, _, err := s.slack.PostMessage("#prod", slackgo.MsgOptionText("x", false))
		return err
	}
	if n, wait := until(post); n != 5 || wait != time.Second {
		t.Errorf("%d messages at once, then wait %s; want a burst of 5, then a second", n, wait)
	}
	now = now.Add(3 * time.Second)
	if n, _ := until(post); n != 3 {
		t.Errorf("%d messages after 3 seconds, want 3", n)
	}
	if _, _, err := s.slack.PostMessage("C0000000004", slackgo.MsgOptionText("x", false)); err != nil {
		t.Errorf("another channel has its own limit: %v", err)
	}
	history := func() error {
		_, err := s.slack.GetConversationHistory(&slackgo.GetConversationHistoryParameters{ChannelID: prod})
		return err
	}
	if n, wait := until(history); n != 50 || wait != 2*time.Second {
		t.Errorf("history: %d calls, then wait %s; want tier 3", n, wait)
	}
	list := func() error {
		_, _, err := s.slack.GetConversations(&slackgo.GetConversationsParameters{})
		return err
	}
	if n, wait := until(list); n != 20 || wait != 3*time.Second {
		t.Errorf("list: %d calls, then wait %s; want tier 2", n, wait)
	}
	now = now.Add(time.Minute)
	if n, _ := until(history); n != 50 {
		t.Errorf("%d calls of history a minute later, want 50", n)
	}
}

func TestJSONBodies(t *testing.T) {
	s := newSetup(t, nil)
	body := `{"channel":"#prod","text":"x","blocks":[{"type":"section","text":{"type":"plain_text","text":"s"}}],"metadata":{"event_type":"e","event_payload":{"key":"k"}},"thread_ts":null}`
	for auth, want := range map[string]int{"Bearer " + token: 1, "": 0} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.web.URL+"/api/chat.postMessage", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		list := s.Messages(prod)
		if len(list) != want || want == 1 && (list[0].Blocks == nil || list[0].Metadata.EventPayload["key"] != "k") {
			t.Errorf("authorization %q: %+v", auth, list)
		}
		if err := s.Clear(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.jsonl")
	first := newSetup(t, func(o *slacktest.Options) { o.StateFile = file })
	head := first.post(t, "one")
	first.post(t, "reply", slackgo.MsgOptionTS(head))
	if _, _, _, err := first.slack.UpdateMessage(prod, head, slackgo.MsgOptionText("two", false)); err != nil {
		t.Fatal(err)
	}
	hook(t, first, "", "k1", `{"a":1}`, "")
	// A line that was being written when the process was killed.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"post":{"channel":"C00`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	second := newSetup(t, func(o *slacktest.Options) { o.StateFile = file })
	want := first.Messages("")
	if got := second.Messages(""); len(got) != 2 || got[0].Text != "two" || got[0].EditedTS != want[0].EditedTS || got[1].ThreadTS != head {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := second.Webhooks(); len(got) != 1 || got[0].Key != "k1" {
		t.Errorf("got %+v", got)
	}
	if ts := second.post(t, "later"); ts <= want[1].TS {
		t.Errorf("%s is not after %s", ts, want[1].TS)
	}
	third := newSetup(t, func(o *slacktest.Options) { o.StateFile = file })
	if got := third.Messages(""); len(got) != 3 {
		t.Errorf("after a torn line and one more message: %+v", got)
	}
}
