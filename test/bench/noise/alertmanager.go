package noise

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// grouping is a route of Alertmanager's.
type grouping struct{ wait, interval, repeat time.Duration }

// plain is what Alertmanager's documentation and its sample configuration use; ahead is what KubeBot's own Alertmanager has.
var (
	plain = grouping{wait: 30 * time.Second, interval: 5 * time.Minute, repeat: 4 * time.Hour}
	ahead = grouping{wait: time.Second, interval: 5 * time.Second, repeat: time.Hour}
)

// alertmanager is Alertmanager's own code from the store of alerts to the call of a receiver, without silences, inhibition
// and mute times.
type alertmanager struct{ alerts *mem.Alerts }

// always sends the end too, or never.
type always bool

// SendResolved tells whether the end is sent.
func (a always) SendResolved() bool { return bool(a) }

// receiver is called with what Alertmanager sends.
type receiver func(ctx context.Context, alerts []*types.Alert)

// Notify calls it.
func (r receiver) Notify(ctx context.Context, alerts ...*types.Alert) (bool, error) {
	r(ctx, alerts)
	return false, nil
}

// startAlertmanager runs one until stop is called.
func startAlertmanager(g grouping, resolved bool, to receiver) (am *alertmanager, stop func(), err error) {
	registry, logger := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	marker := types.NewMarker(registry)
	ctx, cancel := context.WithCancel(context.Background())
	alerts, err := mem.NewAlerts(ctx, marker, 30*time.Minute, 0, nil, logger, registry, featurecontrol.NoopFlags{})
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("make Alertmanager's store: %w", err)
	}
	log, err := nflog.New(nflog.Options{Retention: 120 * time.Hour, Logger: logger, Metrics: registry})
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("make Alertmanager's log of notifications: %w", err)
	}
	const name = "oncall"
	integration := notify.NewIntegration(to, always(resolved), "webhook", 0, name)
	who := &nflogpb.Receiver{GroupName: name, Integration: "webhook"}
	metrics := notify.NewMetrics(registry, featurecontrol.NoopFlags{})
	metrics.InitializeFor(map[string][]notify.Integration{name: {integration}})
	stage := notify.RoutingStage{name: notify.MultiStage{
		notify.NewDedupStage(&integration, log, who), notify.NewRetryStage(integration, name, metrics), notify.NewSetNotifiesStage(log, who),
	}}
	wait, interval, repeat := model.Duration(g.wait), model.Duration(g.interval), model.Duration(g.repeat)
	route := dispatch.NewRoute(&amconfig.Route{
		Receiver: name, GroupByStr: []string{"namespace", "alertname"}, GroupBy: []model.LabelName{"namespace", "alertname"},
		GroupWait: &wait, GroupInterval: &interval, RepeatInterval: &repeat,
	}, nil)
	timeout := func(d time.Duration) time.Duration { return max(d, notify.MinTimeout) }
	d := dispatch.NewDispatcher(alerts, route, stage, marker, timeout, 30*time.Second, nil, logger, dispatch.NewDispatcherMetrics(false, registry))
	go d.Run(time.Now())
	return &alertmanager{alerts: alerts}, func() {
		d.Stop()
		alerts.Close()
		cancel()
	}, nil
}

// put gives it an alert as Prometheus sends it: firing, with an end far away, or resolved.
func (am *alertmanager) put(ctx context.Context, a *Alert, firing bool) error {
	now := time.Now()
	out := &types.Alert{Alert: model.Alert{
		Labels: set(a.Labels), Annotations: set(a.Annotations), StartsAt: a.Start, EndsAt: a.Start.Add(30 * 24 * time.Hour),
	}, UpdatedAt: now}
	if !firing {
		out.EndsAt = a.End
	}
	if err := am.alerts.Put(ctx, out); err != nil {
		return fmt.Errorf("give Alertmanager an alert: %w", err)
	}
	return nil
}

func set(labels map[string]string) model.LabelSet {
	out := make(model.LabelSet, len(labels))
	for name, value := range labels {
		out[model.LabelName(name)] = model.LabelValue(value)
	}
	return out
}
