package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/tree"
	"github.com/kubebot/kubebot/test/stack"
)

// report is bin/demo.json.
type report struct {
	BuildSeconds float64           `json:"buildSeconds"`
	Steps        []step            `json:"steps"`
	TotalSeconds float64           `json:"totalSeconds"`
	Messages     map[string]int    `json:"messagesPerReceiver"`
	TargetsUp    int               `json:"targetsUp"`
	TargetsDown  int               `json:"targetsDown"`
	Versions     map[string]string `json:"versions"`
	LeftOut      map[string]string `json:"leftOut"`
	// Flows tell of each signal whether it is proven to flow.
	Flows []flow `json:"flows"`
	// Dashboard is the address of the home dashboard; empty where Grafana is switched off.
	Dashboard string `json:"homeDashboard,omitempty"`
}

// step is one step of the demo.
type step struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

type demo struct {
	out io.Writer
	// live tells that out is a terminal, where a line can be written anew each second.
	live    bool
	started time.Time
	cluster *stack.Cluster
	report  report
	opened  string
	told    string // the message with the cause
	closed  string
}

// step runs one step and shows that it goes on.
func (d *demo) step(ctx context.Context, name string, run func(context.Context) error) error {
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	pause, again, end := 30*time.Second, "", "\n"
	if d.live {
		pause, again, end = time.Second, "\r", ""
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			seconds := time.Since(start).Seconds()
			d.report.Steps = append(d.report.Steps, step{Name: name, Seconds: round(seconds)})
			if err != nil {
				_, _ = fmt.Fprintf(d.out, "%s  %-66s FAILED %5.1f s\n", again, name, seconds)
				return fmt.Errorf("%s: %w", name, err)
			}
			_, _ = fmt.Fprintf(d.out, "%s  %-66s ok %9.1f s\n", again, name, seconds)
			return nil
		case <-tick.C:
			_, _ = fmt.Fprintf(d.out, "%s  %-66s    %9.0f s%s", again, name, time.Since(start).Seconds(), end)
		}
	}
}

// play runs the whole demo.
func (d *demo) play(ctx context.Context, log io.Writer) error {
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"Boot a cluster (Kubernetes, containerd, CoreDNS)", func(ctx context.Context) (err error) {
			d.cluster, err = stack.Up(ctx, clusterName, log)
			return err
		}},
		{"Put the images into it", d.images},
		{"helm install kubebot charts/kubebot", d.install},
		{"Start a Slack and a webhook to talk to", d.receivers},
		{"kubectl apply -f config/samples/kubebot-demo.yaml, until Ready", d.apply},
		{"Deploy the shop and its load, and let it serve for a while", func(ctx context.Context) error { return d.cluster.DeployShop(ctx, "main") }},
		{"Roll out a bad configuration, until the message is in Slack", d.bad},
		{"Look for the cause, until the message names it and the fix", d.explained},
		{"Roll back, until the message says resolved", d.good},
		{"Find a metric, a line, a trace and an event in their stores", d.flow},
		{"Count targets and messages", d.count},
	}
	for _, s := range steps {
		if err := d.step(ctx, s.name, s.run); err != nil {
			return err
		}
	}
	d.report.TotalSeconds = round(time.Since(d.started).Seconds())
	return nil
}

func (d *demo) install(ctx context.Context) error {
	if err := d.cluster.CreateNamespace(ctx, stack.Namespace); err != nil {
		return err
	}
	return d.cluster.InstallChart(ctx, d.cluster.Chart())
}

func (d *demo) receivers(ctx context.Context) error {
	if err := errors.Join(d.cluster.DeploySlack(ctx), d.cluster.CreateReceiverSecrets(ctx)); err != nil {
		return err
	}
	// What an earlier run left in the channel is not to be taken for this one's.
	return stack.Eventually(ctx, 30*time.Second, time.Second, d.cluster.SlackForget)
}

func (d *demo) apply(ctx context.Context) error {
	data, err := os.ReadFile(d.cluster.Sample("kubebot-demo.yaml"))
	if err != nil {
		return fmt.Errorf("read the sample: %w", err)
	}
	manifest, err := sample(data, stack.Existing())
	if err != nil {
		return err
	}
	if err := d.cluster.Apply(ctx, manifest); err != nil {
		return err
	}
	within := 4 * time.Minute
	if stack.Existing() {
		within = 15 * time.Minute // every image of the stack is pulled
	}
	return d.cluster.WaitCondition(ctx, "main", v1alpha1.ConditionReady, metav1.ConditionTrue, within)
}

