// Package proof is the component that tells whether signals flow. The responder proves it (package internal/proof); here
// is what it shall prove, and what the conditions say of its report.
package proof

import (
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const name = "proof"

// Component is the proof of flow.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component; those of the other signals are further conditions.
func (Component) ConditionType() string { return v1alpha1.ConditionMetricsFlowing }

// Build implements component.Component. There are no objects: the configuration is a part of the responder's.
func (Component) Build(component.Input) ([]client.Object, error) { return nil, nil }

// Config says what the responder shall prove, nil for nothing.
func Config(kb *v1alpha1.KubeBot) *config.Proof {
	c := &config.Proof{CollectorURL: endpoints.CollectorHTTP(kb)}
	for _, s := range signals {
		if s.off(kb) == "" {
			c.Signals = append(c.Signals, s.name)
		}
	}
	if len(c.Signals) == 0 {
		return nil
	}
	if slices.Contains(c.Signals, config.SignalLogs) {
		c.LogsBy = config.LogsByOTLP
		if shipped(kb) {
			c.LogsBy = config.LogsByOutput
		}
	}
	return c
}

// signal is what can be proven.
type signal struct {
	name, condition string
	// off says why it can't be, or is empty.
	off func(kb *v1alpha1.KubeBot) string
	// proven and lost say what was found, and what was not.
	proven, lost func(kb *v1alpha1.KubeBot) string
}

var signals = []signal{{
	name: config.SignalMetrics, condition: v1alpha1.ConditionMetricsFlowing,
	off: func(kb *v1alpha1.KubeBot) string {
		return firstOff(collectorOff(kb), missing("Prometheus", endpoints.Prometheus(kb), "spec.metrics.prometheus.mode"))
	},
	proven: fixed("a metric that was sent by OTLP was found in Prometheus"),
	lost:   fixed("no metric that was sent by OTLP was found in Prometheus of late"),
}, {
	name: config.SignalLogs, condition: v1alpha1.ConditionLogsFlowing, off: logsOff,
	proven: func(kb *v1alpha1.KubeBot) string {
		if shipped(kb) {
			return "a line of a pod's output was found in Loki"
		}
		return "a line that was sent by OTLP was found in Loki; the path from the node is not proven, because Fluent Bit is switched off"
	},
	lost: func(kb *v1alpha1.KubeBot) string {
		if shipped(kb) {
			return "no line of the responder's output was found in Loki of late"
		}
		return "no line that was sent by OTLP was found in Loki of late"
	},
}, {
	name: config.SignalTraces, condition: v1alpha1.ConditionTracesFlowing,
	off: func(kb *v1alpha1.KubeBot) string {
		return firstOff(collectorOff(kb), missing("Jaeger", endpoints.Jaeger(kb), "spec.traces.jaeger.mode"))
	},
	proven: fixed("a trace that was sent by OTLP was found in Jaeger"),
	lost:   fixed("no trace that was sent by OTLP was found in Jaeger of late"),
}, {
	name: config.SignalEvents, condition: v1alpha1.ConditionEventsFlowing,
	off: func(kb *v1alpha1.KubeBot) string {
		if kb.Spec.Events.Collection == v1alpha1.SwitchDisabled {
			return "events are not collected, by spec.events.collection"
		}
		return logsOff(kb)
	},
	proven: fixed("an event of the cluster was found in Loki"),
	lost:   fixed("no event that KubeBot made was found in Loki of late"),
}, {
	name: config.SignalAlerts, condition: v1alpha1.ConditionAlertsFlowing, off: alertsOff,
	proven: fixed("the watchdog alert comes through Prometheus and Alertmanager to the responder"),
	lost:   fixed("the watchdog alert has not come through Prometheus and Alertmanager to the responder of late"),
}}

func fixed(text string) func(*v1alpha1.KubeBot) string {
	return func(*v1alpha1.KubeBot) string { return text }
}

func firstOff(reasons ...string) string {
	for _, r := range reasons {
		if r != "" {
			return r
		}
	}
	return ""
}

func missing(what, address, field string) string {
	if address != "" {
		return ""
	}
	return what + " is switched off by " + field
}

func collectorOff(kb *v1alpha1.KubeBot) string {
	return missing("the collector", endpoints.CollectorHost(kb), "spec.traces.collector.mode")
}

func logsOff(kb *v1alpha1.KubeBot) string {
	return firstOff(collectorOff(kb), missing("Loki", endpoints.Loki(kb), "spec.logs.loki.mode"))
}

// shipped tells whether Fluent Bit takes the output of pods.
func shipped(kb *v1alpha1.KubeBot) bool { return kb.Spec.Logs.FluentBit.Mode.Managed() }

// alertsOff says why no watchdog alert can be expected: something must evaluate it and hand it on.
func alertsOff(kb *v1alpha1.KubeBot) string {
	rules := kb.Spec.Alerting.DefaultRules
	switch {
	case rules.Mode == v1alpha1.SwitchDisabled:
		return "the default rules are switched off by spec.alerting.defaultRules.mode"
	case slices.Contains(rules.Disabled, alert.Watchdog):
		return "the alert " + alert.Watchdog + " is switched off by spec.alerting.defaultRules.disabled"
	}
	return firstOff(missing("Prometheus", endpoints.Prometheus(kb), "spec.metrics.prometheus.mode"),
		missing("Alertmanager", endpoints.Alertmanager(kb), "spec.metrics.alertmanager.mode"))
}

// ExpectsAlerts tells whether a watchdog alert can be expected.
func ExpectsAlerts(kb *v1alpha1.KubeBot) bool { return alertsOff(kb) == "" }
