//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubebot/kubebot/test/stack"
)

func TestHelmUpgradeFromThePreviousCommit(t *testing.T) {
	ctx := contextOf(t, 10*time.Minute)
	previous := filepath.Join(t.TempDir(), "previous")
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", cluster.Root}, args...)...).CombinedOutput()
		return string(out), err
	}
	rev := "HEAD~1"
	if out, err := git("rev-parse", "--verify", "-q", rev+":charts/kubebot"); err != nil {
		t.Logf("this checkout has no previous commit with a chart, so the chart is upgraded to itself: %v %s", err, out)
		rev = "HEAD"
	}
	out, err := exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf("mkdir -p %s && git -C %s archive %s charts/kubebot | tar -x -C %s", previous, cluster.Root, rev, previous)).CombinedOutput()
	if err != nil {
		t.Fatalf("take the previous chart out: %v: %s", err, out)
	}
	uninstall(t, ctx)
	must(t, cluster.InstallChart(ctx, filepath.Join(previous, "charts", "kubebot")))
	_, err = cluster.Kubectl(ctx, "apply", "-f", cluster.Sample("kubebot-demo.yaml"))
	must(t, err)
	ready(t, ctx)
	must(t, cluster.InstallChart(ctx, cluster.Chart()))
	ready(t, ctx)
}

func TestDeletingTheNamespaceLeavesNothingAndDoesNotHang(t *testing.T) {
	ctx := contextOf(t, 8*time.Minute)
	must(t, cluster.CreateNamespace(ctx, "team-a"))
	_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "delete", "kubebot", "--all", "--timeout=2m")
	must(t, err)
	must(t, cluster.InstallChart(ctx, cluster.Chart(), "--set", "namespaces={kubebot,team-a}"))
	must(t, cluster.Apply(ctx, "apiVersion: kubebot.io/v1alpha1\nkind: KubeBot\nmetadata: {name: a, namespace: team-a}\n"))
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error { return cluster.PodsReady(ctx, "team-a", 4) }))
	_, err = cluster.Kubectl(ctx, "delete", "namespace", "team-a", "--timeout=150s")
	must(t, err)
	must(t, stack.Eventually(ctx, time.Minute, time.Second, leavesNothing))
}

func TestHelmUninstallLeavesNothing(t *testing.T) {
	ctx := contextOf(t, 8*time.Minute)
	must(t, cluster.InstallChart(ctx, cluster.Chart()))
	_, err := cluster.Kubectl(ctx, "apply", "-f", cluster.Sample("kubebot-demo.yaml"))
	must(t, err)
	ready(t, ctx)
	uninstall(t, ctx)
}

// uninstall removes the release and looks for what it left.
func uninstall(t *testing.T, ctx context.Context) {
	t.Helper()
	_, err := cluster.Helm(ctx, "uninstall", stack.Release, "-n", stack.Namespace, "--wait", "--timeout", "4m")
	must(t, err)
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		if err := leavesNothing(ctx); err != nil {
			return err
		}
		out, err := cluster.Kubectl(ctx, "get", "all,roles,rolebindings,serviceaccounts,networkpolicies,clusterroles,clusterrolebindings", "-A",
			"-l", "app.kubernetes.io/instance="+stack.Release, "-o", "name", "--ignore-not-found")
		if err != nil {
			return err
		}
		if left := strings.TrimSpace(out); left != "" {
			return fmt.Errorf("helm uninstall left %s", strings.ReplaceAll(left, "\n", " "))
		}
		if err := cluster.Client.Get(ctx, key("", "kubebot-nodes"), &corev1.Namespace{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the nodes' namespace is still there: %v", err)
		}
		return nil
	}))
	crds, err := cluster.Kubectl(ctx, "get", "crd", "kubebots.kubebot.io", "incidents.kubebot.io", "-o", "name")
	if err != nil {
		t.Errorf("the custom resource definitions must stay: %v", err)
	}
	if n := len(strings.Fields(crds)); n != 2 {
		t.Errorf("the custom resource definitions must stay; there are %d", n)
	}
}
