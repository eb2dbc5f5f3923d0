package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/test/stack"
)

// batch is how many alerts one post holds: Prometheus posts at most 256 at once.
const batch = 100

// sentAlert is an alert with the channel that it must reach.
type sentAlert struct {
	labels  map[string]string
	channel int
}

// alerts are all alerts of the round, by their place.
func (r *round) alerts() []sentAlert {
	list := make([]sentAlert, r.Alerts)
	for i := range list {
		workload := i % r.Workloads
		channel := workload % r.Channels
		list[i] = sentAlert{channel: channel, labels: map[string]string{
			alert.LabelName: fmt.Sprintf("ChaosAlert%d", i/r.Workloads), alert.LabelSeverity: "critical", alert.LabelNamespace: r.namespace(channel),
			alert.LabelWorkloadKind: "Deployment", alert.LabelWorkload: fmt.Sprintf("app-%d", workload), "chaos_id": strconv.Itoa(i),
		}}
	}
	return list
}

// send posts all alerts to Alertmanager over four fifths of the storm, each batch until it is taken.
func (r *round) send(ctx context.Context) error {
	list := r.alerts()
	batches := (len(list) + batch - 1) / batch
	pause := r.length() * 4 / 5 / time.Duration(batches)
	for i := 0; i < len(list); i += batch {
		part := list[i:min(i+batch, len(list))]
		err := stack.Eventually(ctx, 5*time.Minute, time.Second, func(ctx context.Context) error { return r.post(ctx, part) })
		if err != nil {
			return fmt.Errorf("post alerts to Alertmanager: %w", err)
		}
		r.report.Sent += len(part)
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
	r.say("%d alerts were sent", r.report.Sent)
	return nil
}

func (r *round) post(ctx context.Context, part []sentAlert) error {
	type posted struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		EndsAt      time.Time         `json:"endsAt"`
	}
	// Nobody posts them again as Prometheus would, so they say how long they fire: past the end of the round.
	ends := time.Now().Add(2 * time.Hour)
	list := make([]posted, len(part))
	for i, a := range part {
		list[i] = posted{Labels: a.labels, EndsAt: ends, Annotations: map[string]string{"summary": a.labels[alert.LabelName] + " fires"}}
	}
	body, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode alerts: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	service := r.kubebot + "-alertmanager:9093"
	if _, err := r.ServicePost(ctx, stack.Namespace, service, "api/v2/alerts", body); err != nil {
		return fmt.Errorf("post %d alerts to %s: %w", len(part), service, err)
	}
	return nil
}