func (d *demo) bad(ctx context.Context) error {
	if err := d.cluster.BreakShop(ctx); err != nil {
		return err
	}
	return d.message(ctx, &d.opened, func(m stack.Message) bool { return !m.Resolved() })
}

// explained waits until the message names the cause.
func (d *demo) explained(ctx context.Context) error {
	return d.message(ctx, &d.told, func(m stack.Message) bool { return strings.Contains(m.String(), "Likely cause (") })
}

func (d *demo) good(ctx context.Context) error {
	if err := d.cluster.MendShop(ctx); err != nil {
		return err
	}
	return d.message(ctx, &d.closed, stack.Message.Resolved)
}

// message waits for the message about the catalog in the wanted state and keeps its text.
func (d *demo) message(ctx context.Context, text *string, want func(stack.Message) bool) error {
	return stack.Eventually(ctx, 5*time.Minute, time.Second, func(ctx context.Context) error {
		messages, err := d.cluster.SlackMessages(ctx)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if strings.Contains(m.String(), "catalog") && want(m) {
				*text = m.String()
				return nil
			}
		}
		return fmt.Errorf("no such message yet; %d messages are in the channel", len(messages))
	})
}

func (d *demo) count(ctx context.Context) error {
	up, down, err := d.cluster.Targets(ctx, "main")
	if err != nil {
		return err
	}
	d.report.TargetsUp, d.report.TargetsDown = up, down
	messages, err := d.cluster.SlackMessages(ctx)
	if err != nil {
		return err
	}
	hooks, err := d.cluster.Webhooks(ctx)
	if err != nil {
		return err
	}
	d.report.Messages = map[string]int{"slack": len(messages), "webhook": len(hooks)}
	d.report.Versions, err = d.cluster.Versions(ctx)
	if err != nil {
		return err
	}
	d.report.LeftOut = map[string]string{}
	kb, err := d.cluster.KubeBot(ctx, "main")
	if err != nil {
		return err
	}
	for _, r := range kb.Status.OmittedRules {
		d.report.LeftOut["rule "+r.Name] = r.Reason
	}
	return nil
}

func (d *demo) write(path string) error {
	data, err := json.MarshalIndent(d.report, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// screen is the last screen. It ends with how to look around.
func (d *demo) screen() {
	rule := strings.Repeat("─", 84)
	_, _ = fmt.Fprintf(d.out, "\n%s\nThe message in Slack as it arrived:\n\n%s\n%s\nThe same message with the cause and the fix:\n\n%s\n%s\nThe same message after the rollback:\n\n%s\n%s\n",
		rule, indent(d.opened), rule, indent(d.told), rule, indent(d.closed), rule)
	_, _ = fmt.Fprintf(d.out, "Messages in Slack: %d; calls of the webhook: %d; targets: %d up, %d down; %.0f s in all (building before: %.0f s)\n",
		d.report.Messages["slack"], d.report.Messages["webhook"], d.report.TargetsUp, d.report.TargetsDown, d.report.TotalSeconds, d.report.BuildSeconds)
	if n := len(d.report.LeftOut); n > 0 {
		_, _ = fmt.Fprintf(d.out, "%d default rules are left out for what this cluster has not; bin/demo.json says which and why.\n", n)
	}
	d.showFlows()
	_, _ = fmt.Fprintf(d.out, `
Look around:
  export KUBECONFIG=%s PATH=%s/bin:$PATH
  kubectl -n kubebot get kubebot,incidents -o wide
  kubectl -n kubebot describe incidents
  kubectl -n kubebot port-forward svc/main-prometheus 9090     # http://127.0.0.1:9090/api/v1/targets
  kubectl -n kubebot port-forward svc/main-jaeger 16686        # http://127.0.0.1:16686/api/traces?service=checkout
  kubectl -n kubebot port-forward svc/main-loki 3100           # http://127.0.0.1:3100/loki/api/v1/query_range?query=...
  kubectl -n shop get pods
`, d.cluster.Kubeconfig, tree.Cache())
	if d.cluster.Name != "" {
		_, _ = fmt.Fprintln(d.out, "The cluster stays up; `make demo-down` removes every trace of it.")
	} else {
		_, _ = fmt.Fprintln(d.out, "`make demo-down` with the same CLUSTER and KUBECONFIG removes what the demo put into your cluster.")
	}
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ")
}

func round(seconds float64) float64 { return float64(int(seconds*10+0.5)) / 10 }
