package slack_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/slack"
)

func TestSinkConforms(t *testing.T) {
	head := notify.Ref{Channel: channel, ID: "1795231200.000100"}
	want := func(lost notify.Outcome) func(notifytest.Situation, int) notify.Outcome {
		return func(s notifytest.Situation, code int) notify.Outcome {
			switch s {
			case notifytest.Accepting:
				return notify.Delivered
			case notifytest.Garbage, notifytest.Empty, notifytest.Huge, notifytest.Truncated, notifytest.Stalled, notifytest.Hanging, notifytest.Reset:
				return lost
			case notifytest.Refusing, notifytest.Unresolvable, notifytest.Canceled:
				return notify.Retry
			case notifytest.Untrusted:
				return notify.Refused
			}
			switch {
			case code < 300, code >= 500:
				return lost
			case code == 408, code == 429:
				return notify.Retry
			}
			return notify.Refused
		}
	}
	for name, c := range map[string]struct {
		message notify.Message
		lost    notify.Outcome
	}{
		"first": {message(), notify.Unknown},
		// The first call of a change is an edit, which can be repeated without doubt.
		"change": {updated(head), notify.Retry},
	} {
		t.Run(name, func(t *testing.T) {
			notifytest.Run(t, notifytest.Kit{
				New: func(t *testing.T, base string, client *http.Client) notify.Sink {
					return newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: base + "/planted-path/api/", HTTPClient: client})
				},
				Message: c.message,
				Secrets: []string{token, "planted-path"},
				Accept: func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					_, _ = fmt.Fprintf(w, `{"ok":true,"channel":%q,"ts":%q}`, head.Channel, head.ID)
				},
				Want: want(c.lost),
			})
		})
	}
}
