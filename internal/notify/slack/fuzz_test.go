package slack_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/slack"
)

// canned answers every call alike, without a network.
type canned struct {
	status     int
	body       string
	retryAfter string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	h := http.Header{"Content-Type": {"application/json"}, "Retry-After": {c.retryAfter}, "X-Oauth-Scopes": {c.retryAfter}}
	return &http.Response{StatusCode: c.status, Status: "x", Header: h, Body: io.NopCloser(strings.NewReader(c.body)), Request: r}, nil
}

// FuzzAnswers checks that whatever a server answers, an outcome comes back that fits an Incident, with no secret in it,
// and that nothing but a well-formed answer counts as delivered.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"ok":true,"channel":"C0000000001","ts":"1795231200.000100","message":{"text":"x"}}`, `{"ok":true}`, `{}`, `{"ok":false}`,
		`{"ok":false,"error":"ratelimited"}`, `{"ok":false,"error":"missing_scope","needed":"a:b","provided":"c"}`, `[]`, `null`, `"ok"`, ``,
		`{"ok":true,"messages":[{"ts":"1795231200.000100","metadata":{"event_type":"kubebot_delivery","event_payload":{"key":"2c4f1e9a-oncall-1"}}}],"has_more":true,"response_metadata":{"next_cursor":"bmV4dA=="}}`,
		`{"ok":true,"messages":[{"ts":1,"blocks":[{"type":"rich_text","elements":[{"type":"nonsense"}]}]}]}`,
		`{"ok":true,"channels":[{"id":"C0000000001","name":"prod"}],"user_id":"U1"}`, `{"ok":false,"error":"` + token + `"}`,
		`{"ok":true,"ts":"<!channel>","channel":"C0000000001"}`, `{"ok":true,"blocks":[{"type":null}]}`, `{"ok":false,"errors":[{"pointer":1}]}`,
	} {
		f.Add(200, seed, "1")
	}
	f.Add(429, "", "99999999999")
	f.Add(503, "<html>", "Wed, 21 Oct 2065 07:28:00 GMT")
	f.Fuzz(func(t *testing.T, status int, body, retryAfter string) {
		status = 200 + (status%400+400)%400
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		client := &http.Client{Transport: canned{status: status, body: body, retryAfter: retryAfter}}
		head := notify.Ref{Channel: channel, ID: "1795231200.000100"}
		for _, name := range []string{channel, "#prod"} {
			s := newSink(t, slack.Options{Channel: name, Token: secret(t, token), APIURL: "http://slack.invalid/api/", HTTPClient: client})
			for _, msg := range []notify.Message{message(), again(message()), updated(head), again(updated(head))} {
				res := s.Send(ctx, msg)
				switch res.Outcome {
				case notify.Delivered:
					if status != 200 || !strings.Contains(body, "ok") || res.Head.Channel != channel && !strings.Contains(body, res.Head.Channel) {
						t.Errorf("%d %q counts as delivered: %+v", status, body, res)
					}
				case notify.Retry, notify.Unknown, notify.Refused:
				default:
					t.Errorf("outcome %q", res.Outcome)
				}
				if res.RetryAfter < 0 || res.RetryAfter > time.Hour || len(res.Word) > 63 || len([]rune(res.Detail)) > 512 || len([]rune(res.PossibleDuplicate)) > 256 || len(res.Head.ID) > 64 || len(res.Head.Channel) > 64 {
					t.Errorf("the result does not fit an Incident: %+v", res)
				}
				notifytest.Leaks(t, []string{token}, res.Word, res.Detail, res.PossibleDuplicate, res.Head.ID)
			}
			reason, message := s.Check(ctx)
			notifytest.Leaks(t, []string{token}, reason, message)
		}
	})
}
