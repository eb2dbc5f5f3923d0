package heartbeat_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/heartbeat"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

// beat sends one and returns how it ended.
func beat(t *testing.T, options heartbeat.Options) heartbeat.Result {
	t.Helper()
	options.Log, options.Now, options.Pause = logr.Discard(), time.Now, time.Millisecond
	s := heartbeat.New(options, prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.Beat()
	for deadline := time.Now().Add(time.Minute); s.Last().At.IsZero(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no beat was sent")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return s.Last()
}

// service answers each call with the next status, the last one for good.
func service(t *testing.T, statuses ...int) (string, *atomic.Int32) {
	t.Helper()
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(calls.Add(1))
		if r.Method != http.MethodGet || r.URL.Path != "/ping/secret-id" {
			t.Errorf("called with %s %s", r.Method, r.URL)
		}
		w.WriteHeader(statuses[min(n, len(statuses))-1])
	}))
	t.Cleanup(server.Close)
	return server.URL + "/ping/secret-id", &calls
}

func TestBeatReachesTheService(t *testing.T) {
	address, calls := service(t, http.StatusOK)
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := beat(t, heartbeat.Options{URLSecret: secretfile.Ref{File: file, Secret: "beat", Key: "url"}}); got.Reason != "" || calls.Load() != 1 {
		t.Errorf("%v after %d calls", got, calls.Load())
	}
}

func TestBeatIsTriedAgain(t *testing.T) {
	address, calls := service(t, http.StatusBadGateway, http.StatusOK)
	if got := beat(t, heartbeat.Options{URL: address}); got.Reason != "" || calls.Load() != 2 {
		t.Errorf("%v after %d calls", got, calls.Load())
	}
}

func TestFailureSaysWhatToDoWithoutTheAddress(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	refusing, _ := service(t, http.StatusForbidden)
	for name, c := range map[string]struct {
		options      heartbeat.Options
		reason, part string
	}{
		"nobody listens": {heartbeat.Options{URL: gone.URL + "/ping/secret-id"}, v1alpha1.ReasonNotAnswering, "refused"},
		"refused":        {heartbeat.Options{URL: refusing}, v1alpha1.ReasonReceiverRefused, "403"},
		"no Secret":      {heartbeat.Options{URLSecret: secretfile.Ref{File: "/none", Secret: "beat", Key: "url"}}, v1alpha1.ReasonSecretMissing, "beat"},
		"no URL":         {heartbeat.Options{URL: "ping"}, v1alpha1.ReasonInvalidSpec, "correct it"},
		"a missing authority": {
			heartbeat.Options{URL: refusing, CASecret: secretfile.Ref{File: "/none", Secret: "ca", Key: "ca.crt"}}, v1alpha1.ReasonInvalidSpec, "ca.crt",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := beat(t, c.options)
			if got.Reason != c.reason || !strings.Contains(got.Message, c.part) || strings.Contains(got.Message, "secret-id") {
				t.Errorf("%+v, want %s with %q", got, c.reason, c.part)
			}
		})
	}
}
