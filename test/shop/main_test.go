package main

import (
	"context"
	"io"
	"strings"
	"testing"
)

func TestCommandLineIsExplained(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"no service":      {want: "usage: shop cart|catalog|checkout|frontend|load|payment"},
		"unknown service": {args: []string{"bank"}, want: `unknown service "bank"`},
		"bad environment": {args: []string{"cart"}, env: map[string]string{"DRAIN": "soon"}, want: "start cart: read DRAIN"},
		"nothing listens": {args: []string{"fault"}, env: map[string]string{"ADMIN_ADDR": "127.0.0.1:1"}, want: "turn the switch"},
	} {
		err := run(t.Context(), tc.args, func(key string) string { return tc.env[key] }, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestLoadEndsAtOnceWhenItIsStopped(t *testing.T) {
	env := map[string]string{"HTTP_ADDR": "127.0.0.1:0", "METRICS_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0",
		"FRONTEND_URL": "http://127.0.0.1:1", "DRAIN": "1h"}
	ctx, stop := context.WithCancel(t.Context())
	started := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"load"}, func(key string) string { return env[key] }, &announcing{started: started})
	}()
	<-started
	stop()
	if err := <-done; err != nil { // an hour of drain would not fit the test's time
		t.Error(err)
	}
}

// announcing closes its channel at the first line written.
type announcing struct{ started chan struct{} }

func (a *announcing) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "Service started") {
		close(a.started)
	}
	return len(p), nil
}
