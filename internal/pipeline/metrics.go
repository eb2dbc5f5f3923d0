package pipeline

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
)

// Metrics of the pipeline. No label holds the name of an object.
type Metrics struct {
	ingested    *prometheus.CounterVec
	stored      *prometheus.CounterVec
	writes      *prometheus.CounterVec
	deliveries  *prometheus.CounterVec
	undelivered *prometheus.GaugeVec
	incidents   *prometheus.GaugeVec
	storing     prometheus.Histogram
	latency     *prometheus.HistogramVec
	decisions   *prometheus.CounterVec
	bundled     *prometheus.CounterVec
	flaps       prometheus.Counter
	analyses    *prometheus.CounterVec
	analysing   prometheus.Histogram
	// receiverTypes are the known values of the label receiver_type.
	receiverTypes []string
}

// decided counts a decision that is new or another than before.
func (m *Metrics) decided(before, after *v1alpha1.Decision) {
	if after == nil || before != nil && before.Verdict == after.Verdict && before.Reason == after.Reason {
		return
	}
	m.decisions.WithLabelValues(string(after.Verdict), after.Reason).Inc()
}

// damped counts the returns that a write has newly held back.
func (m *Metrics) damped(before, after *v1alpha1.FlappingStatus) {
	if after == nil || after.Since == nil {
		return
	}
	n := after.HeldBack
	if before != nil && before.Since != nil {
		n -= before.HeldBack
	}
	m.flaps.Add(float64(max(n, 0)))
}

// NewMetrics registers the metrics of the pipeline; the series of known label values start at zero.
func NewMetrics(registerer prometheus.Registerer, receiverTypes []string) *Metrics {
	m := &Metrics{
		receiverTypes: receiverTypes,
		ingested: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_alerts_ingested_total",
			Help: "Alerts that came in, by source."}, []string{"source"}),
		stored: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_alerts_stored_total",
			Help: "Alerts that are stored in an Incident, new or known, by source."}, []string{"source"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_incident_writes_total",
			Help: "Writes of Incidents, by verb and result."}, []string{"verb", "result"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_deliveries_total",
			Help: "Attempts to deliver a message, by type of receiver and outcome."}, []string{"receiver_type", "outcome"}),
		undelivered: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kubebot_responder_undelivered",
			Help: "Messages that wait for their receiver, by type of receiver."}, []string{"receiver_type"}),
		incidents: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kubebot_responder_incidents",
			Help: "Incidents that are not closed, by severity."}, []string{"severity"}),
		storing: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kubebot_responder_store_seconds",
			Help: "Seconds from the arrival of alerts until they are stored.", Buckets: prometheus.ExponentialBuckets(0.025, 2, 10)}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kubebot_responder_delivery_seconds",
			Help:    "Seconds from a change of an Incident until its receiver accepted the message, by type of receiver.",
			Buckets: prometheus.ExponentialBuckets(0.25, 2, 12)},
			[]string{"receiver_type"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_decisions_total",
			Help: "Decisions about Incidents, when one is new or another than before, by verdict and reason."}, []string{"verdict", "reason"}),
		bundled: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_digest_incidents_total",
			Help: "Incidents that digests told of, by type of receiver."}, []string{"receiver_type"}),
		flaps: prometheus.NewCounter(prometheus.CounterOpts{Name: "kubebot_responder_flaps_held_back_total",
			Help: "Returns of flapping Incidents that nobody was told of."}),
		analyses: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_analyses_total",
			Help: "Analyses of Incidents that came to their end, by result."}, []string{"result"}),
		analysing: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kubebot_responder_analysis_seconds",
			Help: "Seconds that an analysis of an Incident took.", Buckets: prometheus.ExponentialBuckets(0.1, 2, 9)}),
	}
	registerer.MustRegister(m.ingested, m.stored, m.writes, m.deliveries, m.undelivered, m.incidents,
		m.storing, m.latency, m.decisions, m.bundled, m.flaps, m.analyses, m.analysing)
	for _, state := range []v1alpha1.AnalysisState{v1alpha1.AnalysisCauseFound, v1alpha1.AnalysisNothingStandsOut, v1alpha1.AnalysisFailed} {
		m.analyses.WithLabelValues(string(state))
	}
	for _, d := range decide.Reasons() {
		m.decisions.WithLabelValues(string(d.Verdict), d.Reason)
	}
	for _, source := range []v1alpha1.AlertSource{v1alpha1.AlertSourceAlertmanager, v1alpha1.AlertSourceWatch, v1alpha1.AlertSourceHistory} {
		m.ingested.WithLabelValues(string(source))
		m.stored.WithLabelValues(string(source))
	}
	for _, verb := range []string{"create", "update"} {
		for _, result := range []string{"ok", "conflict", "error"} {
			m.writes.WithLabelValues(verb, result)
		}
	}
	for _, kind := range receiverTypes {
		for _, outcome := range []notify.Outcome{notify.Delivered, notify.Retry, notify.Unknown, notify.Refused} {
			m.deliveries.WithLabelValues(kind, string(outcome))
		}
		m.undelivered.WithLabelValues(kind)
		m.latency.WithLabelValues(kind)
		m.bundled.WithLabelValues(kind)
	}
	return m
}
