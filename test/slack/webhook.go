package slacktest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Webhook is a request that the recorder accepted.
type Webhook struct {
	At time.Time `json:"at"`
	// Name is what follows /webhook/ in the path.
	Name string `json:"name,omitempty"`
	// Key is the header Idempotency-Key.
	Key    string      `json:"key"`
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
	// Signature is valid, stale, wrong, missing, or unchecked when the recorder has no key.
	Signature string `json:"signature"`
	// Repeat means that a request with the key was accepted before, and SameBody that its body was the same.
	Repeat   bool `json:"repeat,omitempty"`
	SameBody bool `json:"sameBody,omitempty"`
}

// maxAge is how old a signed request may be.
const maxAge = 5 * time.Minute

// serveWebhook records a request as a receiver of webhooks would take it: 401 without a good signature.
func (s *Server) serveWebhook(w http.ResponseWriter, r *http.Request) {
	record := s.begin("webhook", r.PathValue("name"))
	defer record.end()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		record.Error = "body"
		http.Error(w, "The body can't be read", http.StatusBadRequest)
		return
	}
	if f := s.faults.take("webhook", record.Channel, string(body), false); f != nil {
		record.Fault = f.Kind
		if s.fail(w, r, *f, record) {
			return
		}
	}
	hook := Webhook{At: record.At, Name: record.Channel, Key: r.Header.Get("Idempotency-Key"), Header: r.Header, Body: string(body)}
	hook.Signature = s.verify(r.Header, body)
	if hook.Signature != "valid" && hook.Signature != "unchecked" {
		record.Error = hook.Signature
		http.Error(w, "The signature is "+hook.Signature, http.StatusUnauthorized)
		return
	}
	if err := s.keep(hook); err != nil {
		record.Error = "state"
		http.Error(w, "The state can't be written", http.StatusInternalServerError)
		return
	}
	record.Accepted = true
	if f := s.faults.take("webhook", record.Channel, string(body), true); f != nil {
		record.Fault = f.Kind
		if s.fail(w, r, *f, record) {
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// keep stores the request and notes whether it repeats one.
func (s *Server) keep(hook Webhook) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, earlier := range s.webhooks {
		if earlier.Key == hook.Key && earlier.Name == hook.Name && hook.Key != "" {
			hook.Repeat, hook.SameBody = true, bytes.Equal([]byte(earlier.Body), []byte(hook.Body))
			break
		}
	}
	if err := s.journal.append(entry{Webhook: &hook}); err != nil {
		return err
	}
	s.webhooks = append(s.webhooks, hook)
	return nil
}

// verify checks the signature as docs/receivers.md tells receivers to.
func (s *Server) verify(h http.Header, body []byte) string {
	if s.signingKey == "" {
		return "unchecked"
	}
	stamp, signature := h.Get("X-Kubebot-Timestamp"), h.Get("X-Kubebot-Signature")
	if signature == "" {
		return "missing"
	}
	mac := hmac.New(sha256.New, []byte(s.signingKey))
	_, _ = mac.Write([]byte("v1:" + stamp + ":"))
	_, _ = mac.Write(body)
	if !hmac.Equal([]byte("v1="+hex.EncodeToString(mac.Sum(nil))), []byte(signature)) {
		return "wrong"
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || s.now().Sub(time.Unix(seconds, 0)).Abs() > maxAge {
		return "stale"
	}
	return "valid"
}
