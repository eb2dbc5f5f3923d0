// Command demo shows KubeBot's main job on a real cluster: install, a bad rollout, one message in Slack and at a
// webhook, and its update when it is over.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/kubebot/kubebot/internal/testutil/tree"
)

// clusterName of the demo's local cluster.
const clusterName = "demo"

func main() {
	down := flag.Bool("down", false, "remove every trace of the demo")
	buildSeconds := flag.Float64("build-seconds", 0, "how long building took before")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *down, *buildSeconds); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		if errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, "Stopped. `make demo` begins again; `make demo-down` removes what is there.")
		}
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, down bool, buildSeconds float64) error {
	root, err := tree.Root()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		return fmt.Errorf("make bin: %w", err)
	}
	log, err := os.Create(filepath.Join(root, "bin", "demo.log"))
	if err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	if down {
		return remove(ctx, root, log)
	}
	d := &demo{out: os.Stdout, live: term.IsTerminal(int(os.Stdout.Fd())), started: time.Now(), report: report{BuildSeconds: buildSeconds}}
	if err := d.play(ctx, log); err != nil {
		return fmt.Errorf("%w\nwhat the programs printed is in %s", err, log.Name())
	}
	if err := d.write(filepath.Join(root, "bin", "demo.json")); err != nil {
		return err
	}
	d.screen()
	return nil
}
