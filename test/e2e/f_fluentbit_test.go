//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// The real Fluent Bit, deployed by KubeBot, brings every line of a loud pod to Loki once: 10,000 a second for a minute,
// while the kubelet rotates its files, and Fluent Bit itself is replaced.
func TestFluentBit(t *testing.T) {
	path := os.Getenv("FLUENT_BIT")
	if path == "" {
		t.Skip("FLUENT_BIT IS NOT SET, so lines were not shipped by the real program: set it to a Fluent Bit 5.1, or to a tarball of its image")
	}
	ctx := contextOf(t, 30*time.Minute)
	must(t, cluster.LoadFluentBit(ctx, path))
	setFluentBit(t, ctx, `{"mode":"Managed"}`)
	defer setFluentBit(t, context.Background(), `{"mode":"Disabled"}`)
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionFluentBitReady, metav1.ConditionTrue, readyTime))

	t.Run("a line has its pod's metadata", func(t *testing.T) { testMetadata(t, ctx) })
	t.Run("10,000 lines a second for a minute arrive once", func(t *testing.T) { testLoud(t, ctx, "loud", 600_000, nil) })
	t.Run("a restart loses and doubles nothing", func(t *testing.T) {
		testLoud(t, ctx, "steady", 100_000, func() error {
			_, err := cluster.Kubectl(ctx, "-n", stack.Release+"-nodes", "delete", "pod", "-l", "app.kubernetes.io/name=fluent-bit")
			return err
		})
	})
}

func setFluentBit(t *testing.T, ctx context.Context, spec string) {
	t.Helper()
	_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "patch", "kubebot", "main", "--type=merge", "-p", `{"spec":{"logs":{"fluentBit":`+spec+`}}}`)
	must(t, err)
}

func testMetadata(t *testing.T, ctx context.Context) {
	must(t, cluster.DeployWriter(ctx, "few", 100, 2000))
	must(t, stack.Eventually(ctx, 2*time.Minute, 2*time.Second, func(ctx context.Context) error {
		lines, err := cluster.Lines(ctx, "main", `{service_name="few", k8s_namespace_name="writers", k8s_container_name="writer"} | trace_id="4bf92f3577b34da6a3ce929d000003e7"`)
		if err != nil {
			return err
		}
		if len(lines) != 1 {
			return fmt.Errorf("%d lines have the trace, want 1", len(lines))
		}
		for label, want := range map[string]string{"k8s_pod_name": "few", "severity_text": "warn", "k8s_cluster_name": "demo", "log_iostream": "stdout"} {
			if got := lines[0].Stream[label]; got != want {
				return fmt.Errorf("%s = %q, want %q: %v", label, got, want, lines[0].Stream)
			}
		}
		return nil
	}))
}

// testLoud writes lines, 10,000 a second, does something in their midst, and counts them in Loki.
func testLoud(t *testing.T, ctx context.Context, name string, lines int, midst func() error) {
	const rate = 10_000
	must(t, cluster.DeployWriter(ctx, name, rate, lines))
	if midst != nil {
		time.Sleep(time.Duration(lines/rate/2) * time.Second)
		must(t, midst())
	}
	must(t, stack.Eventually(ctx, 4*time.Minute, 5*time.Second, func(ctx context.Context) error {
		counts, err := cluster.LinesPerThousand(ctx, "main", name)
		if err != nil {
			return err
		}
		total, wrong := 0, []string{}
		for thousand := range lines / 1000 {
			total += counts[thousand]
			if counts[thousand] != 1000 {
				wrong = append(wrong, fmt.Sprintf("%d of thousand %d", counts[thousand], thousand))
			}
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%d of %d lines are in Loki: %s", total, lines, strings.Join(wrong[:min(len(wrong), 10)], ", "))
		}
		t.Logf("%d of %d lines are in Loki, each once", total, lines)
		return nil
	}))
}
