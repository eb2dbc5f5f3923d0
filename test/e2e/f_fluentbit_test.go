//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
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
	t.Run("pods that ask for it are left out", func(t *testing.T) { testLeftOut(t, ctx) })
	t.Run("filters are tried before they run", func(t *testing.T) { testFilters(t, ctx) })
	t.Run("10,000 lines a second for a minute arrive once", func(t *testing.T) { testLoud(t, ctx, "loud", 600_000, nil) })
	t.Run("a restart loses and doubles nothing", func(t *testing.T) {
		testLoud(t, ctx, "steady", 100_000, func() error {
			_, err := cluster.Kubectl(ctx, "-n", stack.Release+"-nodes", "delete", "pod", "-l", "app.kubernetes.io/name=fluent-bit")
			return err
		})
	})
	t.Run("an outage of the collector loses and doubles nothing", func(t *testing.T) {
		testLoud(t, ctx, "patient", 100_000, func() error { return collectorAway(t, ctx) })
	})
}

func setFluentBit(t *testing.T, ctx context.Context, spec string) {
	t.Helper()
	_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "patch", "kubebot", "main", "--type=merge", "-p", `{"spec":{"logs":{"fluentBit":`+spec+`}}}`)
	must(t, err)
}

// writerName is new in each run, so that what an earlier one left in a kept cluster is not counted.
func writerName(what string) string { return fmt.Sprintf("%s-%d", what, time.Now().Unix()) }

func testMetadata(t *testing.T, ctx context.Context) {
	name := writerName("few")
	must(t, cluster.DeployWriter(ctx, stack.Writer{Name: name, Rate: 1000, Lines: 20_000}))
	must(t, stack.Eventually(ctx, 2*time.Minute, 2*time.Second, func(ctx context.Context) error {
		lines, err := cluster.Lines(ctx, "main", `{service_name="`+name+`", k8s_namespace_name="writers", k8s_container_name="writer"} | trace_id="4bf92f3577b34da6a3ce929d000003e7"`)
		if err != nil {
			return err
		}
		if len(lines) != 1 {
			return fmt.Errorf("%d lines have the trace, want 1", len(lines))
		}
		for label, want := range map[string]string{"k8s_pod_name": name, "severity_text": "warn", "k8s_cluster_name": "demo", "log_iostream": "stdout"} {
			if got := lines[0].Stream[label]; got != want {
				return fmt.Errorf("%s = %q, want %q: %v", label, got, want, lines[0].Stream)
			}
		}
		return nil
	}))
	must(t, stack.Eventually(ctx, 2*time.Minute, 2*time.Second, func(ctx context.Context) error {
		traces, err := cluster.Lines(ctx, "main", `{service_name="`+name+`"} |= "goroutine 1"`)
		if err != nil {
			return err
		}
		if len(traces) != 2 || !strings.HasPrefix(traces[0].Text, "panic: line ") || !strings.Contains(traces[0].Text, "main.main()") {
			return fmt.Errorf("2 stack traces of one record each are wanted: %v", traces)
		}
		return nil
	}))
}

// testLeftOut counts what came of pods that asked to be left out, once a pod that began after them has its lines in Loki.
func testLeftOut(t *testing.T, ctx context.Context) {
	run := time.Now().Unix()
	for what, w := range map[string]stack.Writer{
		"label":      {Labels: map[string]string{"kubebot.io/logs": "disabled"}},
		"annotation": {Annotations: map[string]string{"kubebot.io/logs": "disabled"}},
		"foreign":    {Annotations: map[string]string{"fluentbit.io/exclude": "true"}},
	} {
		w.Name, w.Rate, w.Lines = fmt.Sprintf("mute-%s-%d", what, run), 1000, 1000
		must(t, cluster.DeployWriter(ctx, w))
	}
	heard := stack.Writer{Name: fmt.Sprintf("heard-%d", run), Rate: 1000, Lines: 1000}
	must(t, cluster.DeployWriter(ctx, heard))
	must(t, stack.Eventually(ctx, 2*time.Minute, 2*time.Second, func(ctx context.Context) error {
		lines, err := cluster.Lines(ctx, "main", `{service_name="`+heard.Name+`"}`)
		if err == nil && len(lines) != heard.Lines {
			err = fmt.Errorf("%d of %d lines are in Loki", len(lines), heard.Lines)
		}
		return err
	}))
	lines, err := cluster.Lines(ctx, "main", fmt.Sprintf(`{k8s_namespace_name="writers", service_name=~"mute-.*-%d"}`, run))
	must(t, err)
	if len(lines) > 0 {
		t.Errorf("%d lines came of pods that are left out, such as %q of %v", len(lines), lines[0].Text, lines[0].Stream)
	}
}

