//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// TestEndsOfLifeBesideWhy removes KubeBot in every way and puts it back; what waits for that most of its time goes on
// beside the faults of `kubebot why`, which needs no KubeBot in the cluster.
func TestEndsOfLifeBesideWhy(t *testing.T) {
	t.Run("life", func(t *testing.T) {
		t.Parallel()
		for _, step := range []struct {
			name string
			run  func(*testing.T)
		}{
			{"helm uninstall leaves nothing", func(t *testing.T) { uninstall(t, contextOf(t, 16*time.Minute)) }},
			{"helm upgrade from the previous commit", upgradeFromThePreviousCommit},
			{"a second KubeBot waits for the first", secondKubeBotWaitsForTheFirst},
			{"deleting the namespace leaves nothing and does not hang", deletingTheNamespaceLeavesNothing},
			{"helm uninstall works although a served namespace is gone", func(t *testing.T) {
				ctx := contextOf(t, 20*time.Minute)
				uninstall(t, ctx)
				must(t, cluster.InstallChart(ctx, cluster.Chart()))
			}},
		} {
			if !t.Run(step.name, step.run) {
				return // the next steps build on this one
			}
		}
	})
	t.Run("why", func(t *testing.T) {
		t.Parallel()
		whyNamesTheCauseAndItsFixMends(t)
	})
}

// upgradeFromThePreviousCommit leaves the release serving a second namespace, team-a.
func upgradeFromThePreviousCommit(t *testing.T) {
	ctx := contextOf(t, 20*time.Minute)
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
	must(t, cluster.InstallChart(ctx, filepath.Join(previous, "charts", "kubebot")))
	_, err = cluster.Kubectl(ctx, "apply", "-f", cluster.Sample("kubebot-demo.yaml"))
	must(t, err)
	ready(t, ctx)
	must(t, cluster.CreateNamespace(ctx, "team-a"))
	must(t, cluster.InstallChart(ctx, cluster.Chart(), "--set", "namespaces={kubebot,team-a}"))
	ready(t, ctx)
}

func secondKubeBotWaitsForTheFirst(t *testing.T) {
	ctx := contextOf(t, 16*time.Minute)
	second := key("team-a", "second")
	must(t, cluster.Apply(ctx, "apiVersion: kubebot.io/v1alpha1\nkind: KubeBot\nmetadata: {name: second, namespace: team-a}\n"+
		"spec: {logs: {fluentBit: {mode: Disabled}}, dashboards: {grafana: {mode: Disabled}}}\n"))
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		var kb v1alpha1.KubeBot
		if err := cluster.Client.Get(ctx, second, &kb); err != nil {
			return err
		}
		c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionStalled)
		if c == nil || c.Reason != v1alpha1.ReasonClusterScopeTaken || !strings.Contains(c.Message, "kubebot/main") {
			return fmt.Errorf("the second KubeBot is not Stalled by the first: %+v", c)
		}
		return nil
	}))
	_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "delete", "kubebot", "main", "--timeout=5m")
	must(t, err)
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error { return leavesNothing(ctx, "main") }))
	must(t, cluster.WaitConditionOf(ctx, second, v1alpha1.ConditionReady, metav1.ConditionTrue, readyTime))
}

func deletingTheNamespaceLeavesNothing(t *testing.T) {
	ctx := contextOf(t, 16*time.Minute)
	_, err := cluster.Kubectl(ctx, "delete", "namespace", "team-a", "--timeout=5m")
	must(t, err)
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error { return leavesNothing(ctx, "") }))
}

// leavesNothing looks for anything that a KubeBot of the name, or any KubeBot, deployed.
func leavesNothing(ctx context.Context, kubebot string) error {
	label := "kubebot.io/name"
	if kubebot != "" {
		label += "=" + kubebot
	}
	kinds := "prometheuses,alertmanagers,prometheusrules,deployments,statefulsets,daemonsets,services,configmaps,secrets,networkpolicies,poddisruptionbudgets,incidents,persistentvolumeclaims,leases"
	out, err := cluster.Kubectl(ctx, "get", kinds, "-A", "-l", label, "-o", "name", "--ignore-not-found")
	if err != nil {
		return err
	}
	pods, err := cluster.Kubectl(ctx, "get", "pods", "-A", "-l", label, "-o", "name", "--ignore-not-found")
	if err != nil {
		return err
	}
	if left := strings.TrimSpace(out + pods); left != "" {
		return fmt.Errorf("still there: %s", strings.ReplaceAll(left, "\n", " "))
	}
	return nil
}

// uninstall removes the release and looks for what it left.
func uninstall(t *testing.T, ctx context.Context) {
	t.Helper()
	_, err := cluster.Helm(ctx, "uninstall", stack.Release, "-n", stack.Namespace, "--wait", "--timeout", "8m")
	must(t, err)
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		if err := leavesNothing(ctx, ""); err != nil {
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
			return errors.Join(errors.New("the nodes' namespace is still there"), err)
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
