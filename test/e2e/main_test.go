//go:build e2e

// Package e2e runs KubeBot in a real cluster and asserts what a user sees: a query answers, a message arrives. The
// tests share one cluster and run in the order of their files' names; each leaves the KubeBot "main" Ready.
package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// cluster is what all tests share.
var cluster *stack.Cluster

// connections are those of the whole run; nil with an existing cluster.
var connections *stack.Connections

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	root, err := stack.Root()
	if err != nil {
		return 1, err
	}
	name := cmp.Or(os.Getenv("E2E_CLUSTER"), "e2e")
	log, err := os.Create(filepath.Join(root, "bin", name+".log"))
	if err != nil {
		return 1, fmt.Errorf("make the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	// Quicker than a usual kubelet where only waiting is saved: restarts of killed containers, and changed Secrets.
	cluster, err = stack.Up(ctx, name, log, "--restart-max", "10s", "--sync-frequency", "10s")
	if err != nil {
		return 1, err
	}
	if !stack.Existing() {
		watching, stop := context.WithCancel(context.Background())
		defer stop()
		if connections, err = cluster.WatchConnections(watching); err != nil {
			return 1, errors.Join(err, down())
		}
	}
	code := 1
	if err = prepare(ctx); err == nil {
		code = m.Run()
	}
	return code, errors.Join(err, down())
}

// down takes the cluster down and looks for what it left on the machine, or takes KubeBot out of an existing cluster.
func down() error {
	if os.Getenv("KEEP_CLUSTER") != "" {
		return nil
	}
	if stack.Existing() {
		return cluster.Remove(context.Background())
	}
	if err := cluster.Down(context.Background()); err != nil {
		return fmt.Errorf("take the cluster down: %w", err)
	}
	return stack.Gone(context.Background(), cluster.Name)
}

// prepare installs what every test builds on: the chart, the Slack server, a KubeBot that is Ready, the shop.
func prepare(ctx context.Context) error {
	if err := cluster.LoadImages(ctx); err != nil {
		return err
	}
	if err := cluster.CreateNamespace(ctx, stack.Namespace); err != nil {
		return err
	}
	if err := cluster.InstallChart(ctx, cluster.Chart()); err != nil {
		return err
	}
	if err := cluster.DeploySlack(ctx); err != nil {
		return err
	}
	if err := cluster.CreateReceiverSecrets(ctx); err != nil {
		return err
	}
	if _, err := cluster.Kubectl(ctx, "apply", "-f", cluster.Sample("kubebot-demo.yaml")); err != nil {
		return err
	}
	if err := cluster.WaitCondition(ctx, "main", v1alpha1.ConditionReady, metav1.ConditionTrue, 4*time.Minute); err != nil {
		return err
	}
	// Pods get the environment of the OpenTelemetry SDK when they are made, from what the KubeBot has said by then.
	return cluster.DeployShop(ctx, "main")
}

// contextOf gives a test its deadline.
func contextOf(t *testing.T, timeout time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// must fails the test at once.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ready waits until the KubeBot "main" is Ready.
func ready(t *testing.T, ctx context.Context) {
	t.Helper()
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionReady, metav1.ConditionTrue, 3*time.Minute))
}
