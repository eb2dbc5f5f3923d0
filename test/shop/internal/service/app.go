// Package service holds the shop's services and runs one of them: its listeners, its telemetry, its graceful end.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/kubebot/kubebot/test/shop/internal/faults"
	"github.com/kubebot/kubebot/test/shop/internal/telemetry"
)

// Time that each step of an end may take, less in sum than the usual 30 s grace of a pod.
const (
	finishTimeout = 10 * time.Second // requests that are under way
	flushTimeout  = 5 * time.Second  // telemetry that is queued
)

// part is what makes one service differ from the others; what it does not have is nil.
type part struct {
	routes  map[string]operation            // by pattern of http.ServeMux
	rpc     func(grpc.ServiceRegistrar)     // registers the gRPC service
	server  []grpc.ServerOption             // of the gRPC server
	work    func(ctx context.Context) error // runs until ctx ends
	release func() error                    // closes connections to dependencies
}

// kind is how a service is made, and the error that its code ends with when it is told to fail.
type kind struct {
	make    func(*App) (part, error)
	failure error
}

var kinds = map[string]kind{
	"frontend": {newFrontend, errors.New("render page: template fragment \"footer\" is missing")},
	"catalog":  {newCatalog, errors.New("look up product: index segment 3 is not loaded")},
	"checkout": {newCheckout, errors.New("compute total: tax table has no row for zone 7")},
	"cart":     {newCart, errors.New("merge cart: version of the stored cart is newer than ours")},
	"payment":  {newPayment, errors.New("authorize charge: ledger sequence is out of order")},
	"load":     {newLoad, errors.New("open session: no user profile is free")},
}

// Names lists the services that New knows.
func Names() []string { return slices.Sorted(maps.Keys(kinds)) }

// Options name the service and what surrounds it.
type Options struct {
	Service string
	Version string
	Getenv  func(string) string // the variables of README.md
	Out     io.Writer           // log lines
}

// App is one service with its listeners open. Run serves them.
type App struct {
	HTTP, GRPC, Metrics, Admin string // addresses that are listened on; GRPC is empty without one

	config    config
	telemetry *telemetry.Telemetry
	faults    *faults.Switch
	part      part
	ready     atomic.Bool
	servers   []server
}

// New reads the environment and opens the ports, so that everything that can be wrong from the start is said here.
func New(ctx context.Context, o Options) (*App, error) {
	kind, ok := kinds[o.Service]
	if !ok {
		return nil, fmt.Errorf("unknown service %q: want one of %q", o.Service, Names())
	}
	c, err := readConfig(o.Getenv)
	if err != nil {
		return nil, err
	}
	t, err := telemetry.New(ctx, telemetry.Options{Service: o.Service, Version: o.Version, Instance: c.instance,
		Out: o.Out, Level: c.logLevel})
	if err != nil {
		return nil, fmt.Errorf("start telemetry: %w", err)
	}
	a := &App{config: c, telemetry: t, faults: faults.New(c.dataDir, kind.failure)}
	if a.part, err = kind.make(a); err == nil {
		err = a.listen()
	}
	if err != nil {
		return nil, errors.Join(err, a.release(ctx))
	}
	return a, nil
}

// Run serves until ctx ends, then says "not ready", goes on for the drain time, and ends what is under way.
func (a *App) Run(ctx context.Context) error {
	background := context.WithoutCancel(ctx)
	failed := make(chan error, len(a.servers)+1)
	var running sync.WaitGroup
	for _, s := range a.servers {
		running.Go(func() {
			if err := s.serve(); err != nil {
				failed <- err
			}
		})
	}
	if a.part.work != nil {
		running.Go(func() {
			if err := a.part.work(ctx); err != nil {
				failed <- err
			}
		})
	}
	a.ready.Store(true)
	a.telemetry.Log.InfoContext(ctx, "Service started", "http", a.HTTP, "grpc", a.GRPC)

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		a.ready.Store(false)
		if a.part.work == nil {
			time.Sleep(a.config.drain)
		}
	}
	a.telemetry.Log.InfoContext(background, "Service stopping")
	for _, s := range a.servers {
		running.Go(s.stop)
	}
	running.Wait()
	return errors.Join(err, a.release(background))
}

// release gives back what does not depend on Run.
func (a *App) release(ctx context.Context) error {
	a.faults.ClearAll()
	for _, s := range a.servers {
		_ = s.listener.Close() // closed already after Run
	}
	var err error
	if a.part.release != nil {
		err = a.part.release()
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	return errors.Join(err, a.telemetry.Shutdown(ctx))
}

// server is one listener with what answers there.
type server struct {
	listener net.Listener
	serve    func() error
	stop     func()
}

func (a *App) listen() error {
	metrics := http.NewServeMux()
	metrics.Handle("GET /metrics", a.telemetry.Handler())
	for _, s := range []struct {
		configured string
		got        *string
		handler    http.Handler
	}{
		{a.config.httpAddr, &a.HTTP, a.httpHandler()},
		{a.config.metricsAddr, &a.Metrics, metrics},
		{a.config.adminAddr, &a.Admin, a.faults.Handler()},
	} {
		l, err := net.Listen("tcp", s.configured)
		if err != nil {
			return fmt.Errorf("open a port: %w", err)
		}
		*s.got = l.Addr().String()
		a.servers = append(a.servers, httpServer(l, s.handler))
	}
	if a.part.rpc == nil {
		return nil
	}
	l, err := net.Listen("tcp", a.config.grpcAddr)
	if err != nil {
		return fmt.Errorf("open a port: %w", err)
	}
	a.GRPC = l.Addr().String()
	a.servers = append(a.servers, a.grpcServer(l, a.part.server...))
	return nil
}

func httpServer(l net.Listener, handler http.Handler) server {
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 60 * time.Second}
	return server{
		listener: l,
		serve: func() error {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		},
		stop: func() {
			ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
			defer cancel()
			if s.Shutdown(ctx) != nil {
				_ = s.Close() // what did not end in time is cut off
			}
		},
	}
}
