package notifytest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// answering answers every call alike, without a network.
type answering struct {
	status           int
	body, retryAfter string
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	header := http.Header{"Content-Type": {"application/json"}, "Retry-After": {a.retryAfter}}
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Header: header,
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}

// FuzzAnswers lets the receiver answer anything: the outcome must be that of the status, fit an Incident and hold no secret.
// Redirects are left to Run: a client that follows them would call the same answer for ever.
func FuzzAnswers(f *testing.F, kit Kit) {
	const base = "https://receiver.example.com"
	for _, body := range []string{
		``, `{}`, `null`, `[]`, `{"status":"success","message":"x"}`, `{"errors":["x"]}`, `<html>`, `1`,
		strings.Repeat("é", 400), strings.Join(kit.Secrets, " "),
	} {
		f.Add(200, body, "")
		f.Add(202, body, "1")
		f.Add(400, body, "")
	}
	f.Add(429, "", "99999999999")
	f.Add(503, "<html>", "Wed, 21 Oct 2065 07:28:00 GMT")
	f.Fuzz(func(t *testing.T, status int, body, retryAfter string) {
		status = 200 + (status%400+400)%400
		if status/100 == 3 {
			return // a redirect, which the client follows or refuses by itself
		}
		sink := kit.New(t, base, &http.Client{Transport: answering{status, body, retryAfter}})
		for _, arrived := range []bool{false, true} {
			msg := kit.Message
			msg.MayHaveArrived = arrived
			res := sink.Send(context.Background(), msg)
			if want := kit.Want(Status(status), status); res.Outcome != want && !(arrived && want == notify.Retry && res.Outcome == notify.Unknown) {
				t.Errorf("status %d: outcome %s (%s: %s), want %s", status, res.Outcome, res.Word, res.Detail, want)
			}
			if res.Word == "" || len(res.Word) > 63 || len(res.Detail) > 512 || len([]rune(res.PossibleDuplicate)) > 256 ||
				len(res.Head.ID) > 64 || len(res.Head.Channel) > 64 || res.RetryAfter < 0 || res.RetryAfter > transport.MaxRetryAfter {
				t.Errorf("status %d: the result does not fit an Incident: %+v", status, res)
			}
			Leaks(t, append(kit.Secrets, base), res.Word, res.Detail, res.PossibleDuplicate, res.Head.ID)
		}
	})
}
