package webhook_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/notify/webhook"
)

// FuzzVerify checks that nothing but the signature of this body at this time is taken.
func FuzzVerify(f *testing.F) {
	now := time.Unix(1767323045, 0)
	key := []byte(signingKey)
	f.Add("1767323045", webhook.Sign(key, "1767323045", []byte("{}")), []byte("{}"))
	f.Add("1767323045", webhook.Sign(key, "1767323045", []byte("{}")), []byte("{} "))
	f.Add("-9223372036854775808", "v1=", []byte(nil))
	f.Fuzz(func(t *testing.T, timestamp, signature string, body []byte) {
		header := http.Header{webhook.HeaderTimestamp: {timestamp}, webhook.HeaderSignature: {signature}}
		forged := signature != webhook.Sign(key, timestamp, body)
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		stale := err != nil || seconds < now.Add(-webhook.MaxAge).Unix() || seconds > now.Add(webhook.MaxAge).Unix()
		if taken := webhook.Verify(key, header, body, now) == nil; taken == (forged || stale) {
			t.Errorf("timestamp %q, signature %q: taken %t", timestamp, signature, taken)
		}
		header.Set(webhook.HeaderSignature, webhook.Sign(key, timestamp, body))
		if taken := webhook.Verify(key, header, body, now) == nil; taken == stale {
			t.Errorf("timestamp %q, signed: taken %t", timestamp, taken)
		}
		if webhook.Verify([]byte("another key"), header, body, now) == nil {
			t.Error("the signature of another key is taken")
		}
	})
}
