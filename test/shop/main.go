// Command shop is a small instrumented shop: one service per process, named by its argument.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"go.opentelemetry.io/otel"

	"github.com/kubebot/kubebot/test/shop/internal/faults"
	"github.com/kubebot/kubebot/test/shop/internal/service"
	"github.com/kubebot/kubebot/test/shop/internal/telemetry"
)

// version is set at build time: -ldflags "-X main.version=v0.1.0".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	if len(args) > 0 && args[0] == "fault" {
		address := getenv("ADMIN_ADDR")
		if address == "" {
			address = "127.0.0.1:9465"
		}
		return faults.Command(ctx, address, args[1:], out)
	}
	if len(args) != 1 {
		return errors.New("usage: shop " + strings.Join(service.Names(), "|") + ", or shop fault [<kind> <setting>|off]")
	}
	// The SDK reports its own trouble here, on stdout alone: an export that fails must not feed itself.
	log := telemetry.NewLogger(out)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("Telemetry failed", "error", err.Error()) }))
	app, err := service.New(ctx, service.Options{Service: args[0], Version: version, Getenv: getenv, Out: out})
	if err != nil {
		return fmt.Errorf("start %s: %w", args[0], err)
	}
	return app.Run(ctx)
}
