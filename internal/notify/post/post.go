// Package post makes the one HTTP call of a delivery and sorts how it ended, alike for every sink that posts a document.
package post

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// maxAnswer bounds how much of an answer is read.
const maxAnswer = 64 << 10

// Request is one POST.
type Request struct {
	// URL may hold secrets: no result repeats it.
	URL    string
	Header http.Header
	Body   []byte
	// Accepted are the statuses by which the receiver says that it took the message; empty for every 2xx. Another 2xx
	// leaves open whether it did: a proxy's page looks like that.
	Accepted []int
	// KeyIsContent tells that the receiver refuses a wrong key as it refuses a wrong message: no status is about the message
	// alone.
	KeyIsContent bool
	// Advice says what to check after an answer that only a person can mend.
	Advice Advice
	// Now is the clock that Retry-After dates are compared with; nil for time.Now.
	Now func() time.Time
}

// Advice is what to check, as the end of a sentence such as "check the URL".
type Advice struct {
	// Denied is for 401 and 403, Missing for 404 and 410, Rejected for every other.
	Denied, Missing, Rejected string
}

// SecretMissing is the word of a refusal for want of a file from a Secret.
const SecretMissing = "SecretMissing"

// Refused is the result of what a person must change before the receiver takes anything.
func Refused(word, detail string) *notify.Result {
	return &notify.Result{Outcome: notify.Refused, Word: word, Detail: detail}
}

// Rejected is the result of a message that can't be sent or is refused for what is in it.
func Rejected(word, detail string) *notify.Result {
	return &notify.Result{Outcome: notify.Refused, Word: word, Detail: detail, OnlyThis: true}
}

// Reason is what a receiver's condition says of a refusal before any call; empty for none.
func Reason(fail *notify.Result) (reason, message string) {
	switch {
	case fail == nil:
		return "", ""
	case fail.Word == SecretMissing:
		return v1alpha1.ReasonSecretMissing, fail.Detail
	}
	return v1alpha1.ReasonInvalidSpec, fail.Detail
}

// Client returns the given client, or without one that of a source.
func Client(given *http.Client, source *transport.Source) (*http.Client, *notify.Result) {
	if given != nil {
		return given, nil
	}
	client, err := source.Client()
	if err != nil {
		return nil, Refused(source.Problem(err))
	}
	return client, nil
}

// Do makes the call. Nothing of the answer is in the result: it is the receiver's, and may hold anything.
func Do(ctx context.Context, client *http.Client, r Request) notify.Result {
	ctx, watch := transport.Watch(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return *Refused("InvalidURL", "The URL to post to can't be used: correct it.")
	}
	// net/http repeats a request that has an Idempotency-Key by itself when a connection breaks. One attempt is one
	// request here: the pipeline repeats, and records it.
	req.GetBody = nil
	req.Header = r.Header.Clone()
	req.Header.Set("User-Agent", "KubeBot")
	resp, err := client.Do(req)
	if err != nil {
		return broken(err, watch)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	now := r.Now
	if now == nil {
		now = time.Now
	}
	return r.answered(resp.StatusCode, transport.RetryAfter(resp.Header, now()))
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

// answered sorts a status code.
func (r Request) answered(status int, retryAfter time.Duration) notify.Result {
	said := fmt.Sprintf("The receiver answered with HTTP status %d", status)
	if text := http.StatusText(status); text != "" {
		said += " (" + text + ")"
	}
	switch {
	case status >= 200 && status < 300:
		return r.taken(status, said)
	case status == http.StatusTooManyRequests:
		return notify.Result{Outcome: notify.Retry, Word: "RateLimited", Detail: said + ".", RetryAfter: retryAfter}
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status >= 500:
		return notify.Result{Outcome: notify.Retry, Word: "ServerError", Detail: said + ".", RetryAfter: retryAfter}
	case status >= 300 && status < 400:
		return *Refused("Redirected", said+": redirects are not followed, so that nothing goes to a host that was not named. Set the URL that it leads to.")
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return *Refused("AccessDenied", said+": "+r.Advice.Denied+".")
	case status == http.StatusNotFound || status == http.StatusGone:
		return *Refused("WrongURL", said+": "+r.Advice.Missing+".")
	}
	res := *Refused("Rejected", said+": "+r.Advice.Rejected+".")
	res.OnlyThis = aboutContent[status] && !r.KeyIsContent
	return res
}

// aboutContent are the statuses that are about what was sent (RFC 9110, 15.5).
var aboutContent = map[int]bool{
	http.StatusBadRequest: true, http.StatusConflict: true, http.StatusRequestEntityTooLarge: true, http.StatusUnprocessableEntity: true,
}

func (r Request) taken(status int, said string) notify.Result {
	for _, accepted := range r.Accepted {
		if status == accepted {
			return notify.Result{Outcome: notify.Delivered, Word: "Delivered"}
		}
	}
	if len(r.Accepted) > 0 {
		return notify.Result{Outcome: notify.Unknown, Word: "UnexpectedAnswer",
			Detail: said + ", which is not how it says that it took a message: check for a proxy in between."}
	}
	return notify.Result{Outcome: notify.Delivered, Word: "Delivered"}
}
