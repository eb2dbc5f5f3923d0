package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/testutil/tree"
	"github.com/kubebot/kubebot/test/stack"
)

const (
	// sampleName is the metric that the sender sends.
	sampleName = "bench_sample"
	// arriveWithin is how long what was taken may be on its way before it counts as lost.
	arriveWithin = 2 * time.Minute
)

// rates are tried one after the other until something is refused.
var rates = []int{1000, 2000, 4000, 8000, 16000, 32000, 64000}

// Signals is what the default stack carries. Rates are of spans, of lines and of samples at the same time.
type Signals struct {
	// Steady is one rate, held.
	Steady Steady `json:"steady"`
	// Delay of each signal from emit to the first query that finds it, by signal.
	Delay map[string]Delay `json:"delay"`
	// Steps are the rates that were tried; Carried is the last at which nothing was refused.
	Steps   []Step `json:"steps"`
	Carried int    `json:"carriedPerSecond"`
}

// Steady is a rate that was held, what arrived of it, and what that took.
type Steady struct {
	PerSecond int     `json:"perSecond"`
	Seconds   float64 `json:"seconds"`
	Taken     *taken  `json:"taken"`
	// Lost were taken and are not found in their store. Spans are counted by span metrics, before sampling; of the
	// traces those that failed, which sampling keeps.
	Lost map[string]int `json:"lost"`
	Pods []PodUse       `json:"pods"`
}

// PodUse is what a pod of the stack used meanwhile.
type PodUse struct {
	Pod string `json:"pod"`
	// Cores is CPU time by time, WorkingSet memory at the end in bytes.
	Cores      float64 `json:"cores"`
	WorkingSet uint64  `json:"workingSetBytes"`
}

// Delay in seconds.
type Delay struct {
	Rounds int     `json:"rounds"`
	P50    float64 `json:"p50Seconds"`
	P99    float64 `json:"p99Seconds"`
}

// Step is one rate that was tried.
type Step struct {
	PerSecond int    `json:"perSecond"`
	Taken     *taken `json:"taken"`
}

// measureSignals takes the figures of the signals; what is refused at the end disturbs nothing more.
func (b *bench) measureSignals(ctx context.Context) error {
	if err := b.measureSteady(ctx); err != nil {
		return err
	}
	if err := b.measureDelays(ctx); err != nil {
		return err
	}
	for _, rate := range rates[:b.options.rates] {
		result, err := b.send(ctx, "bench-"+strconv.Itoa(rate), rate, b.options.step)
		if err != nil {
			return err
		}
		b.report.Signals.Steps = append(b.report.Signals.Steps, Step{PerSecond: rate, Taken: result})
		fmt.Printf("   %d a second of each: %d of %d refused\n", rate, result.refused(), result.sent())
		if result.refused() > 0 {
			return nil
		}
		b.report.Signals.Carried = rate
	}
	return nil
}

func (t *taken) refused() int { return t.Spans.Refused + t.Lines.Refused + t.Samples.Refused }
func (t *taken) sent() int    { return t.Spans.Sent + t.Lines.Sent + t.Samples.Sent }

