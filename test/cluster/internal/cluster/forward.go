package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

// ForwardCommand is the hidden subcommand of the forwarder.
const ForwardCommand = "internal-forward"

// Forward carries TCP connections from listener to an address inside the
// network namespace. It returns only with an error. The namespace stays
// without a way out: connections start on the machine alone.
func Forward(listener net.Listener, netns, target string) error {
	dial, err := dialerIn(netns)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("forward to %s: %w", target, err)
		}
		if err != nil {
			// Out of file descriptors, most likely: let some end.
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go func() {
			defer client.Close()
			server, err := dial(target)
			if err != nil {
				return
			}
			defer server.Close()
			relay(client, server)
		}()
	}
}

// relay copies both ways until both sides have said all, passing each side's
// end on.
func relay(a, b net.Conn) {
	done := make(chan struct{})
	copyTo := func(to, from net.Conn) {
		// An error of one direction ends it like its end does.
		_, _ = io.Copy(to, from)
		if half, ok := to.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		done <- struct{}{}
	}
	go copyTo(a, b)
	go copyTo(b, a)
	<-done
	<-done
}

// dialerIn gives a function that connects from inside a network namespace. A
// socket belongs to the namespace of the thread that makes it, so one goroutine
// keeps a thread in there and makes them all.
func dialerIn(netns string) (func(address string) (net.Conn, error), error) {
	type answer struct {
		conn net.Conn
		err  error
	}
	type question struct {
		address string
		reply   chan answer
	}
	questions := make(chan question)
	entered := make(chan error)
	go func() {
		// Never unlocked: the thread must not serve other goroutines.
		err := host.Enter{Netns: netns}.Apply()
		entered <- err
		if err != nil {
			return
		}
		for q := range questions {
			conn, err := connect(q.address)
			q.reply <- answer{conn, err}
		}
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return func(address string) (net.Conn, error) {
		reply := make(chan answer, 1)
		questions <- question{address, reply}
		a := <-reply
		return a.conn, a.err
	}, nil
}

// connect dials on the calling thread. Addresses inside are numeric and on this
// machine, so that it takes no time.
func connect(address string) (net.Conn, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	conn, err := net.DialTimeout("tcp4", address, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return conn, nil
}

// listenLoopback finds a free port on 127.0.0.1, the wanted one if it is free.
func listenLoopback(want int) (int, error) {
	for _, port := range []int{want, 0} {
		listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		return listener.Addr().(*net.TCPAddr).Port, nil
	}
	return 0, errors.New("find a free port: none is left on 127.0.0.1")
}
