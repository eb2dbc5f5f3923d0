// Command grafana-server serves the Grafana of the tests. The token of a service account comes from GRAFANA_TOKEN.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kubebot/kubebot/test/grafana"
)

func main() {
	listen := flag.String("listen", ":3000", "address of the API")
	person := flag.String("person", ":3001", "address of the API as a person who has signed in, and of the calls")
	flag.Parse()
	if err := run(*listen, *person); err != nil {
		fmt.Fprintln(os.Stderr, "grafana-server:", err)
		os.Exit(1)
	}
}

func run(listen, person string) error {
	s := grafana.New()
	s.AddToken(os.Getenv("GRAFANA_TOKEN"), grafana.Admin)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	failed := make(chan error, 2)
	for address, handler := range map[string]http.Handler{listen: s.Handler(), person: s.Person()} {
		server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		go func() { failed <- server.ListenAndServe() }()
		defer func() { _ = server.Close() }()
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		return nil
	}
}
