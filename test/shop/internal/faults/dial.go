package faults

import (
	"context"
	"net"
	"os"
	"syscall"
	"time"
)

// Dialer opens the connections to one dependency, which Latency and Refuse can name from then on.
func (s *Switch) Dialer(dependency string) func(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	s.dialled[dependency] = map[*conn]any{}
	s.mu.Unlock()
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if s.refuses(dependency) {
			return nil, &net.OpError{Op: "dial", Net: network, Addr: textAddr{network, address},
				Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		raw, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err // already says what was dialled
		}
		c := &conn{Conn: raw, owner: s, dependency: dependency}
		s.mu.Lock()
		s.dialled[dependency][c] = nil
		s.mu.Unlock()
		return c, nil
	}
}

func (s *Switch) refuses(dependency string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.on[Refuse].Dependency == dependency
}

func (s *Switch) delayTo(dependency string) time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if latency := s.on[Latency]; latency.Dependency == dependency {
		return latency.delay()
	}
	return 0
}

// conn delays what is written as a slow network would: the span of the caller grows, that of the dependency doesn't.
type conn struct {
	net.Conn
	owner      *Switch
	dependency string
}

func (c *conn) Write(b []byte) (int, error) {
	if delay := c.owner.delayTo(c.dependency); delay > 0 {
		time.Sleep(delay)
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.dialled[c.dependency], c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// textAddr is an address that was never resolved.
type textAddr struct{ network, address string }

func (a textAddr) Network() string { return a.network }
func (a textAddr) String() string  { return a.address }
