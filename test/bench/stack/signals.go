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
	// arriveWithin is how long what was taken may be on its way before it counts as lost. A short round, in which nobody
	// judges what is lost of a step, waits less for it.
	arriveWithin      = 2 * time.Minute
	arriveWithinShort = 20 * time.Second
	// tracesAtMost is how many traces of a service can be asked for at once.
	tracesAtMost = 1500
	failedTraces = "failed traces"
)

// rates are tried one after the other until something is refused or lost.
var rates = []int{1000, 2000, 4000, 8000, 16000, 32000, 64000}

// Signals is what the default stack carries. Rates are of spans, of lines and of samples at the same time.
type Signals struct {
	// Steady is one rate, held longer.
	Steady Held `json:"steady"`
	// Delay of each signal from emit to the first query that finds it, by signal.
	Delay map[string]Delay `json:"delay"`
	// Steps are the rates that were tried; Carried is the last at which nothing was refused, and nothing lost.
	Steps   []Held `json:"steps"`
	Carried int    `json:"carriedPerSecond"`
}

// Held is a rate that was held, what arrived of it, and what that took.
type Held struct {
	PerSecond int     `json:"perSecond"`
	Seconds   float64 `json:"seconds"`
	Taken     *taken  `json:"taken"`
	// Lost were taken and are not found in their store. Spans are counted by span metrics, before sampling; of the
	// traces those that failed, which sampling keeps. What could not be counted is not in it.
	Lost map[string]int `json:"lost"`
	// Behind is the time from the last answer until the last of what was taken was found: what waited in queues. It is 0
	// where not all was found.
	Behind float64  `json:"behindSeconds"`
	Pods   []PodUse `json:"pods"`
}

// carried tells whether nothing was refused, and all was counted and found.
func (h *Held) carried() bool {
	for _, signal := range []string{"spans", "lines", "samples"} {
		if _, ok := h.Lost[signal]; !ok {
			return false
		}
	}
	return h.Taken.refused() == 0 && h.lost() == 0
}

// lost counts what was lost of all signals; what came twice makes up for nothing.
func (h *Held) lost() int {
	n := 0
	for _, missing := range h.Lost {
		n += max(missing, 0)
	}
	return n
}

// PodUse is what a pod of the stack, on the nodes too, used meanwhile.
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

