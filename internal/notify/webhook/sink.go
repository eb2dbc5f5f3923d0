// Package webhook delivers to a URL: a JSON document by POST, signed, with a key by which the receiver knows a repeat.
package webhook

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kubebot/kubebot/internal/document"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/post"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// Document is the JSON body, Incident its part. docs/receivers.md describes it to users.
type (
	Document = document.Document
	Incident = document.Incident
)

// Options configure a sink. The files are read at each use.
type Options struct {
	// URL to post to; if empty, URLSecret holds it.
	URL       string
	URLSecret secretfile.Ref
	// SigningSecret holds the signing key; without a file, requests are not signed.
	SigningSecret secretfile.Ref
	// CASecret holds certificate authorities that are trusted besides the system's; without a file, none.
	CASecret secretfile.Ref
	// Template writes the body instead of the JSON document, ContentType says what it is; nil and empty for the document.
	Template    *document.Template
	ContentType string
	// Guard refuses addresses that no receiver may have; nil refuses none.
	Guard *transport.Guard
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
	s.source.CA, s.source.Guard = options.CASecret, options.Guard
	return s
}

// target is what a call needs besides the body.
type target struct {
	url    string
	key    []byte
	client *http.Client
}

// open reads the files.
func (s *Sink) open() (target, *notify.Result) {
	t := target{url: s.options.URL}
	var err error
	if t.url == "" {
		if t.url, err = secretfile.Read(s.options.URLSecret); err != nil {
			return t, post.Refused(post.SecretMissing, secretfile.Missing(s.options.URLSecret, "the URL to post to"))
		}
	}
	if u, err := url.Parse(t.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return t, post.Refused("InvalidURL", "The URL to post to is not an http or https URL with a host: correct it.")
	}
	if s.options.SigningSecret.Given() {
		key, err := secretfile.Read(s.options.SigningSecret)
		if err != nil {
			return t, post.Refused(post.SecretMissing, secretfile.Missing(s.options.SigningSecret, "the key to sign with"))
		}
		t.key = []byte(key)
	}
	var fail *notify.Result
	t.client, fail = post.Client(s.options.HTTPClient, &s.source)
	return t, fail
}

// Check looks whether the files are there and can be used. It calls nobody: a webhook has no call without an effect.
func (s *Sink) Check(context.Context) (reason, message string) {
	_, fail := s.open()
	return post.Reason(fail)
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
		res := *post.Rejected("BadMessage", "The message can't be written: "+err.Error()+".")
		res.BodySHA256 = msg.BodySHA256
		return res
	}
	res := post.Do(ctx, t.client, s.request(t, msg.Key, body))
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
	body, err = s.encode(msg)
	if err == nil && msg.BodySHA256 != "" && hash(body) != msg.BodySHA256 && msg.MayHaveArrived {
		note = "The incident has changed since the attempt that had no answer, so the repeat has the same Idempotency-Key and another body."
	}
	return body, note, err
}

// encode writes the document, or what the template makes of it.
func (s *Sink) encode(msg notify.Message) ([]byte, error) {
	doc := document.New(document.Change{
		Key: msg.Key, Transition: msg.Transition, Sequence: msg.Sequence, Text: msg.Text, Details: msg.Details,
		Incident: msg.Incident, Digest: msg.Digest, At: msg.At, ClusterName: s.options.ClusterName,
	})
	if s.options.Template != nil {
		return s.options.Template.Render(doc)
	}
	return doc.JSON()
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// request is the call with its headers.
func (s *Sink) request(t target, key string, body []byte) post.Request {
	timestamp := strconv.FormatInt(s.options.Now().Unix(), 10)
	header := http.Header{}
	header.Set("Content-Type", cmp.Or(s.options.ContentType, "application/json"))
	header.Set(HeaderKey, key)
	header.Set(HeaderTimestamp, timestamp)
	if len(t.key) > 0 {
		header.Set(HeaderSignature, Sign(t.key, timestamp, body))
	}
	return post.Request{URL: t.url, Header: header, Body: body, Now: s.options.Now, Advice: post.Advice{
		Denied: "check the URL, the signing key and what the receiver expects", Missing: "check the URL", Rejected: "check the receiver's log",
	}}
}
