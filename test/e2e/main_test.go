//go:build e2e

// Package e2e runs KubeBot in a real cluster and asserts what a user sees: a query answers, a message arrives. The
// tests share one cluster and run in the order of their files' names; each leaves the KubeBot "main" Ready. Most of their
// time they wait, so that test/run shares them out to several processes, each with a cluster of its own: E2E_PART.
package e2e

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/tree"
	"github.com/kubebot/kubebot/test/stack"
)

// cluster is what all tests share.
var cluster *stack.Cluster

// connections are those of the whole run; nil with an existing cluster.
var connections *stack.Connections

// parts are the tests of each part but the last, which has all that these leave over. Each part looks at its own messages
// again.
var parts = map[string]string{
	"faults": "^Test(Killed|APIServerAway|NoFurtherCopy|ShortChaos|ChangesBeside)",
	"ends":   "^Test(DriftIs|BadInput|SlackAnswers|SlackServer|NoFurtherCopy|MissingToken|NamespaceThat|ManagerKilled|AnOutsideGrafana|BenchTakes|EndsOfLife)",
}

// lastPart is what E2E_PART says for all that parts leave over.
const lastPart = "rest"

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	flag.Parse()
	part := os.Getenv("E2E_PART")
	err := choose(part)
	code := 1
	if err == nil {
		code, err = runAll(m, part)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// choose selects the tests of a part; without one all of them run.
func choose(part string) error {
	switch pattern, ok := parts[part]; {
	case ok:
		return flag.Set("test.run", pattern)
	case part == lastPart:
		return flag.Set("test.skip", strings.Join(slices.Collect(maps.Values(parts)), "|"))
	case part != "":
		return fmt.Errorf("E2E_PART is %q: use %s or one of %v", part, lastPart, slices.Sorted(maps.Keys(parts)))
	}
	return nil
}

// clusterName of a part, or of a run that is not shared out.
func clusterName(part string) string {
	name := cmp.Or(os.Getenv("E2E_CLUSTER"), "e2e")
	if part != "" {
		name += "-" + part
	}
	return name
}

// overFile is there when the tests of a part have run.
func overFile(root, part string) string { return filepath.Join(root, "bin", clusterName(part)+".over") }

func runAll(m *testing.M, part string) (int, error) {
	root, err := tree.Root()
	if err != nil {
		return 1, err
	}
	name := clusterName(part)
	log, err := os.Create(filepath.Join(root, "bin", name+".log"))
	if err != nil {
		return 1, fmt.Errorf("make the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
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
	if err = prepare(ctx, parts[part] == ""); err == nil {
		code = m.Run()
	}
	err = errors.Join(err, os.WriteFile(overFile(root, part), nil, 0o644))
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

// prepare installs what every test builds on: the chart, the Slack server, a KubeBot that is Ready, and the shop or, where
// no test asks for it, its namespace alone.
func prepare(ctx context.Context, shop bool) error {
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
	if err := cluster.WaitCondition(ctx, "main", v1alpha1.ConditionReady, metav1.ConditionTrue, readyTime); err != nil {
		return err
	}
	if !shop {
		_, err := cluster.Kubectl(ctx, "apply", "-f", filepath.Join(cluster.Root, "test", "shop", "manifests", "namespace.yaml"))
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

// readyTime is longer than the five minutes for which a condition looks back at what was refused.
const readyTime = 8 * time.Minute

// ready waits until the KubeBot "main" is Ready and has nothing to roll out, whatever time the test itself has left. The
// manager may not yet see in its cache what it has just applied; the API server does.
func ready(t *testing.T, ctx context.Context) {
	t.Helper()
	ctx = context.WithoutCancel(ctx)
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionReady, metav1.ConditionTrue, readyTime))
	must(t, stack.Eventually(ctx, readyTime, time.Second, rolledOut))
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionReady, metav1.ConditionTrue, readyTime))
}

// rolledOut returns an error while a Deployment or StatefulSet of KubeBot's namespace has pods of an older template.
func rolledOut(ctx context.Context) error {
	var sets appsv1.StatefulSetList
	var deployments appsv1.DeploymentList
	if err := errors.Join(cluster.Client.List(ctx, &sets, client.InNamespace(stack.Namespace)),
		cluster.Client.List(ctx, &deployments, client.InNamespace(stack.Namespace))); err != nil {
		return err
	}
	for _, s := range sets.Items {
		if s.Status.ObservedGeneration < s.Generation || s.Status.UpdatedReplicas < *s.Spec.Replicas || s.Status.Replicas > *s.Spec.Replicas {
			return fmt.Errorf("StatefulSet %s is being rolled out: %+v", s.Name, s.Status)
		}
	}
	for _, d := range deployments.Items {
		if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < *d.Spec.Replicas || d.Status.Replicas > *d.Spec.Replicas {
			return fmt.Errorf("Deployment %s is being rolled out: %+v", d.Name, d.Status)
		}
	}
	return nil
}
