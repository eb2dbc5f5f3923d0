package responder

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/drain"
	"github.com/kubebot/kubebot/internal/ingest"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// stopTime is how long a server waits for its calls when it stops; a webhook call takes at most 9 s.
const stopTime = 10 * time.Second

// apiHandler serves the webhook and the report, both with the bearer token only.
func apiHandler(credentialsDir string, webhook http.Handler, report func() config.Report) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /api/v1/alerts", webhook)
	mux.HandleFunc("GET /api/v1/status", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(report()) // the caller has gone: nobody to tell
	})
	return ingest.Authenticated(credentialsDir, mux)
}

// probeHandler serves healthz and readyz.
func probeHandler(ready *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintln(rw, "ok") })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(rw, "the caches are not synced, or Alertmanager was not asked yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(rw, "ok")
	})
	return mux
}

func metricsHandler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// serve serves plain HTTP until the context ends. An empty address, or 0, serves nothing.
func serve(ctx context.Context, address string, handler http.Handler) error {
	if address == "" || address == "0" {
		<-ctx.Done()
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	return run(ctx, listener, handler)
}

// serveTLS serves HTTPS with the certificate in a directory, which may change, until the context ends.
func serveTLS(ctx context.Context, address, credentialsDir string, handler http.Handler) error {
	watcher, err := certwatcher.New(filepath.Join(credentialsDir, credentials.KeyCert), filepath.Join(credentialsDir, credentials.KeyKey))
	if err != nil {
		return fmt.Errorf("read the serving certificate: %w", err)
	}
	listener, err := tls.Listen("tcp", address, &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: watcher.GetCertificate, NextProtos: []string{"http/1.1"},
	})
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- watcher.WithWatchInterval(10 * time.Second).Start(watching) }()
	err = run(ctx, listener, handler)
	stop()
	if watchErr := <-failed; err == nil && watchErr != nil {
		err = fmt.Errorf("watch the serving certificate: %w", watchErr)
	}
	return err
}

func run(ctx context.Context, listener net.Listener, handler http.Handler) error {
	return drain.Serve(ctx, &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: connectionLog(ctx),
	}, listener, stopTime)
}

// connectionLog takes what the server says of single connections, such as failed TLS handshakes. Anybody who can reach
// the port can cause these lines, so they are told only at level debug.
func connectionLog(ctx context.Context) *stdlog.Logger {
	return slog.NewLogLogger(logr.ToSlogHandler(log.FromContext(ctx).WithName("server").V(1)), slog.LevelInfo)
}
