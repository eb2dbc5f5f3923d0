package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// MaxRetryAfter bounds what a receiver may ask to wait: an hour, so that a wrong header can't silence it for good.
const MaxRetryAfter = time.Hour

// Call watches one HTTP call.
type Call struct {
	connected atomic.Bool
}

// Watch returns a context to make one call with, and what it learns of that call.
func Watch(ctx context.Context) (context.Context, *Call) {
	c := &Call{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { c.connected.Store(true) },
	}), c
}

// MayHaveArrived tells whether a byte of the request can have left: there was a connection, past its TLS handshake, to
// write it to.
func (c *Call) MayHaveArrived() bool { return c.connected.Load() }

// Failure is how a call ended without an answer: a word for records, and a sentence that holds no address.
type Failure struct {
	Word, Detail string
	// NeedsPerson means that repeating won't help until somebody changes something.
	NeedsPerson bool
}

// Explain sorts the error of a call. The error's own text is never used: it holds the URL.
func Explain(err error) Failure {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		timeout   net.Error
		forbidden *Forbidden
	)
	switch {
	case errors.As(err, &forbidden) && forbidden.Target == Stack:
		return Failure{Word: "TargetForbidden", NeedsPerson: true, Detail: "The address leads to " + places[Stack] +
			", where no receiver of an AlertRoute may be: correct it."}
	case errors.As(err, &forbidden):
		return Failure{Word: "TargetForbidden", NeedsPerson: true, Detail: "The address leads to " + places[forbidden.Target] +
			": correct it, or, if that is meant, name " + string(forbidden.Target) + " in allowTargets of the receiver."}
	case errors.As(err, &dns) && dns.IsNotFound:
		return Failure{Word: "HostNotFound", Detail: "The host name does not exist: check the URL and the cluster's DNS."}
	case errors.As(err, &dns):
		return Failure{Word: "DNSFailed", Detail: "The host name could not be resolved: check the cluster's DNS."}
	case errors.As(err, &authority):
		return Failure{Word: "CertificateUntrusted", NeedsPerson: true,
			Detail: "The server's certificate is signed by an authority that is not trusted: add the authority's certificate (caSecret of the receiver)."}
	case errors.As(err, &hostname):
		return Failure{Word: "CertificateUntrusted", NeedsPerson: true,
			Detail: "The server's certificate is for another host name: check the URL or renew the certificate."}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Failure{Word: "CertificateUntrusted", NeedsPerson: true, Detail: "The server's certificate has expired: renew it."}
	case errors.As(err, &verify), errors.As(err, &invalid):
		return Failure{Word: "CertificateUntrusted", NeedsPerson: true, Detail: "The server's certificate can't be verified: check it."}
	case errors.Is(err, syscall.ECONNREFUSED):
		return Failure{Word: "ConnectionRefused", Detail: "The connection was refused: nothing listens there, or a firewall is in between."}
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return Failure{Word: "Unreachable", Detail: "There is no way to the host from this cluster: check egress, NetworkPolicies and HTTPS_PROXY."}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Failure{Word: "Timeout", Detail: "There was no answer in time."}
	case errors.Is(err, context.Canceled):
		return Failure{Word: "Canceled", Detail: "The attempt was cut short because this process is stopping."}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Failure{Word: "ConnectionReset", Detail: "The connection broke before there was an answer."}
	}
	return Failure{Word: "CallFailed", Detail: "The call failed before there was an answer."}
}

// RetryAfter reads the header Retry-After, in seconds or as a date (RFC 9110, 10.2.3), as of now. It is 0 without one,
// and at most MaxRetryAfter.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(min(seconds, uint64(MaxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), MaxRetryAfter)
}

// margin is what a sink keeps of the time that is left, to sort out and return the result before the deadline.
const margin = 200 * time.Millisecond

// WithMargin returns a context that ends a little before the parent's deadline (a tenth of the time left, at most
// 200 ms), or after CallTimeout if the parent has none.
func WithMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithTimeout(ctx, CallTimeout)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(margin, time.Until(deadline)/10)))
}
