package email

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/kubebot/kubebot/internal/notify/transport"
)

// maxAnswers bounds what a mail server may say in one connection; SMTP's answers are some hundred bytes each.
const maxAnswers = 256 << 10

var errTooMuch = errors.New("the mail server said too much")

// line makes the one connection of an attempt.
type line struct {
	guard *transport.Guard
	tls   *tls.Config // for implicit TLS
	ctx   context.Context
	conn  net.Conn
}

// dial implements mail.DialContextFunc.
func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := l.guard.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	deadline, _ := l.ctx.Deadline()
	stop := context.AfterFunc(l.ctx, func() { _ = raw.Close() })
	bounded := &bounded{Conn: raw, left: maxAnswers, until: deadline, stop: stop}
	l.conn = bounded
	if l.tls == nil {
		return bounded, nil
	}
	// go-mail logs in by PLAIN only where it sees that the connection is encrypted.
	encrypted := tls.Client(bounded, l.tls)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return encrypted, nil
}

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// bounded is a connection with a bound on what is read, whose deadline nobody moves past the attempt's.
type bounded struct {
	net.Conn
	left  int
	until time.Time
	stop  func() bool
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// SetDeadline implements net.Conn.
func (b *bounded) SetDeadline(t time.Time) error {
	if !b.until.IsZero() && (t.IsZero() || t.After(b.until)) {
		t = b.until
	}
	return b.Conn.SetDeadline(t)
}

// Close implements net.Conn.
func (b *bounded) Close() error {
	b.stop()
	return b.Conn.Close()
}
