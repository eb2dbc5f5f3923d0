// Package notifytest is the conformance kit of sinks: every sink goes through every HTTP status and every way in which
// a call can break, and must sort them rightly, return in time, and let no secret out.
package notifytest

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/transport"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// Situation is what a sink's calls meet.
type Situation string

// Situations besides the plain statuses.
const (
	// Accepting: the receiver takes the message.
	Accepting Situation = "accepting"
	// Garbage, Empty, Huge: status 200 with a body that is no answer of the receiver.
	Garbage Situation = "garbage"
	Empty   Situation = "empty"
	Huge    Situation = "huge"
	// Truncated: the connection breaks in the body of a 200. Stalled: it stays open and nothing more comes.
	Truncated Situation = "truncated"
	Stalled   Situation = "stalled"
	// Hanging: the request is read and never answered. Reset: the connection breaks instead.
	Hanging Situation = "hanging"
	Reset   Situation = "reset"
	// Refusing: nothing listens. Unresolvable: the host has no address. Untrusted: the certificate is of nobody.
	Refusing     Situation = "refusing"
	Unresolvable Situation = "unresolvable"
	Untrusted    Situation = "untrusted"
	// Canceled: the context has ended before the call.
	Canceled Situation = "canceled"
	// Redirected: the receiver points to another host.
	Redirected Situation = "redirected"
)

// Status is the situation of a plain status with a body of HTML that repeats what was sent.
func Status(code int) Situation { return Situation(fmt.Sprintf("status %d", code)) }

// Kit describes a sink to the kit.
type Kit struct {
	// New makes the sink for a receiver at the URL.
	New func(t *testing.T, base string, client *http.Client) notify.Sink
	// Message to send.
	Message notify.Message
	// Secrets must be in no result; the receiver's URL is always looked for.
	Secrets []string
	// Accept answers a request as the receiver does when it takes the message.
	Accept http.HandlerFunc
	// Want returns the outcome that is right for a situation; code is 0 where there is no status.
	Want func(s Situation, code int) notify.Outcome
}

// deadline is what each attempt gets. It passes in three situations only. lateness is what a busy machine, on which
// the race detector slows everything down, may add to it.
const (
	deadline = 3 * time.Second
	lateness = 2 * time.Second
)

// Run puts the sink through everything.
func Run(t *testing.T, kit Kit) {
	t.Helper()
	t.Run("every status", func(t *testing.T) { everyStatus(t, kit) })
	for s, handler := range handlers(kit) {
		t.Run(string(s), func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			kit.send(t, s, 0, server.URL, client(t))
		})
	}
	t.Run(string(Refusing), func(t *testing.T) { kit.send(t, Refusing, 0, "http://"+golden.FreeAddress(t), client(t)) })
	t.Run(string(Unresolvable), func(t *testing.T) {
		c := client(t)
		transportOf(t, c).DialContext = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "hooks.example.com", IsNotFound: true}}
		}
		kit.send(t, Unresolvable, 0, "http://hooks.example.com", c)
	})
	t.Run(string(Untrusted), func(t *testing.T) {
		server := httptest.NewTLSServer(kit.Accept)
		defer server.Close()
		server.Config.ErrorLog = nil
		kit.send(t, Untrusted, 0, server.URL, client(t))
	})
	t.Run("trusted", func(t *testing.T) {
		server := httptest.NewTLSServer(kit.Accept)
		defer server.Close()
		c := client(t)
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		transportOf(t, c).TLSClientConfig.RootCAs = pool
		kit.send(t, Accepting, 0, server.URL, c)
	})
	t.Run(string(Canceled), func(t *testing.T) {
		server := httptest.NewServer(kit.Accept)
		defer server.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		res := kit.New(t, server.URL, client(t)).Send(ctx, kit.Message)
		kit.check(t, Canceled, 0, res, server.URL)
	})
	t.Run(string(Redirected), func(t *testing.T) { redirected(t, kit) })
	t.Run("asked to wait", func(t *testing.T) { askedToWait(t, kit) })
}

// everyStatus answers with each final status there can be.
func everyStatus(t *testing.T, kit Kit) {
	var code atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		echo(w, r, int(code.Load()), kit.Secrets)
	}))
	defer server.Close()
	c := client(t)
	for status := 201; status < 600; status++ {
		code.Store(int64(status))
		kit.send(t, Status(status), status, server.URL, c)
	}
}