// measureSignals takes the figures of the signals; what is refused at the end disturbs nothing more.
func (b *bench) measureSignals(ctx context.Context) error {
	if err := b.measureSteady(ctx); err != nil {
		return err
	}
	if err := b.measureDelays(ctx); err != nil {
		return err
	}
	within := arriveWithin
	if b.options.in != "" {
		within = arriveWithinShort
	}
	for _, rate := range rates[:b.options.rates] {
		step, err := b.hold(ctx, "bench-"+strconv.Itoa(rate), rate, b.options.step, within)
		if err != nil {
			return err
		}
		b.report.Signals.Steps = append(b.report.Signals.Steps, step)
		fmt.Printf("   %d a second of each: %d of %d refused, lost %v, all there after %.0f s\n",
			rate, step.Taken.refused(), step.Taken.sent(), step.Lost, step.Behind)
		if !step.carried() {
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

// measureSteady holds the rate at which nothing may be lost.
func (b *bench) measureSteady(ctx context.Context) (err error) {
	steady := &b.report.Signals.Steady
	if *steady, err = b.hold(ctx, "bench-steady", b.options.rate, b.options.hold, arriveWithin); err != nil {
		return err
	}
	if len(steady.Lost) < len(steady.Taken.wanted()) {
		return fmt.Errorf("the stores were not counted, but for %v", steady.Lost)
	}
	fmt.Printf("   %d a second of each for %.0f s: lost %v\n", steady.PerSecond, steady.Seconds, steady.Lost)
	return nil
}

// hold sends at a rate, measures what that takes, and counts in the stores what arrives in time.
func (b *bench) hold(ctx context.Context, service string, rate int, duration, within time.Duration) (h Held, err error) {
	before, err := b.usage(ctx)
	if err != nil {
		return h, err
	}
	if h.Taken, err = b.send(ctx, service, rate, duration); err != nil {
		return h, err
	}
	after, err := b.usage(ctx)
	if err != nil {
		return h, err
	}
	h.PerSecond, h.Seconds = rate, round(h.Taken.Ended.Sub(h.Taken.Started).Seconds())
	h.Pods = podUse(before, after)
	counters := b.counters(service)
	h.Lost = map[string]int{}
	err = stack.Eventually(ctx, within, 2*time.Second, func(ctx context.Context) error { return count(ctx, h.Taken.wanted(), counters, h.Lost) })
	if err == nil {
		h.Behind = round(time.Since(h.Taken.Ended).Seconds())
	}
	return h, ctx.Err() // what is not there in time is lost
}

// wanted are what the stores must have, as far as they can be asked.
func (t *taken) wanted() map[string]int {
	wanted := map[string]int{
		"spans": t.Spans.Sent - t.Spans.Refused, "lines": t.Lines.Sent - t.Lines.Refused, "samples": t.Samples.Sent - t.Samples.Refused,
	}
	if t.Failed <= tracesAtMost {
		wanted[failedTraces] = t.Failed
	}
	return wanted
}

// counter counts in a store.
type counter func(context.Context) (int, error)

// count notes what is still missing, and returns an error while something is. A store that had all is not asked again: the
// others have to get on.
func count(ctx context.Context, wanted map[string]int, counters map[string]counter, lost map[string]int) error {
	var errs []error
	for what, n := range wanted {
		if missing, ok := lost[what]; ok && missing <= 0 {
			continue
		}
		found, err := counters[what](ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if lost[what] = n - found; found < n {
			errs = append(errs, fmt.Errorf("%d of %d %s are there", found, n, what))
		}
	}
	return errors.Join(errs...)
}

// counters count what the stores have of a service.
func (b *bench) counters(service string) map[string]counter {
	prometheus := func(query string) counter {
		return func(ctx context.Context) (int, error) {
			result, err := b.Query(ctx, kubebotName, query)
			if err != nil || len(result) != 1 {
				return 0, err
			}
			n, err := strconv.ParseFloat(fmt.Sprint(result[0].Value[1]), 64)
			if err != nil {
				return 0, fmt.Errorf("read the answer to %s: %w", query, err)
			}
			return int(n), nil
		}
	}
	return map[string]counter{
		"spans":   prometheus(fmt.Sprintf(`sum(traces_span_metrics_calls_total{service_name=%q})`, service)),
		"samples": prometheus(fmt.Sprintf(`sum(count_over_time(%s{job=~"(.*/)?%s"}[30m]))`, sampleName, service)),
		"lines": func(ctx context.Context) (int, error) {
			return b.CountLines(ctx, kubebotName, fmt.Sprintf(`sum(count_over_time({service_name=%q}[30m]))`, service))
		},
		failedTraces: func(ctx context.Context) (int, error) {
			traces, err := b.Traces(ctx, kubebotName, service, `{"error":"true"}`)
			return len(traces), err
		},
	}
}

// podUsage is CPU time in nanoseconds and memory in bytes, as the kubelet measured them at a time.
type podUsage struct {
	cpu, memory uint64
	at          time.Time
}

// usage of the stack's pods, those of the nodes among them, by name.
func (b *bench) usage(ctx context.Context) (map[string]podUsage, error) {
	summaries, err := b.summaries(ctx)
	return usageOf(summaries), err
}

func usageOf(summaries []summary) map[string]podUsage {
	all := map[string]podUsage{}
	for _, s := range summaries {
		for _, pod := range s.Pods {
			if ns := pod.PodRef.Namespace; ns != stack.Namespace && ns != stack.Release+"-nodes" {
				continue
			}
			var u podUsage
			for _, c := range pod.Containers {
				u.cpu += c.CPU.UsageCoreNanoSeconds
				u.memory += c.Memory.WorkingSetBytes
				if c.CPU.Time.After(u.at) {
					u.at = c.CPU.Time
				}
			}
			all[pod.PodRef.Name] = u
		}
	}
	return all
}

// podUse is what pods used between two looks of the kubelet, which come every ten seconds or so. Where there was only one,
// nothing is known to be used.
func podUse(before, after map[string]podUsage) []PodUse {
	var list []PodUse
	for name, u := range after {
		old, ok := before[name]
		if !ok || u.cpu < old.cpu {
			continue
		}
		use := PodUse{Pod: name, WorkingSet: u.memory}
		if elapsed := u.at.Sub(old.at); elapsed > 0 {
			use.Cores = round(float64(u.cpu-old.cpu) / float64(elapsed.Nanoseconds()))
		}
		list = append(list, use)
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
				if failed = stack.Eventually(ctx, arriveWithin, 100*time.Millisecond, func(ctx context.Context) error {
					return signal.found(ctx, service)
				}); failed != nil {
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
