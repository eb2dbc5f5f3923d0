// Package transport makes the HTTP client that sinks call out with, and tells how a call ended without repeating what
// may be secret in it.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
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
	// CAFiles hold certificate authorities in PEM that are trusted besides the system's.
	CAFiles []string
}

// ErrNoCertificate means that a file of certificate authorities holds none.
var ErrNoCertificate = errors.New("no certificate in PEM")

// New makes a client that goes through the proxy named by HTTPS_PROXY, HTTP_PROXY and NO_PROXY, trusts the extra
// authorities, and follows no redirect: an answer of 3xx is returned as it is, so that nothing is sent to a host that
// the user has not named. It fails if a CA file can't be read (an error that wraps fs.ErrNotExist when it is missing)
// or holds no certificate (ErrNoCertificate).
func New(opts Options) (*http.Client, error) {
	roots, err := rootCAs(opts.CAFiles)
	if err != nil {
		return nil, err
	}
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
			DialContext:           (&net.Dialer{Timeout: DialTimeout, KeepAlive: 15 * time.Second}).DialContext,
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

// rootCAs returns the system's authorities and those of the files; nil, which means the system's, without files.
func rootCAs(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read certificate authorities: %w", ErrNoCertificate)
		}
	}
	return pool, nil
}
