package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/test/stack"
)

// Crash is the time from a container's first end to the message that Slack accepted. Kubernetes keeps that end in whole
// seconds, so each time is up to one second too long.
type Crash struct {
	Seconds []float64 `json:"seconds"`
	Median  float64   `json:"medianSeconds"`
}

func (b *bench) measureCrashes(ctx context.Context) error {
	for i := range b.options.crashes {
		seconds, err := b.crash(ctx, fmt.Sprintf("crash-%d", i))
		if err != nil {
			return err
		}
		b.report.Crash.Seconds = append(b.report.Crash.Seconds, round(seconds))
	}
	b.report.Crash.Median = percentile(b.report.Crash.Seconds, 50)
	return nil
}

// crash deploys a workload whose container ends at once and takes it away after its message.
func (b *bench) crash(ctx context.Context, name string) (float64, error) {
	if err := b.Apply(ctx, fmt.Sprintf(crashManifest, name)); err != nil {
		return 0, err
	}
	ended, err := b.firstEnd(ctx, name)
	if err != nil {
		return 0, err
	}
	var accepted time.Time
	err = stack.Eventually(ctx, 5*time.Minute, time.Second, func(ctx context.Context) error {
		messages, err := b.SlackMessages(ctx)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if strings.Contains(m.String(), name) {
				accepted, err = slackTime(m.TS)
				return err
			}
		}
		return fmt.Errorf("no message about %s among %d yet", name, len(messages))
	})
	if err != nil {
		return 0, err
	}
	if _, err := b.Kubectl(ctx, "-n", benchNamespace, "delete", "deployment", name); err != nil {
		return 0, err
	}
	return accepted.Sub(ended).Seconds(), nil
}

// firstEnd waits for the first end of the workload's container.
func (b *bench) firstEnd(ctx context.Context, name string) (time.Time, error) {
	var ended time.Time
	err := stack.Eventually(ctx, 4*time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
		var pods corev1.PodList
		if err := b.Client.List(ctx, &pods, client.InNamespace(benchNamespace), client.MatchingLabels{"app.kubernetes.io/name": name}); err != nil {
			return fmt.Errorf("list pods of %s: %w", name, err)
		}
		for _, pod := range pods.Items {
			for _, status := range pod.Status.ContainerStatuses {
				if at, ok := firstTermination(status); ok {
					ended = at
					return nil
				}
			}
		}
		return fmt.Errorf("no container of %s has ended", name)
	})
	return ended, err
}

// firstTermination returns when the container ended for the first time; false when it did not end or ended again.
func firstTermination(status corev1.ContainerStatus) (time.Time, bool) {
	if t := status.State.Terminated; t != nil && status.RestartCount == 0 {
		return t.FinishedAt.Time, true
	}
	if t := status.LastTerminationState.Terminated; t != nil && status.RestartCount == 1 && status.State.Terminated == nil {
		return t.FinishedAt.Time, true
	}
	return time.Time{}, false
}

// slackTime reads a message's timestamp: seconds since 1970, a point and microseconds.
func slackTime(ts string) (time.Time, error) {
	seconds, micros, ok := strings.Cut(ts, ".")
	s, err1 := strconv.ParseInt(seconds, 10, 64)
	u, err2 := strconv.ParseInt(micros, 10, 64)
	if !ok || len(micros) != 6 || err1 != nil || err2 != nil {
		return time.Time{}, fmt.Errorf("the timestamp %q is none of Slack's", ts)
	}
	return time.Unix(s, u*1000), nil
}
