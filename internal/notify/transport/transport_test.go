package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

func get(t *testing.T, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

// writePEM writes the server's own certificate as an authority.
func writePEM(t *testing.T, file string, server *httptest.Server) {
	t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnExtraAuthorityIsTrusted(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	plain, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = get(t, plain, server.URL)
	if why := transport.Explain(err); why.Word != "CertificateUntrusted" || !why.NeedsPerson {
		t.Errorf("without the authority: %+v", why)
	}
	file := filepath.Join(t.TempDir(), "ca.crt")
	writePEM(t, file, server)
	trusting, err := transport.New(transport.Options{CAFiles: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, trusting, server.URL); err != nil {
		t.Errorf("with the authority: %v", err)
	}
}

func TestACAFileThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	if _, err := transport.New(transport.Options{CAFiles: []string{file}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := transport.New(transport.Options{CAFiles: []string{file}}); !errors.Is(err, transport.ErrNoCertificate) {
		t.Errorf("a file without a certificate gives %v", err)
	}
}

func TestTheClientChangesWithItsAuthorities(t *testing.T) {
	first, second := httptest.NewTLSServer(http.NotFoundHandler()), httptest.NewTLSServer(http.NotFoundHandler())
	defer first.Close()
	defer second.Close()
	file := filepath.Join(t.TempDir(), "ca.crt")
	source := transport.Source{CA: secretfile.Ref{File: file}}
	if _, err := source.Client(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	writePEM(t, file, first)
	one, err := source.Client()
	if err != nil {
		t.Fatal(err)
	}
	if same, err := source.Client(); err != nil || same != one {
		t.Errorf("the client changed while its file did not (%v)", err)
	}
	if err := os.WriteFile(file, append([]byte("another\n"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: second.Certificate().Raw})...), 0o600); err != nil {
		t.Fatal(err)
	}
	two, err := source.Client()
	if err != nil || two == one {
		t.Errorf("the client stayed while its file changed (%v)", err)
	}
}

// proxy takes CONNECT and plain requests and notes what it was asked for.
func proxy(t *testing.T, target string) (addr string, asked chan string) {
	t.Helper()
	asked = make(chan string, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		if r.Method != http.MethodConnect {
			return
		}
		out, err := net.Dial("tcp", target)
		if err != nil {
			t.Error(err)
			return
		}
		w.WriteHeader(http.StatusOK)
		in, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func(r *bufio.Reader) { _, _ = io.Copy(out, r); _ = out.Close() }(buffered.Reader)
		_, _ = io.Copy(in, out)
		_ = in.Close()
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestTheProxyOfTheEnvironmentIsUsed(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	url, asked := proxy(t, server.Listener.Addr().String())
	t.Setenv("HTTPS_PROXY", url)
	t.Setenv("NO_PROXY", "inside.example.net")
	client, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the name is not the server's
	if _, err := get(t, client, "https://hooks.example.com/x"); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != "CONNECT hooks.example.com:443" {
		t.Errorf("the proxy was asked for %q", got)
	}
	_, err = get(t, client, "https://inside.example.net/x")
	if err == nil || len(asked) != 0 {
		t.Errorf("NO_PROXY is not honoured: %v, %d requests", err, len(asked))
	}
}

func TestRedirectsAreAnswers(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer server.Close()
	client, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := get(t, client, server.URL)
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestExplain(t *testing.T) {
	const address = "hooks.example.com"
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for name, c := range map[string]struct {
		err  error
		word string
	}{
		"refused":        {dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "ConnectionRefused"},
		"no route":       {dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "Unreachable"},
		"no network":     {dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), "Unreachable"},
		"no such host":   {dial(&net.DNSError{Name: address, Err: "no such host", IsNotFound: true}), "HostNotFound"},
		"DNS is down":    {dial(&net.DNSError{Name: address, Err: "server misbehaving"}), "DNSFailed"},
		"reset":          {os.NewSyscallError("read", syscall.ECONNRESET), "ConnectionReset"},
		"broken pipe":    {os.NewSyscallError("write", syscall.EPIPE), "ConnectionReset"},
		"end":            {io.EOF, "ConnectionReset"},
		"deadline":       {context.DeadlineExceeded, "Timeout"},
		"stopping":       {context.Canceled, "Canceled"},
		"something else": {errors.New(address + " is odd"), "CallFailed"},
	} {
		got := transport.Explain(&wrapped{c.err})
		if got.Word != c.word || got.Detail == "" || strings.Contains(got.Detail, address) {
			t.Errorf("%s: got %+v, want %s", name, got, c.word)
		}
	}
}

// wrapped is an error as net/http returns it, with the URL in its text.
type wrapped struct{ err error }

func (w *wrapped) Error() string { return `Post "https://hooks.example.com/secret": ` + w.err.Error() }
func (w *wrapped) Unwrap() error { return w.err }

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 20, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "30": 30 * time.Second, " 30 ": 30 * time.Second, "-1": 0, "1.5": 0, "soon": 0,
		"86400": transport.MaxRetryAfter, "99999999999999999999": transport.MaxRetryAfter,
		"Sat, 21 Nov 2026 03:21:30 GMT": 90 * time.Second, "Sat, 21 Nov 2026 03:10:00 GMT": 0, "Sun, 22 Nov 2099 03:10:00 GMT": transport.MaxRetryAfter,
	} {
		if got := transport.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Sat, 21 Nov 2026 03:21:30 GMT")
	f.Fuzz(func(t *testing.T, text string) {
		if got := transport.RetryAfter(http.Header{"Retry-After": {text}}, time.Unix(0, 0)); got < 0 || got > transport.MaxRetryAfter {
			t.Errorf("%q gives %s", text, got)
		}
	})
}

// Whether a request can have arrived depends on whether there was a connection to write it to.
func TestMayHaveArrived(t *testing.T) {
	taken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer taken.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	for url, want := range map[string]bool{taken.URL: true, gone.URL: false, untrusted.URL: false} {
		client, err := transport.New(transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, call := transport.Watch(context.Background())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s answered", url)
		}
		if got := call.MayHaveArrived(); got != want {
			t.Errorf("%s: %t, want %t", url, got, want)
		}
	}
}

func TestWithMargin(t *testing.T) {
	for name, left := range map[string]time.Duration{"long": time.Minute, "short": 100 * time.Millisecond} {
		parent, cancel := context.WithTimeout(context.Background(), left)
		defer cancel()
		child, stop := transport.WithMargin(parent)
		defer stop()
		want, _ := parent.Deadline()
		got, ok := child.Deadline()
		if early := want.Sub(got); !ok || early <= 0 || early > 200*time.Millisecond || early > left/5 {
			t.Errorf("%s: ends %s early", name, early)
		}
	}
	child, stop := transport.WithMargin(context.Background())
	defer stop()
	if _, ok := child.Deadline(); !ok {
		t.Error("without a deadline there is none to keep to")
	}
}
