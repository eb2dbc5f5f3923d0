// Command live measures how KubeBot finds causes: it deploys the stack and the shop in a local cluster of its own,
// injects faults one after the other from outside or by the shop's fault switch, and looks at what the Incidents and the
// messages say. KubeBot never reads the switch, and no object or signal names a fault.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/tree"
	"github.com/kubebot/kubebot/test/stack"
)

const (
	// clusterName of the benchmark's cluster.
	clusterName = "live"
	// kubebotName of the KubeBot.
	kubebotName = "main"
)

// options are the flags.
type options struct {
	only         string
	warm, quiet  time.Duration
	limit, calm  time.Duration
	keep, attach bool
	out, save    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parse(os.Args[1:])); err != nil {
		fmt.Fprintln(os.Stderr, "bench-live:", err)
		stop()
		os.Exit(1)
	}
}

func parse(args []string) options {
	var o options
	f := flag.NewFlagSet("live", flag.ExitOnError)
	f.StringVar(&o.only, "only", "", "names of faults, separated by commas; all when empty")
	f.DurationVar(&o.warm, "warm", 4*time.Minute, "how long the shop runs well before the first fault: what is normal is learned from it")
	f.DurationVar(&o.quiet, "quiet", 10*time.Minute, "how long false incidents are counted for in the end")
	f.DurationVar(&o.limit, "limit", 6*time.Minute, "how long a fault may take to be found and explained")
	f.DurationVar(&o.calm, "calm", 90*time.Second, "how long the shop runs well between faults")
	f.BoolVar(&o.keep, "keep", false, "leave the cluster up")
	f.BoolVar(&o.attach, "attach", false, "use the cluster that an earlier run left up")
	f.StringVar(&o.out, "out", "bin/bench-live.json", "file for the figures")
	f.StringVar(&o.save, "save", "", "folder for each Incident, what kubebot why says of it, and what the engine saw; nothing is saved when empty")
	_ = f.Parse(args)
	return o
}

// bench is a run under way.
type bench struct {
	*stack.Cluster
	options
	report Report
	// shopSince is since when the shop runs.
	shopSince time.Time
}

func run(ctx context.Context, o options) (err error) {
	if stack.Existing() {
		return fmt.Errorf("packet loss and node pressure need a local cluster: run it without CLUSTER=existing")
	}
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	root, err := tree.Root()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(root, "bin", "bench-live.log"))
	if err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	b := &bench{options: o, report: Report{Started: time.Now().UTC().Truncate(time.Second)}}
	if b.Cluster, err = stack.Up(ctx, clusterName, log, "--restart-max", "10s", "--sync-frequency", "10s"); err != nil {
		return err
	}
	if !o.keep {
		defer func() {
			if downErr := b.Down(context.WithoutCancel(ctx)); err == nil {
				err = downErr
			}
		}()
	}
	b.shopSince = time.Now()
	if !o.attach {
		if err := b.prepare(ctx); err != nil {
			return fmt.Errorf("%w\nwhat the programs printed is in %s", err, log.Name())
		}
		b.shopSince = time.Now()
		fmt.Printf("== the shop runs well for %s\n", o.warm)
		sleep(ctx, o.warm)
	}
	if o.attach {
		var shop corev1.Namespace
		if err := b.Client.Get(ctx, client.ObjectKey{Name: stack.ShopNamespace}, &shop); err != nil {
			return fmt.Errorf("find the shop of an earlier run: %w", err)
		}
		b.shopSince = shop.CreationTimestamp.Time
	}
	if err := b.inject(ctx, chosen); err != nil {
		return err
	}
	return b.finish(ctx)
}

// inject plays the faults; one that can't be played says so in its figures.
func (b *bench) inject(ctx context.Context, chosen []fault) error {
	for _, f := range chosen {
		if wait := f.after - time.Since(b.shopSince); wait > 0 {
			fmt.Printf("== the shop runs on for %s\n", wait.Round(time.Second))
			sleep(ctx, wait)
		}
		fmt.Printf("== %s at %s\n", f.name, f.place())
		m := b.play(ctx, f)
		b.report.Faults = append(b.report.Faults, m)
		fmt.Println("  ", m.line())
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := b.report.write(b.out); err != nil { // what is measured stays if a later fault ends the run
			return err
		}
	}
	return nil
}

func (b *bench) finish(ctx context.Context) error {
	if b.quiet > 0 {
		fmt.Printf("== quiet for %s\n", b.quiet)
		since := time.Now()
		sleep(ctx, b.quiet)
		fresh, err := b.since(ctx, since)
		if err != nil {
			return err
		}
		b.report.Quiet = &Quiet{Seconds: b.quiet.Seconds(), FalseIncidents: len(fresh)}
		for _, inc := range fresh {
			b.report.Quiet.Titles = append(b.report.Quiet.Titles, inc.Status.Title)
		}
	}
	var err error
	if b.report.Versions, err = b.Versions(ctx); err != nil {
		return err
	}
	if err := b.report.write(b.out); err != nil {
		return err
	}
	fmt.Print(b.report.Table())
	return nil
}

// choose returns the faults of the names.
func choose(only string) ([]fault, error) {
	if only == "" {
		return faults, nil
	}
	var out []fault
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("unknown fault %q", name)
		}
		out = append(out, faults[i])
	}
	return out, nil
}

// prepare installs the stack and the shop.
func (b *bench) prepare(ctx context.Context) error {
	fmt.Println("== prepare the cluster")
	for _, step := range []func(context.Context) error{
		b.LoadImages,
		func(ctx context.Context) error { return b.CreateNamespace(ctx, stack.Namespace) },
		func(ctx context.Context) error { return b.InstallChart(ctx, b.Chart()) },
		b.DeploySlack,
		b.CreateReceiverSecrets,
		func(ctx context.Context) error {
			_, err := b.Kubectl(ctx, "apply", "-f", b.Sample("kubebot-demo.yaml"))
			return err
		},
		func(ctx context.Context) error {
			return b.WaitCondition(ctx, kubebotName, v1alpha1.ConditionReady, metav1.ConditionTrue, 6*time.Minute)
		},
		b.setUpTLS,
		func(ctx context.Context) error { return b.DeployShop(ctx, kubebotName) },
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