// testFilters gives Fluent Bit a filter that it refuses, which must not replace what runs, and then one that it takes.
func testFilters(t *testing.T, ctx context.Context) {
	defer setFluentBit(t, ctx, `{"extraFilters":null}`)
	before := fluentBitPods(t, ctx)
	setFluentBit(t, ctx, `{"extraFilters":"- name: modify\n  match: kube.*\n  set: a b\n- name: grep\n  match: kube.*\n  exclude: log (unclosed\n"}`)
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		kb, err := cluster.KubeBot(ctx, "main")
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionFluentBitReady)
		if c == nil || c.Reason != v1alpha1.ReasonConfigRefused {
			return fmt.Errorf("FluentBitReady does not say that it is refused: %+v", c)
		}
		for _, part := range []string{"spec.logs.fluentBit.extraFilters", "line 4: "} {
			if !strings.Contains(c.Message, part) {
				t.Errorf("the condition has no %q: %s", part, c.Message)
			}
		}
		t.Log(c.Message)
		return nil
	}))
	if after := fluentBitPods(t, ctx); after != before {
		t.Errorf("Fluent Bit was replaced: %s, then %s", before, after)
	}
	setFluentBit(t, ctx, `{"extraFilters":"- name: grep\n  match: kube.*\n  exclude: log line 000001[0-9]+ of filtered\n"}`)
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		if fluentBitPods(t, ctx) == before {
			return fmt.Errorf("the filter does not run")
		}
		return nil
	}))
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionFluentBitReady, metav1.ConditionTrue, readyTime))
	name := writerName("filtered")
	must(t, cluster.DeployWriter(ctx, stack.Writer{Name: name, Rate: 100, Lines: 1000}))
	must(t, stack.Eventually(ctx, 2*time.Minute, 2*time.Second, func(ctx context.Context) error {
		lines, err := cluster.Lines(ctx, "main", `{service_name="`+name+`"}`)
		if err == nil && len(lines) != 1000-100 {
			err = fmt.Errorf("%d lines are in Loki, want all 1000 but the 100 that the filter takes out", len(lines))
		}
		return err
	}))
}

// fluentBitPods tells which pods run.
func fluentBitPods(t *testing.T, ctx context.Context) string {
	t.Helper()
	out, err := cluster.Kubectl(ctx, "-n", stack.Release+"-nodes", "get", "pods", "-l", "app.kubernetes.io/name=fluent-bit",
		"-o", "jsonpath={range .items[*]}{.metadata.uid}:{.status.containerStatuses[*].restartCount} {end}")
	must(t, err)
	return out
}

// collectorAway takes every receiver of the collector away for half a minute, while KubeBot is told not to bring it back.
func collectorAway(t *testing.T, ctx context.Context) error {
	t.Helper()
	replicas := func(n int) error {
		_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "scale", "deployment", "main-collector", fmt.Sprintf("--replicas=%d", n))
		return err
	}
	patchMain(t, ctx, `{"spec":{"suspend":true}}`)
	defer patchMain(t, ctx, `{"spec":{"suspend":false}}`)
	if err := replicas(0); err != nil {
		return err
	}
	time.Sleep(30 * time.Second)
	return replicas(2)
}

// testLoud writes lines, 10,000 a second, does something in their midst, and counts them in Loki.
func testLoud(t *testing.T, ctx context.Context, what string, lines int, midst func() error) {
	const rate = 10_000
	name := writerName(what)
	must(t, cluster.DeployWriter(ctx, stack.Writer{Name: name, Rate: rate, Lines: lines}))
	start := time.Now()
	if midst != nil {
		time.Sleep(time.Duration(lines/rate/2) * time.Second)
		must(t, midst())
	}
	must(t, stack.Eventually(ctx, 6*time.Minute, 5*time.Second, func(ctx context.Context) error {
		counts, err := cluster.WriterLines(ctx, "main", name)
		if err != nil {
			return err
		}
		total, wrong := 0, []string{}
		for block := range lines / stack.LineBlock {
			total += counts[block]
			if counts[block] != stack.LineBlock {
				wrong = append(wrong, fmt.Sprintf("%d of block %d", counts[block], block))
			}
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%d of %d lines are in Loki: %s", total, lines, strings.Join(wrong[:min(len(wrong), 10)], ", "))
		}
		took := time.Since(start)
		t.Logf("%d of %d lines are in Loki %.0f s after the first was written, %.0f a second", total, lines, took.Seconds(), float64(total)/took.Seconds())
		return nil
	}))
}
