// Package transport makes the HTTP client that sinks call out with, and tells how a call ended without repeating what
// may be secret in it.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Timeouts of a call. A caller's context ends it earlier.
const (
	// DialTimeout bounds the TCP connection, and TLSTimeout the handshake on it: a host that is up answers either in
	// a few round trips, and the attempt must keep time to send.
	DialTimeout = 5 * time.Second
	TLSTimeout  = 5 * time.Second
	// CallTimeout bounds a whole call, for callers whose context has no deadline.
	CallTimeout = 30 * time.Second
	// idleTimeout is how long an unused connection is kept. Load balancers close theirs after 60 s and more; ending
	// ours earlier keeps a message from being written into a connection that is about to close.
	idleTimeout = 30 * time.Second
)

// Options configure a client.
type Options struct {
	// CAFiles hold certificate authorities in PEM that are trusted besides the system's, and CA is such PEM itself.
	CAFiles []string
	CA      []byte
	// Guard refuses addresses that no receiver may have; nil refuses none. The proxy may be anywhere.
	Guard *Guard
}

// ErrNoCertificate means that a file of certificate authorities holds none.
var ErrNoCertificate = errors.New("no certificate in PEM")

// New makes a client that goes through the proxy named by HTTPS_PROXY, HTTP_PROXY and NO_PROXY, trusts the extra
// authorities, and follows no redirect: an answer of 3xx is returned as it is, so that nothing is sent to a host that
// the user has not named. It fails if a CA file can't be read (an error that wraps fs.ErrNotExist when it is missing)
// or holds no certificate (ErrNoCertificate).
func New(opts Options) (*http.Client, error) {
	roots, err := Roots(opts.CAFiles, opts.CA)
	if err != nil {
		return nil, err
	}
	p := &proxies{guard: opts.Guard, choose: httpproxy.FromEnvironment().ProxyFunc()}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 p.proxy,
			DialContext:           p.dial,
			TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:   TLSTimeout,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       idleTimeout,
			ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       CallTimeout,
	}, nil
}

// proxies sends calls through the proxy of the environment and keeps the guard's eye on those that it does not take.
type proxies struct {
	guard  *Guard
	choose func(*url.URL) (*url.URL, error)
	used   sync.Map // host:port of the proxies that were chosen
}

func (p *proxies) proxy(r *http.Request) (*url.URL, error) {
	chosen, err := p.choose(r.URL)
	if err != nil || chosen == nil {
		return nil, err
	}
	if p.guard != nil {
		if err := p.guard.checkURL(r.Context(), r.URL); err != nil {
			return nil, err
		}
	}
	port := chosen.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[chosen.Scheme]
	}
	p.used.Store(net.JoinHostPort(chosen.Hostname(), port), true)
	return chosen, nil
}

func (p *proxies) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if _, ok := p.used.Load(address); ok {
		return (*Guard)(nil).Dial(ctx, network, address)
	}
	return p.guard.Dial(ctx, network, address)
}

// Roots returns the system's authorities and those of the files and the PEM; nil, which means the system's, without
// either. It fails as New does.
func Roots(files []string, data []byte) (*x509.CertPool, error) {
	if len(files) == 0 && len(data) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	bundles := [][]byte{}
	if len(data) > 0 {
		bundles = append(bundles, data)
	}
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		bundles = append(bundles, pem)
	}
	for _, pem := range bundles {
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read certificate authorities: %w", ErrNoCertificate)
		}
	}
	return pool, nil
}
