// Command stack measures KubeBot in a real local cluster of its own: how long it takes to become Ready, what it writes at
// rest, the memory it holds, how fast alerts go through, and how long a crash takes to Slack. docs/figures.md tells
// what each figure is.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubebot/kubebot/internal/testutil/tree"
	"github.com/kubebot/kubebot/test/stack"
)

const (
	// clusterName of the benchmark's cluster.
	clusterName = "bench"
	// kubebotName of the KubeBot that is measured.
	kubebotName = "main"
	// benchNamespace holds what is not part of KubeBot: recorder, second Alertmanager, crashing workloads.
	benchNamespace = "bench"
)

// options are the flags.
type options struct {
	rest      time.Duration
	alerts    int
	workloads int
	crashes   int
	// rate is held for hold; rates of the signals are tried for step each; delays is how often each signal is timed.
	rate, rates, delays int
	hold, step          time.Duration
	quick               bool
	keep                bool
	// in is the name of a running local cluster to take a short round in.
	in       string
	out, rca string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == clientCommand {
		err = serveLoad(ctx, os.Stdin, os.Stdout)
	} else if len(os.Args) > 1 && os.Args[1] == senderCommand {
		err = serveTelemetry(ctx, os.Stdin, os.Stdout)
	} else {
		err = run(ctx, parse(os.Args[1:]))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func parse(args []string) options {
	var o options
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	f.DurationVar(&o.rest, "rest", 10*time.Minute, "how long to count API writes at rest")
	f.IntVar(&o.alerts, "alerts", 1000, "alerts per way")
	f.IntVar(&o.workloads, "workloads", 200, "workloads that the alerts are about")
	f.IntVar(&o.crashes, "crashes", 5, "workloads to crash, one after the other")
	f.IntVar(&o.rate, "rate", 1000, "spans, lines and samples a second to hold")
	f.DurationVar(&o.hold, "hold", time.Minute, "how long to hold the rate")
	f.DurationVar(&o.step, "step", 20*time.Second, "how long to try each higher rate")
	f.IntVar(&o.delays, "delays", 20, "how often to time each signal")
	f.BoolVar(&o.quick, "quick", false, "one minute at rest, 200 alerts of 40 workloads, 2 crashes, and a short look at the signals, whatever else is set")
	f.BoolVar(&o.keep, "keep", false, "leave the cluster up")
	f.StringVar(&o.in, "in", "", "take a short round in this local cluster, where KubeBot's chart and the Slack server are installed, and leave it up")
	f.StringVar(&o.out, "out", "bin/bench.json", "file for the figures")
	f.StringVar(&o.rca, "rca", "", "figures of the root-cause engine to take over, if the file is there")
	_ = f.Parse(args)
	o.rates = len(rates)
	if o.quick {
		o.rest, o.alerts, o.workloads, o.crashes = time.Minute, 200, 40, 2
		o.hold, o.step, o.delays = 20*time.Second, 5*time.Second, 5
	}
	if o.in != "" {
		o.rate, o.hold, o.step, o.rates, o.delays = 100, 3*time.Second, time.Second, 1, 1
		o.rest, o.alerts, o.workloads, o.crashes, o.quick, o.keep = 5*time.Second, 40, 8, 1, true, true
	}
	return o
}

// bench is a run under way.
type bench struct {
	*stack.Cluster
	options options
	report  Report
}

func run(ctx context.Context, o options) (err error) {
	if stack.Existing() {
		return fmt.Errorf("the figures need the audit log and the network of a local cluster: run it without CLUSTER=existing")
	}
	root, err := tree.Root()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(root, "bin", "bench.log"))
	if err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	b := &bench{options: o, report: Report{Started: time.Now().UTC().Truncate(time.Second), Quick: o.quick, Machine: machine()}}
	if o.in != "" {
		b.Cluster, err = stack.Attach(o.in, log)
	} else {
		b.Cluster = &stack.Cluster{Name: clusterName, Root: root, Log: log}
		if !o.keep {
			defer func() {
				if downErr := b.Down(context.WithoutCancel(ctx)); err == nil {
					err = downErr
				}
			}()
		}
		// What an earlier run left would be measured too.
		if err := b.Down(ctx); err != nil {
			return err
		}
		b.Cluster, err = stack.Up(ctx, clusterName, log)
	}
	if err != nil {
		return err
	}
	if err := b.measure(ctx); err != nil {
		return fmt.Errorf("%w\nwhat the programs printed is in %s", err, log.Name())
	}
	if err := b.report.write(o.out); err != nil {
		return err
	}
	fmt.Print(b.report.Table())
	if o.quick {
		return nil
	}
	return b.report.judge()
}

// measure takes the figures one after the other, so that none disturbs another.
func (b *bench) measure(ctx context.Context) error {
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"prepare the cluster", b.prepare},
		{"prepare the bench", b.prepareBench},
		{"apply to Ready", b.measureReady},
		{"API writes at rest", b.measureRest},
		{"memory at rest", func(ctx context.Context) (err error) {
			b.report.Memory.AtRest, err = b.memory(ctx)
			return err
		}},
		{"crash to Slack", b.measureCrashes},
		{"alerts", b.measureAlerts},
		{"memory after the alerts", func(ctx context.Context) (err error) {
			b.report.Memory.AfterAlerts, err = b.memory(ctx)
			return err
		}},
		{"signals", b.measureSignals},
		{"versions", func(ctx context.Context) (err error) {
			b.report.Versions, err = b.Versions(ctx)
			return err
		}},
		{"root-cause figures", func(context.Context) error { return b.report.takeRCA(b.options.rca) }},
	}
	if b.options.in != "" {
		steps = steps[1:]
	}
	for _, s := range steps {
		start := time.Now()
		fmt.Printf("== %s\n", s.name)
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("   done, %.1f s\n", time.Since(start).Seconds())
	}
	return nil
}

// prepare installs all but the KubeBot.
func (b *bench) prepare(ctx context.Context) error {
	steps := []func() error{
		func() error { return b.LoadImages(ctx) },
		func() error { return b.CreateNamespace(ctx, stack.Namespace) },
		func() error { return b.InstallChart(ctx, b.Chart()) },
		func() error { return b.DeploySlack(ctx) },
		func() error { return b.CreateReceiverSecrets(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// prepareBench starts what takes the webhooks.
func (b *bench) prepareBench(ctx context.Context) error {
	if err := b.CreateNamespace(ctx, benchNamespace); err != nil {
		return err
	}
	if err := b.Apply(ctx, recorderManifest); err != nil {
		return err
	}
	return stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		return b.PodsReady(ctx, benchNamespace, 1)
	})
}

// takeRCA takes over the figures of `make bench-rca-speed`, if they are there.
func (r *Report) takeRCA(path string) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the figures of the root-cause engine: %w", err)
	}
	if !json.Valid(data) {
		return fmt.Errorf("read the figures of the root-cause engine: %s is not JSON", path)
	}
	r.RCA = data
	return nil
}
