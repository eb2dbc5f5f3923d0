package responder

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

func FuzzHealthSurvivesEveryReport(f *testing.F) {
	f.Add([]byte(`{"replica":"a","watchdogSeen":"2026-01-02T03:04:00Z","receivers":[{"name":"oncall","reason":"x","message":"y"}],"problems":["z"]}`), 200)
	f.Add([]byte(`{"heartbeat":{"at":"9999-12-31T23:59:59Z","reason":""},"receivers":[null]}`), 200)
	f.Add([]byte(`null`), 503)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		seen := component.Observed{Now: now, Objects: live(time.Hour, 2), Answers: map[string]component.Answer{
			keyStatus + "/0": {Status: status, Body: body}, keyStatus + "/1": {Status: 200, Body: body},
		}}
		h := Component{}.Health(input(v1alpha1.KubeBotSpec{}), seen)
		if h.Status == "" || h.Reason == "" || h.Message == "" || !utf8.ValidString(h.Message) {
			t.Errorf("%+v", h)
		}
		for _, c := range h.Extra {
			if c.Type == "" || c.Status == "" || c.Reason == "" || !utf8.ValidString(c.Message) {
				t.Errorf("%+v", c)
			}
		}
	})
}
