// Package webhook delivers to a URL: a JSON document by POST, signed, with a key by which the receiver knows a repeat.
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// maxAnswer bounds how much of an answer is read, which is only to be able to use the connection again.
const maxAnswer = 64 << 10

// Options configure a sink. The files are read at each use.
type Options struct {
	// URL to post to; if empty, URLSecret holds it.
	URL       string
	URLSecret secretfile.Ref
	// SigningSecret holds the signing key; without a file, requests are not signed.
	SigningSecret secretfile.Ref
	// CASecret holds certificate authorities that are trusted besides the system's; without a file, none.
	CASecret secretfile.Ref
	// ClusterName stands in messages of incidents that name no cluster.
	ClusterName string
	// HTTPClient makes the calls; nil for one of package transport, which then trusts CASecret.
	HTTPClient *http.Client
	// Now is the clock of the header X-Kubebot-Timestamp; nil for time.Now.
	Now func() time.Time
}

// Sink delivers to one URL. It is safe for concurrent use.
type Sink struct {
	options Options
	source  transport.Source
	sent    sentBodies
}

var _ notify.Sink = (*Sink)(nil)

// New makes a sink.
func New(options Options) *Sink {
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Sink{options: options}
	s.source.CA = options.CASecret
	return s
}

// target is what a call needs besides the body.
type target struct {
	url    string
	key    []byte
	client *http.Client
}

// refused is the result of what a person must change.
func refused(word, detail string) *notify.Result {
	return &notify.Result{Outcome: notify.Refused, Word: word, Detail: detail}
}

// open reads the files.
func (s *Sink) open() (target, *notify.Result) {
	t := target{url: s.options.URL, client: s.options.HTTPClient}
	var err error
	if t.url == "" {
		if t.url, err = secretfile.Read(s.options.URLSecret); err != nil {
			return t, refused("SecretMissing", secretfile.Missing(s.options.URLSecret, "the URL to post to"))
		}
	}
	if u, err := url.Parse(t.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return t, refused("InvalidURL", "The URL to post to is not an http or https URL with a host: correct it.")
	}
	if s.options.SigningSecret.File != "" {
		key, err := secretfile.Read(s.options.SigningSecret)
		if err != nil {
			return t, refused("SecretMissing", secretfile.Missing(s.options.SigningSecret, "the key to sign with"))
		}
		t.key = []byte(key)
	}
	if t.client != nil {
		return t, nil
	}
	if t.client, err = s.source.Client(); err != nil {
		return t, refused(s.source.Problem(err))
	}
	return t, nil
}

// Check looks whether the files are there and can be used. It calls nobody: a webhook has no call without an effect.
func (s *Sink) Check(context.Context) (reason, message string) {
	_, fail := s.open()
	switch {
	case fail == nil:
		return "", ""
	case fail.Word == "SecretMissing":
		return v1alpha1.ReasonSecretMissing, fail.Detail
	}
	return v1alpha1.ReasonInvalidSpec, fail.Detail
}

// Send makes one attempt. A repeat (msg.BodySHA256 is set) sends the same bytes as long as this process remembers them
// or the incident still gives them; otherwise what it gives now goes out under the same key and the result says so.
func (s *Sink) Send(ctx context.Context, msg notify.Message) notify.Result {
	ctx, cancel := transport.WithMargin(ctx)
	defer cancel()
	t, fail := s.open()
	if fail != nil {
		fail.BodySHA256 = msg.BodySHA256
		return *fail
	}
	body, note, err := s.body(msg)
	if err != nil {
		return notify.Result{Outcome: notify.Refused, Word: "BadMessage", Detail: "The message can't be written as JSON.", BodySHA256: msg.BodySHA256}
	}
	res := s.post(ctx, t, msg.Key, body)
	res.BodySHA256 = hash(body)
	if res.Outcome == notify.Delivered {
		res.PossibleDuplicate = note
		s.sent.forget(msg.Key)
	} else {
		s.sent.remember(msg.Key, body)
	}
	return res
}

// body returns the bytes to send, and what to note if they are not those that were sent before.
func (s *Sink) body(msg notify.Message) (body []byte, note string, err error) {
	if body = s.sent.recall(msg.Key); body != nil && (msg.BodySHA256 == "" || hash(body) == msg.BodySHA256) {
		return body, "", nil
	}
	body, err = encode(msg, s.options.ClusterName)
	if err == nil && msg.BodySHA256 != "" && hash(body) != msg.BodySHA256 && msg.MayHaveArrived {
		note = "The incident has changed since the attempt that had no answer, so the repeat has the same Idempotency-Key and another body."
	}
	return body, note, err
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// post makes the call and sorts its end.
func (s *Sink) post(ctx context.Context, t target, key string, body []byte) notify.Result {
	ctx, watch := transport.Watch(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return *refused("InvalidURL", "The URL to post to can't be used: correct it.")
	}
	// net/http repeats a request that has an Idempotency-Key by itself when a connection breaks. One attempt is one
	// request here: the pipeline repeats, and records it.
	req.GetBody = nil
	timestamp := strconv.FormatInt(s.options.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "KubeBot")
	req.Header.Set(HeaderKey, key)
	req.Header.Set(HeaderTimestamp, timestamp)
	if len(t.key) > 0 {
		req.Header.Set(HeaderSignature, Sign(t.key, timestamp, body))
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return broken(err, watch)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return answered(resp.StatusCode, transport.RetryAfter(resp.Header, s.options.Now()))
}

// broken sorts the end of a call without an answer.
func broken(err error, watch *transport.Call) notify.Result {
	why := transport.Explain(err)
	res := notify.Result{Outcome: notify.Retry, Word: why.Word, Detail: why.Detail}
	switch {
	case why.NeedsPerson:
		res.Outcome = notify.Refused
	case watch.MayHaveArrived():
		res.Outcome = notify.Unknown
	}
	return res
}

// answered sorts a status code. The answer's text is not repeated: it is the receiver's, and may hold anything.
func answered(status int, retryAfter time.Duration) notify.Result {
	said := fmt.Sprintf("The receiver answered with HTTP status %d", status)
	if text := http.StatusText(status); text != "" {
		said += " (" + text + ")"
	}
	switch {
	case status >= 200 && status < 300:
		return notify.Result{Outcome: notify.Delivered, Word: "Delivered"}
	case status == http.StatusTooManyRequests:
		return notify.Result{Outcome: notify.Retry, Word: "RateLimited", Detail: said + ".", RetryAfter: retryAfter}
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status >= 500:
		return notify.Result{Outcome: notify.Retry, Word: "ServerError", Detail: said + ".", RetryAfter: retryAfter}
	case status >= 300 && status < 400:
		return *refused("Redirected", said+": redirects are not followed, so that nothing goes to a host that was not named. Set the URL that it leads to.")
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return *refused("AccessDenied", said+": check the URL, the signing key and what the receiver expects.")
	case status == http.StatusNotFound || status == http.StatusGone:
		return *refused("WrongURL", said+": check the URL.")
	}
	return *refused("Rejected", strings.TrimSpace(said)+": check the receiver's log.")
}
