package dashboards

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubebot/kubebot/internal/dashboards/config"
)

// Kinds and actions of writes.
const (
	kindSource      = "datasource"
	kindFolder      = "folder"
	kindDashboard   = "dashboard"
	kindPreferences = "preferences"

	actionCreate = "create"
	actionUpdate = "update"
	actionDelete = "delete"
)

// Metrics of the process.
type Metrics struct {
	writes  *prometheus.CounterVec
	looks   *prometheus.CounterVec
	present *prometheus.GaugeVec
	last    prometheus.Gauge
}

// NewMetrics registers the metrics; the series of known label values start at zero.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_dashboards_writes_total",
			Help: "Changes that were made in Grafana, by kind and action."}, []string{"kind", "action"}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_dashboards_looks_total",
			Help: "Looks at Grafana, by the trouble that was found; ok for none."}, []string{"trouble"}),
		present: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kubebot_dashboards_present",
			Help: "What of KubeBot's Grafana has as it should be, by kind."}, []string{"kind"}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{Name: "kubebot_dashboards_success_timestamp_seconds",
			Help: "When Grafana last had all that it should."}),
	}
	registerer.MustRegister(m.writes, m.looks, m.present, m.last)
	for _, kind := range []string{kindSource, kindFolder, kindDashboard} {
		for _, action := range []string{actionCreate, actionUpdate, actionDelete} {
			m.writes.WithLabelValues(kind, action)
		}
	}
	m.writes.WithLabelValues(kindPreferences, actionUpdate)
	for _, trouble := range append([]config.Trouble{none}, config.Troubles...) {
		m.looks.WithLabelValues(string(trouble))
	}
	return m
}

// none is the label of a look without trouble.
const none config.Trouble = "ok"

func (m *Metrics) observe(r config.Report) {
	trouble := r.Trouble
	if trouble == "" {
		trouble = none
		m.last.Set(float64(r.Looked.Unix()))
	}
	m.looks.WithLabelValues(string(trouble)).Inc()
	m.present.WithLabelValues(kindSource).Set(float64(r.DataSources))
	m.present.WithLabelValues(kindDashboard).Set(float64(r.Dashboards))
}
