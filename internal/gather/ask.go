package gather

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/credentials"
)

// maxBody is how much of an answer is read, in bytes.
const maxBody = 4 << 20

// Request is one GET.
type Request struct {
	// URL to get.
	URL string
	// Address is asked instead of the URL's host, with the URL's port; the certificate must still be the host's.
	Address string
	// Credentials, if any, hold the bearer token and the certificate authority that is trusted.
	Credentials map[string][]byte
}

// Asker asks components.
type Asker interface {
	// Ask gets an answer before ctx ends; one that does not come says why in Err.
	Ask(ctx context.Context, request Request) component.Answer
}

// HTTPAsker asks by HTTP. Redirects are not followed: a token must not go elsewhere. Addresses inside the cluster are
// asked without a proxy.
type HTTPAsker struct {
	mu         sync.Mutex
	transports map[transportKey]*http.Transport
}

type transportKey struct {
	ca         [sha256.Size]byte
	serverName string
}

// maxTransports bounds how many connections' pools are kept; certificate authorities change once in months.
const maxTransports = 16

// Ask implements Asker.
func (h *HTTPAsker) Ask(ctx context.Context, request Request) component.Answer {
	answer, err := h.get(ctx, request)
	if err != nil {
		return component.Answer{Err: reason(err)}
	}
	return answer
}

func (h *HTTPAsker) get(ctx context.Context, request Request) (component.Answer, error) {
	target, err := url.Parse(request.URL)
	if err != nil {
		return component.Answer{}, errors.New("the URL can't be parsed")
	}
	serverName := target.Hostname()
	if request.Address != "" {
		target.Host = hostPort(request.Address, target.Host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return component.Answer{}, err
	}
	if token := request.Credentials[credentials.KeyToken]; len(token) > 0 {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	transport, err := h.transport(serverName, request.Credentials[credentials.KeyCA])
	if err != nil {
		return component.Answer{}, err
	}
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(req)
	if err != nil {
		return component.Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return component.Answer{}, err
	}
	return component.Answer{Status: response.StatusCode, Body: body[:min(len(body), maxBody)], TooLarge: len(body) > maxBody}, nil
}

func (h *HTTPAsker) transport(serverName string, ca []byte) (*http.Transport, error) {
	key := transportKey{sha256.Sum256(ca), serverName}
	h.mu.Lock()
	defer h.mu.Unlock()
	if transport := h.transports[key]; transport != nil {
		return transport, nil
	}
	config := &tls.Config{ServerName: serverName, MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the generated certificate authority can't be read")
		}
	}
	if len(h.transports) >= maxTransports || h.transports == nil {
		for _, old := range h.transports {
			old.CloseIdleConnections()
		}
		h.transports = map[transportKey]*http.Transport{}
	}
	transport := &http.Transport{
		Proxy:                 proxy,
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		TLSClientConfig:       config,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   1,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: 10 * time.Second,
	}
	h.transports[key] = transport
	return transport, nil
}

// proxy takes the environment's proxy for addresses outside the cluster only.
func proxy(req *http.Request) (*url.URL, error) {
	host := req.URL.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return nil, nil
	}
	if strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".cluster.local") {
		return nil, nil
	}
	return http.ProxyFromEnvironment(req)
}

// reason says why there was no answer, without addresses and ports that differ from try to try.
func reason(err error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %s is not known", dns.Name)
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid):
		return "its certificate is not trusted"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to the host"
	case errors.As(err, &op) && op.Op == "dial":
		return "no connection can be made"
	case errors.As(err, &op):
		return "the connection broke"
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err.Error()
	}
	return err.Error()
}
