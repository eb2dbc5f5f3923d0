package slacktest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	slacktest "github.com/kubebot/kubebot/test/slack"
)

// FuzzCalls checks that every call is answered with JSON that says whether it was ok, and that only what was ok is kept.
func FuzzCalls(f *testing.F) {
	f.Add("chat.postMessage", `{"channel":"prod","text":"x","blocks":[{"type":"section","text":{"type":"mrkdwn","text":"s"}}]}`, true)
	f.Add("chat.postMessage", "channel=prod&text=x&metadata=%7B%7D&thread_ts=1.0", false)
	f.Add("conversations.history", "channel=C0000000001&limit=1&cursor=bmV4dDox&oldest=1&latest=2.5&inclusive=1", false)
	f.Add("conversations.replies", `{"channel":"C0000000001","ts":"1.000001"}`, true)
	f.Add("conversations.list", "types=public_channel,im&limit=-1", false)
	f.Add("chat.update", `{"channel":"C0000000001","ts":1,"blocks":[{"elements":[1]}]}`, true)
	f.Add("auth.test", `[`, true)
	f.Fuzz(func(t *testing.T, method, body string, asJSON bool) {
		if strings.ContainsAny(method, "/?#%") || method == "" || method == "." || method == ".." {
			t.Skip("the path names no method")
		}
		server, err := slacktest.New(slacktest.Options{
			Tokens:   []slacktest.Token{{Value: token, Scopes: []string{"chat:write", "channels:history", "channels:read"}}},
			Channels: []slacktest.Channel{{ID: prod, Name: "prod"}}, Limits: slacktest.NoLimits(),
		})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/api/x", strings.NewReader(body))
		r.URL.Path = "/api/" + method
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if asJSON {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		server.Handler().ServeHTTP(w, r)
		var answer struct {
			OK    *bool  `json:"ok"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || answer.OK == nil || *answer.OK != (answer.Error == "") {
			t.Fatalf("%s %q is answered %d %s", method, body, w.Code, w.Body)
		}
		if kept := len(server.Messages("")); kept > 0 && !*answer.OK {
			t.Errorf("%s %q was refused and kept", method, body)
		}
	})
}
