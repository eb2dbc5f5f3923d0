package slacktest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	slacktest "github.com/kubebot/kubebot/test/slack"
)

// control makes a call of the control and returns status and body.
func control(t *testing.T, s setup, method, path string, body any) (int, string) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.admin.URL+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

func TestFaults(t *testing.T) {
	limited := func(err error) bool {
		var l *slackgo.RateLimitedError
		return errors.As(err, &l) && l.RetryAfter == 9*time.Second
	}
	status := func(code int) func(error) bool {
		return func(err error) bool {
			var s slackgo.StatusCodeError
			return errors.As(err, &s) && s.Code == code
		}
	}
	failed := func(err error) bool { return err != nil }
	for name, c := range map[string]struct {
		fault slacktest.Fault
		right func(error) bool
	}{
		"500":             {slacktest.Fault{Kind: slacktest.KindStatus, Status: 500}, status(500)},
		"429":             {slacktest.Fault{Kind: slacktest.KindRateLimit, RetryAfter: 9}, limited},
		"503 with a wait": {slacktest.Fault{Kind: slacktest.KindStatus, Status: 503, RetryAfter: 9}, status(503)},
		"error":           {slacktest.Fault{Kind: slacktest.KindError, Error: "fatal_error"}, func(err error) bool { return code(err) == "fatal_error" }},
		"garbage":         {slacktest.Fault{Kind: slacktest.KindGarbage}, failed},
		"empty":           {slacktest.Fault{Kind: slacktest.KindEmpty}, failed},
		"truncated":       {slacktest.Fault{Kind: slacktest.KindTruncated}, failed},
		"hang":            {slacktest.Fault{Kind: slacktest.KindHang}, failed},
		"reset":           {slacktest.Fault{Kind: slacktest.KindReset}, failed},
		"delay":           {slacktest.Fault{Kind: slacktest.KindDelay, Milliseconds: 1}, func(err error) bool { return err == nil }},
	} {
		for _, accept := range []bool{false, true} {
			s := newSetup(t, nil)
			c.fault.Method, c.fault.Accept, c.fault.Count = "chat.postMessage", accept, 1
			if got, body := control(t, s, http.MethodPost, "/faults", c.fault); got != http.StatusCreated {
				t.Fatalf("%d %s", got, body)
			}
			if _, err := s.slack.AuthTest(); err != nil {
				t.Errorf("%s hits another method: %v", name, err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			_, _, err := s.slack.PostMessageContext(ctx, prod, slackgo.MsgOptionText("x", false))
			cancel()
			if !c.right(err) {
				t.Errorf("%s, accept %t: %v", name, accept, err)
			}
			want := 0
			if accept || c.fault.Kind == slacktest.KindDelay {
				want = 1
			}
			if n := len(s.Messages(prod)); n != want {
				t.Errorf("%s, accept %t: %d messages, want %d", name, accept, n, want)
			}
			if calls := s.Calls(); calls[len(calls)-1].Fault != c.fault.Kind || calls[len(calls)-1].Accepted != (want == 1) {
				t.Errorf("%s, accept %t: recorded as %+v", name, accept, calls[len(calls)-1])
			}
			s.post(t, "the fault was for one call")
		}
	}
}

func TestFaultsAreSwitchedOff(t *testing.T) {
	s := newSetup(t, nil)
	for range 3 {
		control(t, s, http.MethodPost, "/faults", slacktest.Fault{Method: "*", Kind: slacktest.KindStatus, Status: 500})
	}
	control(t, s, http.MethodDelete, "/faults/2", nil)
	_, body := control(t, s, http.MethodGet, "/faults", nil)
	if !strings.Contains(body, `"id":1`) || strings.Contains(body, `"id":2`) || !strings.Contains(body, `"id":3`) {
		t.Errorf("got %s", body)
	}
	if _, err := s.slack.AuthTest(); err == nil {
		t.Error("the others still hold")
	}
	control(t, s, http.MethodDelete, "/faults", nil)
	if _, err := s.slack.AuthTest(); err != nil {
		t.Error(err)
	}
}

func TestSomeCallsFail(t *testing.T) {
	s := newSetup(t, func(o *slacktest.Options) { o.Seed = 7 })
	if _, err := s.AddFault(slacktest.Fault{Method: "*", Kind: slacktest.KindStatus, Status: 500, Percent: 30}); err != nil {
		t.Fatal(err)
	}
	bad := 0
	for range 200 {
		if _, err := s.slack.AuthTest(); err != nil {
			bad++
		}
	}
	if bad < 40 || bad > 80 {
		t.Errorf("%d of 200 failed, want some 60", bad)
	}
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	s := newSetup(t, nil)
	for _, f := range []slacktest.Fault{
		{}, {Method: "*"}, {Method: "*", Kind: "sulk"}, {Method: "*", Kind: slacktest.KindStatus}, {Method: "*", Kind: slacktest.KindError},
		{Kind: slacktest.KindReset}, {Method: "*", Kind: slacktest.KindReset, Percent: 101}, {Method: "*", Kind: slacktest.KindReset, Count: -1},
	} {
		if status, body := control(t, s, http.MethodPost, "/faults", f); status != http.StatusBadRequest || body == "" {
			t.Errorf("%+v: %d %s", f, status, body)
		}
	}
}

func TestControl(t *testing.T) {
	s := newSetup(t, nil)
	head := s.post(t, "head &lt;x&gt;", slackgo.MsgOptionBlocks(header("It &amp; that"), section("why")))
	s.post(t, "reply", slackgo.MsgOptionTS(head))
	if status, _ := control(t, s, http.MethodGet, "/healthz", nil); status != http.StatusOK {
		t.Errorf("healthz gives %d", status)
	}
	if _, view := control(t, s, http.MethodGet, "/view", nil); !strings.Contains(view, "It & that\n    why") || !strings.Contains(view, "↳ ") || !strings.HasPrefix(view, "#prod\n") {
		t.Errorf("the view is\n%s", view)
	}
	if _, body := control(t, s, http.MethodGet, "/messages?channel="+prod, nil); !strings.Contains(body, head) || strings.Contains(body, token) {
		t.Errorf("messages are %s", body)
	}
	if status, _ := control(t, s, http.MethodPut, "/channels", slacktest.Channel{ID: prod, Name: "prod", Archived: true}); status != http.StatusNoContent {
		t.Errorf("channels gives %d", status)
	}
	if _, _, err := s.slack.PostMessage(prod, slackgo.MsgOptionText("x", false)); code(err) != "is_archived" {
		t.Errorf("got %v", err)
	}
	if status, _ := control(t, s, http.MethodPut, "/tokens", slacktest.Token{Value: token, Scopes: []string{"channels:history"}}); status != http.StatusNoContent {
		t.Errorf("tokens gives %d", status)
	}
	if _, _, err := s.slack.PostMessage(prod, slackgo.MsgOptionText("x", false)); code(err) != "missing_scope" {
		t.Errorf("got %v", err)
	}
	if status, _ := control(t, s, http.MethodPut, "/tokens", slacktest.Token{}); status != http.StatusBadRequest {
		t.Errorf("a token without a value gives %d", status)
	}
	control(t, s, http.MethodDelete, "/messages", nil)
	if n := len(s.Messages("")); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// hook posts to the recorder and returns the status.
func hook(t *testing.T, s setup, name, key, body, signature string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.web.URL+"/webhook"+name, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", key)
	if signature != "" {
		stamp, value, _ := strings.Cut(signature, " ")
		req.Header.Set("X-Kubebot-Timestamp", stamp)
		req.Header.Set("X-Kubebot-Signature", value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// signed is timestamp and signature of a body.
func signed(key, body string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = fmt.Fprintf(mac, "v1:%d:%s", at.Unix(), body)
	return fmt.Sprintf("%d v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

func TestWebhooksAreRecorded(t *testing.T) {
	s := newSetup(t, func(o *slacktest.Options) { o.SigningKey = "k" })
	now := time.Now()
	for name, c := range map[string]struct {
		signature string
		want      int
	}{
		"good":     {signed("k", "{}", now), http.StatusNoContent},
		"missing":  {"", http.StatusUnauthorized},
		"other":    {signed("other", "{}", now), http.StatusUnauthorized},
		"replayed": {signed("k", "{}", now.Add(-time.Hour)), http.StatusUnauthorized},
		"changed":  {signed("k", "{} ", now), http.StatusUnauthorized},
	} {
		if got := hook(t, s, "/pager", "key-"+name, "{}", c.signature); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	hook(t, s, "/pager", "key-good", "{}", signed("k", "{}", now))
	hook(t, s, "/pager", "key-good", "[]", signed("k", "[]", now))
	hook(t, s, "/other", "key-good", "{}", signed("k", "{}", now))
	got := s.Webhooks()
	if len(got) != 4 || got[0].Repeat || !got[1].Repeat || !got[1].SameBody || !got[2].Repeat || got[2].SameBody || got[3].Repeat || got[3].Name != "other" {
		t.Errorf("got %+v", got)
	}
	if _, err := s.AddFault(slacktest.Fault{Method: "webhook", Kind: slacktest.KindStatus, Status: 503, Accept: true, Count: 1}); err != nil {
		t.Fatal(err)
	}
	if status := hook(t, s, "", "key-lost", "{}", signed("k", "{}", now)); status != http.StatusServiceUnavailable || len(s.Webhooks()) != 5 {
		t.Errorf("accepted and answered 503: %d, %d recorded", status, len(s.Webhooks()))
	}
}
