package responder

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

// lines collects what a logger wrote.
type lines struct {
	mu   sync.Mutex
	text string
}

func (l *lines) logger(verbosity int) logr.Logger {
	return funcr.New(func(_, line string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.text += line + "\n"
	}, funcr.Options{Verbosity: verbosity})
}

func (l *lines) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text, part)
}

func TestFailedHandshakeIsToldAtLevelDebugOnly(t *testing.T) {
	for name, test := range map[string]struct {
		verbosity int
		want      bool
	}{"debug": {1, true}, "info": {0, false}} {
		t.Run(name, func(t *testing.T) {
			out := &lines{}
			ctx, stop := context.WithCancel(logr.NewContext(context.Background(), out.logger(test.verbosity)))
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, tls.NewListener(plain, &tls.Config{}), http.NotFoundHandler()) }()
			conn, err := net.Dial("tcp", plain.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			// No TLS: the server answers with an alert, or closes.
			_, _ = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if got := out.has("TLS handshake error"); got != test.want {
				t.Errorf("told: %v, want %v", got, test.want)
			}
		})
	}
}
