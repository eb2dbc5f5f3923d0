// Command chaos makes a round of chaos in a local cluster of its own and writes what came of it as JSON. It fails when an
// alert was lost, a second copy was not marked, changes came out of order, or fewer kills were made than asked for.
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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/tree"
	"github.com/kubebot/kubebot/test/chaos"
	"github.com/kubebot/kubebot/test/stack"
)

const clusterName = "chaos"

// kubebot has what the alert pipeline needs; the round adds receivers and routes.
const kubebot = `apiVersion: kubebot.io/v1alpha1
kind: KubeBot
metadata: {name: main, namespace: kubebot}
spec:
  clusterName: chaos
  logs: {fluentBit: {mode: Disabled}, loki: {mode: Disabled}}
  traces: {collector: {mode: Disabled}, jaeger: {mode: Disabled}}
  events: {collection: Disabled}
  dashboards: {grafana: {mode: Disabled}}
  analysis: {archive: {mode: Disabled}}
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	o := chaos.Full
	short := flag.Bool("short", false, "the round that make test runs")
	keep := flag.Bool("keep", false, "leave the cluster up")
	out := flag.String("out", "bin/chaos.json", "file for the report")
	flag.Uint64Var(&o.Seed, "seed", uint64(time.Now().Unix()), "choice of victims and pauses")
	flag.Parse()
	if *short {
		seed := o.Seed
		o = chaos.Short
		o.Seed = seed
	}
	o.Progress = os.Stderr
	root, err := tree.Root()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(root, "bin", "chaos.log"))
	if err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	c, err := stack.Up(ctx, clusterName, log, "--restart-max", "10s")
	if err != nil {
		return err
	}
	if !*keep {
		defer func() {
			if downErr := c.Down(context.WithoutCancel(ctx)); err == nil {
				err = downErr
			}
		}()
	}
	if err := prepare(ctx, c); err != nil {
		return fmt.Errorf("%w\nwhat the programs printed is in %s", err, log.Name())
	}
	fmt.Fprintf(os.Stderr, "chaos: seed %d, %d alerts, %d kills\n", o.Seed, o.Alerts, o.Kills)
	report, err := chaos.Run(ctx, c, "main", o)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	fmt.Println(string(data))
	if err := os.WriteFile(*out, append(data, '\n'), 0o644); err != nil { //nolint:gosec // a report for everybody
		return fmt.Errorf("write the report: %w", err)
	}
	return report.Check(o)
}

func prepare(ctx context.Context, c *stack.Cluster) error {
	for _, step := range []func() error{
		func() error { return c.LoadImages(ctx) },
		func() error { return c.CreateNamespace(ctx, stack.Namespace) },
		func() error { return c.InstallChart(ctx, c.Chart()) },
		func() error { return c.DeploySlack(ctx) },
		func() error { return c.CreateReceiverSecrets(ctx) },
		func() error { return c.Apply(ctx, kubebot) },
		func() error {
			return c.WaitCondition(ctx, "main", v1alpha1.ConditionReady, metav1.ConditionTrue, 5*time.Minute)
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
