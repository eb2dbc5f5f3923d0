package interactive

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/internal/notify/secretfile"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// FuzzRequest sends requests as anybody may: what is not signed with the secret within the last minutes is refused before
// its payload is looked at, and what is signed is never taken to be somebody's press unless it holds one.
func FuzzRequest(f *testing.F) {
	file := filepath.Join(f.TempDir(), "signing")
	require.NoError(f, os.WriteFile(file, []byte(signing+"\n"), 0o600))
	now := time.Now()
	signed := slacktest.Sign(signing, link, now)
	stamp, mac := signed.Get("X-Slack-Request-Timestamp"), signed.Get("X-Slack-Signature")
	f.Add(stamp, mac, link, false)
	f.Add(stamp, mac, link+"&x=1", false)
	f.Add("1", mac, link, false)
	f.Add("-9223372036854775808", "v0=", "payload=%zz", true)
	f.Add("", "v0=zz", "payload={}", true)
	f.Add(stamp, strings.ToUpper(mac), url.Values{"payload": {`{"type":"view_submission"}`}}.Encode(), true)
	f.Fuzz(func(t *testing.T, timestamp, signature, body string, sign bool) {
		e := &Endpoint{Apps: []*App{{Signing: secretfile.Ref{File: file, Secret: "slack", Key: "signing"}}}, Handler: &Handler{Log: logr.Discard()}}
		r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(body))
		r.Header.Set("X-Slack-Request-Timestamp", timestamp)
		r.Header.Set("X-Slack-Signature", signature)
		switch {
		case sign:
			form, err := url.ParseQuery(body)
			if err == nil {
				if _, err := parse([]byte(form.Get("payload"))); err == nil {
					return // somebody's press, which needs an Incident
				}
			}
			r.Header = slacktest.Sign(signing, body, time.Now())
		case signature == "v0="+sum("v0:"+timestamp+":"+body):
			return // signed, for as long as that holds
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		switch {
		case !sign && w.Code != http.StatusUnauthorized:
			t.Errorf("a request that is not signed was answered with %d", w.Code)
		case sign && w.Code != http.StatusOK && w.Code != http.StatusBadRequest:
			t.Errorf("a signed request without a press was answered with %d", w.Code)
		}
	})
}

func sum(text string) string {
	mac := hmac.New(sha256.New, []byte(signing))
	_, _ = mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}
