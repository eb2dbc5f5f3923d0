package proof

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubebot/kubebot/internal/pipeline/config"
)

var (
	ageDesc = prometheus.NewDesc("kubebot_proof_age_seconds",
		"Seconds since a signal was last proven to flow from its source to its store; since the start when it never was.", []string{"signal"}, nil)
	delayDesc = prometheus.NewDesc("kubebot_proof_delay_seconds",
		"Seconds from sending to finding of the last proof of a signal, as the replica saw it that proves.", []string{"signal"}, nil)
)

// Describe implements prometheus.Collector.
func (p *Prover) Describe(ch chan<- *prometheus.Desc) { ch <- ageDesc; ch <- delayDesc }

// Collect implements prometheus.Collector. The age is counted at each scrape, so that it grows when nothing else works.
func (p *Prover) Collect(ch chan<- prometheus.Metric) {
	now := p.Now()
	for name, last := range p.proven() {
		if last.IsZero() {
			last = p.started
		}
		ch <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, max(now.Sub(last).Seconds(), 0), name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range config.Signals() {
		if delay, ok := p.delays[name]; ok {
			ch <- prometheus.MustNewConstMetric(delayDesc, prometheus.GaugeValue, delay.Seconds(), name)
		}
	}
}