// send runs the sender inside the cluster's network.
func (b *bench) send(ctx context.Context, service string, rate int, duration time.Duration) (*taken, error) {
	var s corev1.Service
	if err := b.Client.Get(ctx, types.NamespacedName{Namespace: stack.Namespace, Name: kubebotName + "-collector"}, &s); err != nil {
		return nil, fmt.Errorf("get the collector's Service: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	within := sendWithin
	if b.options.in != "" {
		within = sendWithinShort
	}
	in, err := json.Marshal(telemetry{
		Collector: fmt.Sprintf("%s:%d", s.Spec.ClusterIP, endpoints.OTLPGRPCPort), Service: service, PerSecond: rate, For: duration, Within: within,
	})
	if err != nil {
		return nil, fmt.Errorf("encode what to send: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(tree.Cache(), "bin", "kubebot-cluster"), "exec", "--name", b.Name, "--", self, senderCommand)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("send %d a second: %w: %s", rate, err, bytes.TrimSpace(errs.Bytes()))
	}
	result := &taken{}
	if err := json.Unmarshal(out.Bytes(), result); err != nil {
		return nil, fmt.Errorf("read what was taken: %w", err)
	}
	return result, nil
}

// measureSteady holds one rate and counts in the stores.
func (b *bench) measureSteady(ctx context.Context) error {
	service, steady := "bench-steady", &b.report.Signals.Steady
	before, err := b.usage(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if steady.Taken, err = b.send(ctx, service, b.options.rate, b.options.hold); err != nil {
		return err
	}
	after, err := b.usage(ctx)
	if err != nil {
		return err
	}
	steady.PerSecond, steady.Seconds = b.options.rate, round(steady.Taken.Ended.Sub(steady.Taken.Started).Seconds())
	steady.Pods = podUse(before, after, time.Since(began))
	wanted := map[string]int{
		"spans": steady.Taken.Spans.Sent - steady.Taken.Spans.Refused, "lines": steady.Taken.Lines.Sent - steady.Taken.Lines.Refused,
		"samples": steady.Taken.Samples.Sent - steady.Taken.Samples.Refused, "failed traces": steady.Taken.Failed,
	}
	_ = stack.Eventually(ctx, arriveWithin, 2*time.Second, func(ctx context.Context) error {
		found, err := b.found(ctx, service)
		if err != nil {
			return err
		}
		steady.Lost = map[string]int{}
		missing := false
		for what, n := range wanted {
			steady.Lost[what] = n - found[what]
			missing = missing || n != found[what]
		}
		if missing {
			return errors.New("not all is there yet")
		}
		return nil
	})
	if steady.Lost == nil {
		return errors.New("the stores were not counted: none answered")
	}
	fmt.Printf("   %d a second of each for %.0f s: lost %v\n", steady.PerSecond, steady.Seconds, steady.Lost)
	return nil
}

// found counts what the stores have of a service.
func (b *bench) found(ctx context.Context, service string) (map[string]int, error) {
	found := map[string]int{}
	for what, query := range map[string]string{
		"spans":   fmt.Sprintf(`sum(traces_span_metrics_calls_total{service_name=%q})`, service),
		"samples": fmt.Sprintf(`sum(count_over_time(%s{job=~"(.*/)?%s"}[30m]))`, sampleName, service),
	} {
		result, err := b.Query(ctx, kubebotName, query)
		if err != nil {
			return nil, err
		}
		if len(result) == 1 {
			n, err := strconv.ParseFloat(fmt.Sprint(result[0].Value[1]), 64)
			if err != nil {
				return nil, fmt.Errorf("read the answer to %s: %w", query, err)
			}
			found[what] = int(n)
		}
	}
	var err error
	if found["lines"], err = b.CountLines(ctx, kubebotName, fmt.Sprintf(`sum(count_over_time({service_name=%q}[30m]))`, service)); err != nil {
		return nil, err
	}
	traces, err := b.Traces(ctx, kubebotName, service, `{"error":"true"}`)
	found["failed traces"] = len(traces)
	return found, err
}

// podUsage is CPU time in nanoseconds and memory in bytes.
type podUsage struct{ cpu, memory uint64 }

// usage of the stack's pods, by name.
func (b *bench) usage(ctx context.Context) (map[string]podUsage, error) {
	all := map[string]podUsage{}
	summaries, err := b.summaries(ctx)
	for _, s := range summaries {
		for _, pod := range s.Pods {
			if pod.PodRef.Namespace != stack.Namespace {
				continue
			}
			var u podUsage
			for _, c := range pod.Containers {
				u.cpu += c.CPU.UsageCoreNanoSeconds
				u.memory += c.Memory.WorkingSetBytes
			}
			all[pod.PodRef.Name] = u
		}
	}
	return all, err
}

func podUse(before, after map[string]podUsage, elapsed time.Duration) []PodUse {
	var list []PodUse
	for name, u := range after {
		if old, ok := before[name]; ok && u.cpu >= old.cpu {
			list = append(list, PodUse{Pod: name, Cores: round(float64(u.cpu-old.cpu) / float64(elapsed.Nanoseconds())), WorkingSet: u.memory})
		}
	}
	slices.SortFunc(list, func(a, b PodUse) int { return strings.Compare(a.Pod, b.Pod) })
	return list
}

// measureDelays sends one of each signal, again and again, and asks its store until it is there.
func (b *bench) measureDelays(ctx context.Context) error {
	b.report.Signals.Delay = map[string]Delay{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs []error
	for name, signal := range b.probes() {
		wg.Go(func() {
			var seconds []float64
			var failed error
			for round := range b.options.delays {
				began := time.Now()
				service := fmt.Sprintf("bench-delay-%s-%d", name, round)
				if failed = signal.send(ctx, service, began); failed != nil {
					break
				}
				if failed = stack.Eventually(ctx, arriveWithin, 100*time.Millisecond, func(ctx context.Context) error { return signal.found(ctx, service) }); failed != nil {
					break
				}
				seconds = append(seconds, time.Since(began).Seconds())
			}
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				errs = append(errs, fmt.Errorf("delay of a %s: %w", name, failed))
			}
			b.report.Signals.Delay[name] = Delay{Rounds: len(seconds), P50: round(percentile(seconds, 50)), P99: round(percentile(seconds, 99))}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// probe is one signal to be timed.
type probe struct {
	send  func(ctx context.Context, service string, now time.Time) error
	found func(ctx context.Context, service string) error
}

var errNotThere = errors.New("it is not there yet")

func some(n int, err error) error {
	if err == nil && n == 0 {
		err = errNotThere
	}
	return err
}

// probes are the signals that people emit.
func (b *bench) probes() map[string]probe {
	one := func(service string) telemetry { return telemetry{Service: service} }
	return map[string]probe{
		"line": {
			func(ctx context.Context, service string, now time.Time) error {
				return b.sendOTLP(ctx, "logs", plogotlp.NewExportRequestFromLogs(one(service).lines(now, 0, 1)).MarshalJSON)
			},
			func(ctx context.Context, service string) error {
				lines, err := b.Lines(ctx, kubebotName, fmt.Sprintf("{service_name=%q}", service))
				return some(len(lines), err)
			},
		},
		"span": {
			func(ctx context.Context, service string, now time.Time) error {
				traces, _ := one(service).spans(now, 0, spansPerTrace)
				return b.sendOTLP(ctx, "traces", ptraceotlp.NewExportRequestFromTraces(traces).MarshalJSON)
			},
			func(ctx context.Context, service string) error {
				traces, err := b.Traces(ctx, kubebotName, service)
				return some(len(traces), err)
			},
		},
		"sample": {
			func(ctx context.Context, service string, now time.Time) error {
				return b.sendOTLP(ctx, "metrics", pmetricotlp.NewExportRequestFromMetrics(one(service).samples(now, 0, 1)).MarshalJSON)
			},
			func(ctx context.Context, service string) error {
				result, err := b.Query(ctx, kubebotName, fmt.Sprintf(`%s{job=~"(.*/)?%s"}`, sampleName, service))
				return some(len(result), err)
			},
		},
		"event": {
			func(ctx context.Context, service string, now time.Time) error {
				return b.Client.Create(ctx, &corev1.Event{
					ObjectMeta:     metav1.ObjectMeta{Namespace: benchNamespace, GenerateName: "bench-"},
					InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: benchNamespace, Namespace: benchNamespace},
					Reason:         "Bench", Message: service, Type: corev1.EventTypeNormal, LastTimestamp: metav1.NewTime(now), Count: 1,
				})
			},
			func(ctx context.Context, service string) error {
				lines, err := b.Lines(ctx, kubebotName, fmt.Sprintf("{service_name=%q} |= %q", endpoints.EventsService, service))
				return some(len(lines), err)
			},
		},
	}
}

func (b *bench) sendOTLP(ctx context.Context, signal string, marshal func() ([]byte, error)) error {
	body, err := marshal()
	if err != nil {
		return fmt.Errorf("encode %s: %w", signal, err)
	}
	return b.SendOTLP(ctx, kubebotName, signal, body)
}
