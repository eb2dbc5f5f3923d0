// Package dashboards is the process that keeps KubeBot's data sources and dashboards in a Grafana. It runs beside a
// managed Grafana, or alone for an outside one, and needs nothing of the Kubernetes API.
package dashboards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubebot/kubebot/internal/dashboards"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/drain"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// retry is how soon Grafana is looked at again after trouble, such as its start.
const retry = 5 * time.Second

// check is how often the configuration is read.
const check = time.Second

// stopTime is how long the server waits for its calls when it stops.
const stopTime = 5 * time.Second

// Options of the process.
type Options struct {
	// ConfigFile that the manager writes; it may change.
	ConfigFile string
	// CredentialsDir and ExtraDir are folders of mounted files.
	CredentialsDir, ExtraDir string
	// Listen is the address of metrics, report and probe.
	Listen string
	// Registry takes the metrics.
	Registry *prometheus.Registry
}

// Run works until the context ends.
func Run(ctx context.Context, o Options) error {
	calls, err := transport.New(transport.Options{})
	if err != nil {
		return fmt.Errorf("make the HTTP client: %w", err)
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", o.Listen, err)
	}
	syncer := &dashboards.Syncer{
		CredentialsDir: o.CredentialsDir, ExtraDir: o.ExtraDir, Transport: calls.Transport, Metrics: dashboards.NewMetrics(o.Registry), Now: time.Now,
	}
	var report atomic.Pointer[config.Report]
	report.Store(&config.Report{})
	go watch(ctx, o, syncer, &report)
	server := &http.Server{
		Handler: handler(o.Registry, &report), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10,
	}
	return drain.Serve(ctx, server, listener, stopTime)
}

// watch looks at Grafana at once, at intervals, soon after trouble, and when the configuration changed.
func watch(ctx context.Context, o Options, syncer *dashboards.Syncer, report *atomic.Pointer[config.Report]) {
	ticker := time.NewTicker(check)
	defer ticker.Stop()
	var next time.Time
	var last string
	for {
		c, err := read(o.ConfigFile)
		hash, hashErr := c.Hash()
		if err = errors.Join(err, hashErr); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "The configuration can't be used", "file", o.ConfigFile)
			report.Store(&config.Report{Looked: time.Now(), Trouble: config.Failed, Message: err.Error()})
		} else if hash != last || !time.Now().Before(next) {
			r := syncer.Sync(ctx, c)
			report.Store(&r)
			last, next = hash, time.Now().Add(config.Interval)
			if r.Trouble != "" || len(r.Problems) > 0 {
				next = time.Now().Add(retry)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func read(file string) (config.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return config.Config{}, fmt.Errorf("read the configuration of the dashboards: %w", err)
	}
	return config.Parse(data)
}

func handler(registry *prometheus.Registry, report *atomic.Pointer[config.Report]) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintln(rw, "ok") })
	mux.HandleFunc("GET "+config.StatusPath, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(report.Load()) // the caller has gone: nobody to tell
	})
	return mux
}