// echo answers with a body that repeats the secrets and the request, as careless servers do in their error pages.
func echo(w http.ResponseWriter, r *http.Request, status int, secrets []string) {
	var body bytes.Buffer
	_, _ = fmt.Fprintf(&body, "<html>%s %s %s\n", r.Method, r.URL, strings.Join(secrets, " "))
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// handlers are receivers that answer, or don't, in one way.
func handlers(kit Kit) map[Situation]http.HandlerFunc {
	return map[Situation]http.HandlerFunc{
		Accepting: kit.Accept,
		Garbage: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"ok":false,"error":"%s %s","needed":"%s"}`, strings.Join(kit.Secrets, " "), r.Host, strings.Join(kit.Secrets, " "))
		},
		Empty: func(http.ResponseWriter, *http.Request) {},
		Huge: func(w http.ResponseWriter, _ *http.Request) {
			chunk := bytes.Repeat([]byte(" "), 1<<20)
			for range 32 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		Truncated: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4096")
			_, _ = w.Write([]byte(`{"ok":true,"chan`))
		},
		Stalled: func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"ok":true,"chan`))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		Hanging: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = new(bytes.Buffer).ReadFrom(r.Body)
			<-r.Context().Done()
		},
		Reset: func(w http.ResponseWriter, r *http.Request) {
			_, _ = new(bytes.Buffer).ReadFrom(r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.Close()
			}
		},
	}
}

// redirected checks that a redirect reaches nobody.
func redirected(t *testing.T, kit Kit) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		kit.Accept(w, r)
	}))
	defer other.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, code)
		}))
		kit.send(t, Redirected, code, server.URL, client(t))
		server.Close()
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests went to the host that redirects pointed to, want none", n)
	}
}

// askedToWait checks that Retry-After of a 429 is handed on, in both of its forms, and bounded.
func askedToWait(t *testing.T, kit Kit) {
	for header, want := range map[string]func(time.Duration) bool{
		"7":                       func(d time.Duration) bool { return d == 7*time.Second },
		"":                        func(d time.Duration) bool { return d == 0 },
		"soon":                    func(d time.Duration) bool { return d == 0 },
		"-3":                      func(d time.Duration) bool { return d == 0 },
		"99999999999999999999999": func(d time.Duration) bool { return d == transport.MaxRetryAfter },
		time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat): func(d time.Duration) bool {
			return d > 5*time.Minute && d <= 10*time.Minute
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Retry-After", header)
			}
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		res := kit.send(t, Status(http.StatusTooManyRequests), http.StatusTooManyRequests, server.URL, client(t))
		if !want(res.RetryAfter) {
			t.Errorf("Retry-After: %q gives %s", header, res.RetryAfter)
		}
		server.Close()
	}
}

// send makes one attempt and checks it.
func (kit Kit) send(t *testing.T, s Situation, code int, base string, c *http.Client) notify.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	sink := kit.New(t, base, c)
	res := sink.Send(ctx, kit.Message)
	if end, _ := ctx.Deadline(); time.Since(end) > lateness {
		t.Errorf("%s: Send returned after the deadline", s)
	}
	kit.check(t, s, code, res, base)
	return res
}

// check compares the outcome and looks for secrets.
func (kit Kit) check(t *testing.T, s Situation, code int, res notify.Result, base string) {
	t.Helper()
	if want := kit.Want(s, code); res.Outcome != want {
		t.Errorf("%s: outcome %s (%s: %s), want %s", s, res.Outcome, res.Word, res.Detail, want)
	}
	if res.Word == "" || len(res.Word) > 63 || len(res.Detail) > 512 || len(res.PossibleDuplicate) > 256*4 {
		t.Errorf("%s: the result does not fit an Incident: %+v", s, res)
	}
	if res.Outcome != notify.Delivered && res.Detail == "" {
		t.Errorf("%s: the result does not say what was wrong: %+v", s, res)
	}
	Leaks(t, append(kit.Secrets, base), res.Word, res.Detail, res.PossibleDuplicate)
}

// Leaks fails the test if a text holds a secret, or the host of a secret that is a URL.
func Leaks(t *testing.T, secrets []string, texts ...string) {
	t.Helper()
	for _, secret := range secrets {
		hidden := []string{secret}
		if u, err := url.Parse(secret); err == nil && u.Host != "" {
			hidden = append(hidden, u.Host)
		}
		for _, h := range hidden {
			for _, text := range texts {
				if strings.Contains(text, h) {
					t.Errorf("%q holds the secret %q", text, h)
				}
			}
		}
	}
}

// client is the one that sinks use.
func client(t *testing.T) *http.Client {
	t.Helper()
	c, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func transportOf(t *testing.T, c *http.Client) *http.Transport {
	t.Helper()
	tr, ok := c.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the client's transport is a %T", c.Transport)
	}
	return tr
}
