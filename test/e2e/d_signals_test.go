//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// flows are the conditions of the proof of flow.
var flows = []string{
	v1alpha1.ConditionMetricsFlowing, v1alpha1.ConditionLogsFlowing, v1alpha1.ConditionTracesFlowing,
	v1alpha1.ConditionEventsFlowing, v1alpha1.ConditionAlertsFlowing,
}

func TestSignals(t *testing.T) {
	ctx := contextOf(t, 20*time.Minute)
	must(t, cluster.ShipLogs(ctx))
	defer func() {
		if err := cluster.StopShippingLogs(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	flowing(t, ctx)
	t.Run("one request is found in every store", testOneRequest)
	t.Run("the service graph has the shop's calls", testServiceGraph)
	t.Run("a killed sampler and stores that are away lose nothing", testOutages)
}

// flowing waits until every signal is proven to flow.
func flowing(t *testing.T, ctx context.Context) {
	t.Helper()
	for _, condition := range flows {
		must(t, cluster.WaitCondition(ctx, "main", condition, metav1.ConditionTrue, readyTime))
	}
}

// testOneRequest follows a request of the shop: its trace is in Jaeger, the lines of its services, which were written to
// the pods' output, are in Loki under the same ID, and so is its exemplar in Prometheus. An event about one of the
// workloads is in Loki once.
func testOneRequest(t *testing.T) {
	ctx := contextOf(t, 20*time.Minute)
	event := fmt.Sprintf("an event of the test at %d", time.Now().UnixNano())
	must(t, cluster.Client.Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: stack.ShopNamespace, GenerateName: "checkout-"},
		InvolvedObject: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: stack.ShopNamespace, Name: "checkout"},
		Reason:         "Tested", Message: event, Type: corev1.EventTypeNormal, LastTimestamp: metav1.Now(), Count: 1,
	}))
	must(t, stack.Eventually(ctx, 3*time.Minute, 2*time.Second, func(ctx context.Context) error {
		traces, err := cluster.Traces(ctx, "main", "checkout")
		if err != nil {
			return err
		}
		if len(traces) == 0 {
			return errors.New("Jaeger has no trace of checkout")
		}
		for _, trace := range traces {
			lines, err := cluster.Lines(ctx, "main", fmt.Sprintf(`{k8s_namespace_name="shop"} | trace_id=%q`, trace.ID))
			if err != nil {
				return err
			}
			services := trace.Services()
			if len(lines) > 0 && services["frontend"] && services["checkout"] && services["payment"] {
				return linesOf(trace, lines)
			}
		}
		return fmt.Errorf("none of %d whole traces in Jaeger has a line in Loki", len(traces))
	}))
	must(t, stack.Eventually(ctx, 4*time.Minute, 2*time.Second, func(ctx context.Context) error {
		ids, err := cluster.ExemplarTraces(ctx, "main", `traces_span_metrics_duration_seconds_bucket{service_name="checkout"}`)
		if err != nil {
			return err
		}
		for id := range ids {
			if lines, err := cluster.Lines(ctx, "main", fmt.Sprintf(`{k8s_namespace_name="shop"} | trace_id=%q`, id)); err != nil || len(lines) > 0 {
				return err
			}
		}
		return fmt.Errorf("none of %d exemplars of checkout has a line in Loki", len(ids))
	}))
	must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		lines, err := cluster.Lines(ctx, "main", fmt.Sprintf("{service_name=\"kubernetes-events\"} |= %q | k8s_object_name=\"checkout\"", event))
		if err == nil && len(lines) != 1 {
			err = fmt.Errorf("the event is in Loki %d times", len(lines))
		}
		return err
	}))
}

// linesOf checks that lines of a trace came from the pods of its services.
func linesOf(trace stack.Trace, lines []stack.Line) error {
	for _, line := range lines {
		if service := line.Stream["service_name"]; !trace.Services()[service] {
			return fmt.Errorf("trace %s has a line of %s, of which it has no span", trace.ID, service)
		}
		if line.Stream["k8s_pod_name"] == "" || line.Stream["k8s_container_name"] == "" {
			return fmt.Errorf("a line does not tell its pod: %v", line.Stream)
		}
	}
	return nil
}

// testServiceGraph compares the edges with the calls that test/shop/README.md tells of.
func testServiceGraph(t *testing.T) {
	want := []string{
		"checkout -> cart", "checkout -> payment", "frontend -> cart", "frontend -> catalog", "frontend -> checkout", "load -> frontend",
	}
	must(t, stack.Eventually(contextOf(t, 8*time.Minute), 3*time.Minute, 2*time.Second, func(ctx context.Context) error {
		edges, err := cluster.Edges(ctx, "main")
		if err != nil {
			return err
		}
		slices.Sort(edges)
		if !slices.Equal(edges, want) {
			return fmt.Errorf("the service graph has %v; the shop calls %v", edges, want)
		}
		return nil
	}))
}

// testOutages sends numbered lines, spans and samples. A sampler is killed, and later Loki and Jaeger are away for a
// minute: every line and sample arrives once, and of the spans at most those are lost that the killed sampler held.
func testOutages(t *testing.T) {
	if stack.Existing() {
		t.Skip("processes of an existing cluster can't be killed from here")
	}
	ctx := contextOf(t, 20*time.Minute)
	s := startSender(t, ctx)
	time.Sleep(3 * time.Second)
	before := time.Now()
	must(t, killSampler(ctx))
	killed := time.Now()
	time.Sleep(5 * time.Second)
	away := time.Now()
	for time.Since(away) < time.Minute {
		must(t, errors.Join(killAll("/usr/bin/loki"), killAll("/cmd/jaeger/jaeger-linux")))
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(2 * time.Second)
	s.stop()

	must(t, stack.Eventually(ctx, 3*time.Minute, 2*time.Second, func(ctx context.Context) error { return s.linesArrived(ctx) }))
	must(t, stack.Eventually(ctx, 3*time.Minute, 2*time.Second, func(ctx context.Context) error {
		// Traces are decided after 10 s; those that waited in the killed process are lost.
		return s.spansArrived(ctx, before.Add(-12*time.Second), killed.Add(2*time.Second))
	}))
	must(t, stack.Eventually(ctx, 4*time.Minute, 2*time.Second, func(ctx context.Context) error { return s.samplesArrived(ctx) }))
	ready(t, ctx)
}

// killSampler kills the process of one of the samplers.
func killSampler(ctx context.Context) error {
	var pod corev1.Pod
	if err := cluster.Client.Get(ctx, types.NamespacedName{Namespace: stack.Namespace, Name: "main-collector-sampler-0"}, &pod); err != nil {
		return fmt.Errorf("get a sampler: %w", err)
	}
	processes, err := cluster.Processes("/otelcol-contrib")
	if err != nil {
		return err
	}
	for _, p := range processes {
		if p.PodUID == string(pod.UID) {
			return p.Kill()
		}
	}
	return errors.New("the sampler's process was not found")
}

// killAll kills what runs under a name. A process that has gone meanwhile is none to kill.
func killAll(program string) error {
	processes, err := cluster.Processes(program)
	for _, p := range processes {
		_ = p.Kill() // the next round finds it, if it is there
	}
	return err
}
