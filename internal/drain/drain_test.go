package drain

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// begin serves a handler, and returns what ends the server and how it ended.
func begin(t *testing.T, limit time.Duration, handler http.HandlerFunc) (listener net.Listener, stop func(), ended chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ended = make(chan error, 1)
	go func() {
		ended <- Serve(ctx, &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}, listener, limit)
	}()
	return listener, cancel, ended
}

func TestCallsUnderWayEndBeforeTheServer(t *testing.T) {
	called, answer := make(chan struct{}), make(chan struct{})
	listener, stop, ended := begin(t, time.Minute, func(http.ResponseWriter, *http.Request) {
		close(called)
		<-answer
	})
	got := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err == nil {
			_ = resp.Body.Close()
		}
		got <- err
	}()
	<-called
	stop()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 10*time.Second, 10*time.Millisecond, "no new calls are taken")
	assert.Empty(t, ended, "a call is under way")
	close(answer)
	require.NoError(t, <-got)
	require.NoError(t, <-ended)
}

func TestACallThatOutlastsTheStopIsNoFailure(t *testing.T) {
	called, answer := make(chan struct{}), make(chan struct{})
	defer close(answer)
	listener, stop, ended := begin(t, time.Millisecond, func(http.ResponseWriter, *http.Request) {
		close(called)
		<-answer
	})
	go func() { _, _ = http.Get("http://" + listener.Addr().String()) }()
	<-called
	stop()
	require.NoError(t, <-ended)
}

func TestAListenerThatFailsIsNamed(t *testing.T) {
	listener, _, ended := begin(t, time.Minute, nil)
	require.NoError(t, listener.Close())
	require.ErrorContains(t, <-ended, "serve "+listener.Addr().String())
}
