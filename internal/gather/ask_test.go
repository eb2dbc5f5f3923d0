package gather

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/credentials"
)

const host = "main-responder.kubebot.svc"

// responder serves with generated credentials and answers whoever has the token.
func responder(t *testing.T) (map[string][]byte, *httptest.Server) {
	t.Helper()
	data, _, err := credentials.Next(nil, []string{host}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+string(data[credentials.KeyToken]) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprint(w, "well")
	}))
	server.TLS, err = serving(data)
	if err != nil {
		t.Fatal(err)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return data, server
}

func TestAsksAReplicaWithTokenAndTrust(t *testing.T) {
	data, server := responder(t)
	address, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := credentials.Next(nil, []string{host}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	stale := map[string][]byte{credentials.KeyCA: data[credentials.KeyCA], credentials.KeyToken: []byte("old")}
	for _, test := range []struct {
		name    string
		request Request
		status  int
		err     string
	}{
		{"token and authority", Request{URL: "https://" + host + ":" + port, Address: address, Credentials: data}, 200, ""},
		{"another token", Request{URL: "https://" + host + ":" + port, Address: address, Credentials: stale}, 401, ""},
		{"another authority", Request{URL: "https://" + host + ":" + port, Address: address, Credentials: other}, 0, "its certificate is not trusted"},
		{"another host", Request{URL: "https://x.svc:" + port, Address: address, Credentials: data}, 0, "its certificate is not trusted"},
		{"no credentials", Request{URL: "https://" + host + ":" + port, Address: address}, 0, "its certificate is not trusted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := (&HTTPAsker{}).Ask(t.Context(), test.request)
			if answer.Status != test.status || answer.Err != test.err {
				t.Errorf("answer %d %q", answer.Status, answer.Err)
			}
		})
	}
}

func TestTokenDoesNotFollowRedirects(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer server.Close()
	answer := (&HTTPAsker{}).Ask(t.Context(), Request{URL: server.URL, Credentials: map[string][]byte{credentials.KeyToken: []byte("t")}})
	if answer.Status != http.StatusFound || asked {
		t.Errorf("status %d, elsewhere was asked: %v", answer.Status, asked)
	}
}

func TestBodyIsBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("x", maxBody+1)))
	}))
	defer server.Close()
	if answer := (&HTTPAsker{}).Ask(t.Context(), Request{URL: server.URL}); len(answer.Body) != maxBody || !answer.TooLarge {
		t.Errorf("body of %d bytes, too large: %v", len(answer.Body), answer.TooLarge)
	}
}

func TestDeadlineAndReasonsHoldNothingRandom(t *testing.T) {
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hangs.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if answer := (&HTTPAsker{}).Ask(ctx, Request{URL: hangs.URL}); answer.Err != "no answer in time" {
		t.Errorf("answer %+v", answer)
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	if answer := (&HTTPAsker{}).Ask(t.Context(), Request{URL: closed.URL}); answer.Err != "connection refused" {
		t.Errorf("answer %+v", answer)
	}
	for want, err := range map[string]error{
		"the name x.svc is not known": &url.Error{Err: &net.OpError{Op: "dial", Err: &net.DNSError{Name: "x.svc", IsNotFound: true}}},
		"connection refused":          &url.Error{Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}},
		"there is no way to the host": &url.Error{Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}},
		"no connection can be made":   &url.Error{Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}},
		"the connection broke":        &url.Error{Err: &net.OpError{Op: "read", Err: errors.New("10.0.0.1:4312: reset")}},
		"EOF":                         &url.Error{URL: "http://secret", Err: errors.New("EOF")},
	} {
		if got := reason(err); got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	}
}

func TestClusterAddressesAreAskedWithoutProxy(t *testing.T) {
	for _, target := range []string{"http://a.b.svc:9090", "https://a.b.svc.cluster.local", "http://10.0.0.1:80", "http://[::1]:80"} {
		parsed, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := proxy(&http.Request{URL: parsed}); got != nil || err != nil {
			t.Errorf("%s goes through %v (%v)", target, got, err)
		}
	}
}

func TestTransportsAreBounded(t *testing.T) {
	h := &HTTPAsker{}
	for i := range 3 * maxTransports {
		if _, err := h.transport(fmt.Sprintf("host-%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.transports) > maxTransports {
		t.Errorf("%d transports", len(h.transports))
	}
	if _, err := h.transport("a", []byte("no PEM")); err == nil {
		t.Error("an authority that can't be read is accepted")
	}
}

func serving(data map[string][]byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(data[credentials.KeyCert], data[credentials.KeyKey])
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, err
}
