package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// flow is one signal of the proof of flow.
type flow struct {
	Signal string `json:"signal"`
	// Flows tells whether it is proven.
	Flows bool `json:"flows"`
	// Message says how, or why not.
	Message string `json:"message"`
	// DelaySeconds is the time from sending to finding of the last proof, 0 where nothing is sent: alerts come by
	// themselves.
	DelaySeconds float64 `json:"delaySeconds,omitempty"`
}

// signals in the order in which they are shown.
var signals = []struct{ name, condition string }{
	{"metrics", v1alpha1.ConditionMetricsFlowing}, {"logs", v1alpha1.ConditionLogsFlowing}, {"traces", v1alpha1.ConditionTracesFlowing},
	{"events", v1alpha1.ConditionEventsFlowing}, {"alerts", v1alpha1.ConditionAlertsFlowing},
}

// flow waits until every signal is proven to flow, and says how.
func (d *demo) flow(ctx context.Context) error {
	for _, s := range signals {
		if err := d.cluster.WaitCondition(ctx, "main", s.condition, metav1.ConditionTrue, 2*time.Minute); err != nil {
			return err
		}
	}
	kb, err := d.cluster.KubeBot(ctx, "main")
	if err != nil {
		return err
	}
	delays, err := d.delays(ctx)
	if err != nil {
		return err
	}
	for _, s := range signals {
		for _, c := range kb.Status.Conditions {
			if c.Type == s.condition {
				d.report.Flows = append(d.report.Flows, flow{s.name, c.Status == metav1.ConditionTrue, c.Message, delays[s.name]})
			}
		}
	}
	for _, e := range kb.Status.Endpoints {
		if e.Name == "dashboards" {
			d.report.Dashboard = e.URL
		}
	}
	return nil
}

// delays are the seconds that the last proof of each signal took.
func (d *demo) delays(ctx context.Context) (map[string]float64, error) {
	delays := map[string]float64{}
	err := stack.Eventually(ctx, time.Minute, time.Second, func(ctx context.Context) error {
		samples, err := d.cluster.Query(ctx, "main", "max by (signal) (kubebot_proof_delay_seconds)")
		if err != nil {
			return err
		}
		for _, s := range samples {
			var seconds float64
			if _, err := fmt.Sscan(fmt.Sprint(s.Value[1]), &seconds); err != nil {
				return fmt.Errorf("read the delay of %s: %w", s.Metric["signal"], err)
			}
			delays[s.Metric["signal"]] = round(seconds)
		}
		if len(delays) < len(signals)-1 {
			return fmt.Errorf("the delays of %d signals are scraped yet", len(delays))
		}
		return nil
	})
	return delays, err
}

// showFlows shows the proof of flow, the home dashboard's address, and what does not run.
func (d *demo) showFlows() {
	_, _ = fmt.Fprintln(d.out, "\nWhat KubeBot sent through the whole path, and found at its end:")
	for _, f := range d.report.Flows {
		state, took := "does NOT flow", ""
		if f.Flows {
			state = "flows"
		}
		if f.DelaySeconds > 0 {
			took = fmt.Sprintf(" (%.0f s)", f.DelaySeconds)
		}
		_, _ = fmt.Fprintf(d.out, "  %-8s %s: %s%s\n", f.Signal, state, f.Message, took)
	}
	d.showParts()
}
