package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/apply"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/credentials"
)

const failed = "failed"

// Metrics count what the controllers did. No label holds an object's name.
type Metrics struct {
	applies   *prometheus.CounterVec
	prunes    *prometheus.CounterVec
	rotations *prometheus.CounterVec
	ready     *prometheus.GaugeVec
	incidents *prometheus.CounterVec

	components []component.Component
}

// NewMetrics registers the metrics, each known label set of a counter at zero.
func NewMetrics(registry prometheus.Registerer, components []component.Component) *Metrics {
	m := &Metrics{
		applies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubebot_applies_total", Help: "Objects that were compared with what is wanted, by what came of it.",
		}, []string{"result"}),
		prunes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubebot_prunes_total", Help: "Objects that were no longer wanted, by what came of it.",
		}, []string{"result"}),
		rotations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubebot_credential_steps_total", Help: "Renewals of the generated credentials, by step.",
		}, []string{"step"}),
		ready: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kubebot_component_ready", Help: "Whether a component of the active KubeBot answers (1) or not (0); none for one that is switched off.",
		}, []string{"component"}),
		incidents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubebot_incidents_removed_total", Help: "Closed Incidents that were removed, by why.",
		}, []string{"reason"}),
	}
	registry.MustRegister(m.applies, m.prunes, m.rotations, m.ready, m.incidents)
	for _, result := range []string{string(apply.Unchanged), string(apply.Created), string(apply.Configured), failed} {
		m.applies.WithLabelValues(result)
	}
	for _, result := range []string{"removed", "kept", failed} {
		m.prunes.WithLabelValues(result)
	}
	for _, step := range []credentials.Step{credentials.StepIssued, credentials.StepCompleted, credentials.StepPrepared, credentials.StepRotated} {
		m.rotations.WithLabelValues(string(step))
	}
	for _, reason := range []string{removedByAge, removedByCount} {
		m.incidents.WithLabelValues(reason)
	}
	m.components = components
	return m
}

func (m *Metrics) applied(result apply.Result, err error) {
	if err != nil {
		result = failed
	}
	m.applies.WithLabelValues(string(result)).Inc()
}

func (m *Metrics) pruned(done bool, err error) {
	result := "kept"
	if err != nil {
		result = failed
	} else if done {
		result = "removed"
	}
	m.prunes.WithLabelValues(result).Inc()
}

func (m *Metrics) credentials(step credentials.Step) {
	m.rotations.WithLabelValues(string(step)).Inc()
}

// reset is called when a KubeBot is gone; if another is active, its next pass sets the gauges again.
func (m *Metrics) reset() { m.ready.Reset() }

// observe sets the gauges of the components from the status of the active KubeBot.
func (m *Metrics) observe(kb *v1alpha1.KubeBot) {
	if ready := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionReady); ready == nil ||
		ready.Reason == v1alpha1.ReasonClusterScopeTaken || ready.Reason == v1alpha1.ReasonNamespaceNotServed {
		return
	}
	for _, c := range m.components {
		value := 0.0
		switch found := meta.FindStatusCondition(kb.Status.Conditions, c.ConditionType()); {
		case found == nil:
		case found.Reason == v1alpha1.ReasonDisabled:
			m.ready.DeleteLabelValues(c.Name())
			continue
		case found.Status == metav1.ConditionTrue || onlySaid[found.Reason]:
			value = 1
		}
		m.ready.WithLabelValues(c.Name()).Set(value)
	}
}
