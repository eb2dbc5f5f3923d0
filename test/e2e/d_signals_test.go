//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/archive"
	"github.com/kubebot/kubebot/internal/component/otelcol"
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
	t.Run("the sampling keeps errors, slow traces and a share of the rest, each whole", testSampling)
	t.Run("killed collectors and stores that are away lose nothing", testOutages)
}

// flowing waits until every signal is proven to flow.
func flowing(t *testing.T, ctx context.Context) {
	t.Helper()
	for _, condition := range flows {
		must(t, cluster.WaitCondition(ctx, "main", condition, metav1.ConditionTrue, readyTime))
	}
}

// testOneRequest follows one request of the shop: an exemplar in Prometheus names its trace, which is whole in Jaeger, and
// the lines that its services wrote to their pods' output are in Loki under the same ID. An event that names it is in Loki
// once. The archive has all of it.
func testOneRequest(t *testing.T) {
	ctx := contextOf(t, 20*time.Minute)
	id := requestInThreeStores(t, ctx)
	event := fmt.Sprintf("the test saw trace %s at %d", id, time.Now().UnixNano())
	must(t, tell(ctx, event))
	must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error { return toldOnce(ctx, event) }))
	if !stack.Existing() {
		must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error { return archived(ctx, id, event) }))
	}
}

// archived checks that the archive's files hold the spans and lines of a trace, an event, and what Prometheus scraped. The
// writer's image has no shell, so they are read through its process.
func archived(ctx context.Context, id, event string) error {
	var pod corev1.Pod
	if err := cluster.Client.Get(ctx, key(stack.Namespace, "main-archive-0"), &pod); err != nil {
		return fmt.Errorf("get the archive's pod: %w", err)
	}
	processes, err := cluster.Processes("/otelcol-contrib")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(processes, func(p stack.Process) bool { return p.PodUID == string(pod.UID) })
	if i < 0 {
		return errors.New("the archive's process was not found")
	}
	dir := filepath.Join("/proc", strconv.Itoa(processes[i].PID), "root", otelcol.DataDir, archive.Folder)
	for signal, texts := range map[string][]string{
		"traces": {`"traceId":"` + id + `"`}, "logs": {`"traceId":"` + id + `"`, event}, "metrics": {"kube_pod_status_phase", "traces.span.metrics"},
	} {
		files, err := filepath.Glob(filepath.Join(dir, signal+"*"))
		if err != nil {
			return err
		}
		var all []byte
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("read the archive: %w", err)
			}
			all = append(all, data...)
		}
		for _, text := range texts {
			if !bytes.Contains(all, []byte(text)) {
				return fmt.Errorf("the archive's %d files of %s, %d bytes, have no %s", len(files), signal, len(all), text)
			}
		}
	}
	return nil
}

// requestInThreeStores returns the ID of a trace. The shop also sends its lines by OTLP; those that were read from the
// pods' output have the stream that they were written to.
func requestInThreeStores(t *testing.T, ctx context.Context) (id string) {
	must(t, stack.Eventually(ctx, 6*time.Minute, 2*time.Second, func(ctx context.Context) error {
		exemplars, err := cluster.ExemplarTraces(ctx, "main", `traces_span_metrics_duration_seconds_bucket{service_name="checkout"}`)
		if err != nil {
			return err
		}
		traces, err := cluster.Traces(ctx, "main", "checkout")
		if err != nil {
			return err
		}
		whole := 0
		for _, trace := range traces {
			services := trace.Services()
			if !exemplars[trace.ID] || !services["frontend"] || !services["checkout"] || !services["payment"] {
				continue
			}
			whole++
			lines, err := cluster.Lines(ctx, "main", fmt.Sprintf(`{k8s_namespace_name="shop"} | trace_id=%q | log_iostream!=""`, trace.ID))
			if err != nil {
				return err
			}
			if len(lines) > 0 {
				id = trace.ID
				return linesOf(trace, lines)
			}
		}
		return fmt.Errorf("of %d traces in Jaeger and %d exemplars in Prometheus, %d are of the same request, and Loki has no line of the pods' output about these",
			len(traces), len(exemplars), whole)
	}))
	return id
}

// tell makes an event about the shop's checkout.
func tell(ctx context.Context, message string) error {
	return cluster.Client.Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: stack.ShopNamespace, GenerateName: "checkout-"},
		InvolvedObject: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: stack.ShopNamespace, Name: "checkout"},
		Reason:         "Tested", Message: message, Type: corev1.EventTypeNormal, LastTimestamp: metav1.Now(), Count: 1,
	})
}

// toldOnce checks that such an event is in Loki once.
func toldOnce(ctx context.Context, message string) error {
	lines, err := cluster.Lines(ctx, "main", fmt.Sprintf("{service_name=\"kubernetes-events\"} |= %q | k8s_object_name=\"checkout\"", message))
	if err == nil && len(lines) != 1 {
		err = fmt.Errorf("the event is in Loki %d times", len(lines))
	}
	return err
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

// testOutages sends numbered lines, spans and samples. A process of each tier of the collector is killed, and later Loki
// and Jaeger are away for a minute: every line and sample arrives once, and of the spans at most those are lost that the
// killed sampler held.
func testOutages(t *testing.T) {
	if stack.Existing() {
		t.Skip("processes of an existing cluster can't be killed from here")
	}
	ctx := contextOf(t, 20*time.Minute)
	s := startSender(t, ctx)
	time.Sleep(3 * time.Second)
	before := time.Now()
	must(t, errors.Join(killCollector(ctx, "collector-sampler"), killCollector(ctx, "collector")))
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

// killCollector kills one of the processes of a tier.
func killCollector(ctx context.Context, tier string) error {
	var pods corev1.PodList
	if err := cluster.Client.List(ctx, &pods, client.InNamespace(stack.Namespace), client.MatchingLabels{"app.kubernetes.io/name": tier, "kubebot.io/name": "main"}); err != nil {
		return fmt.Errorf("list the pods of %s: %w", tier, err)
	}
	processes, err := cluster.Processes("/otelcol-contrib")
	if err != nil {
		return err
	}
	for _, p := range processes {
		if slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool { return p.PodUID == string(pod.UID) }) {
			return p.Kill()
		}
	}
	return fmt.Errorf("no process of the %d pods of %s was found", len(pods.Items), tier)
}

// killAll kills what runs under a name. A process that has gone meanwhile is none to kill.
func killAll(program string) error {
	processes, err := cluster.Processes(program)
	for _, p := range processes {
		_ = p.Kill() // the next round finds it, if it is there
	}
	return err
}
