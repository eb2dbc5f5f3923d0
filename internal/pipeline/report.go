package pipeline

import (
	"fmt"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// Report reports on each receiver: what its check says, else what waits for it and why.
func (p *Pipeline) Report() []config.ReceiverReport {
	waiting := p.waiting()
	names := p.configured()
	reports := make([]config.ReceiverReport, 0, len(names))
	for _, name := range names {
		r, ok := p.receiver(name)
		if !ok {
			continue
		}
		w := waiting[name]
		r.mu.Lock()
		report := config.ReceiverReport{Name: name, Reason: r.reason, Message: r.message, Undelivered: w.count}
		r.mu.Unlock()
		if report.Reason == "" && w.failed > 0 {
			report.Reason = v1alpha1.ReasonUndelivered
			if w.refused {
				report.Reason = v1alpha1.ReasonReceiverRefused
			}
			report.Message = fmt.Sprintf("Messages wait for receiver %s; the last attempt ended with %s", name, w.why)
		}
		reports = append(reports, report)
	}
	return reports
}

// backlog is what waits for one receiver.
type backlog struct {
	count, failed int
	refused       bool
	why           string
}

// waiting sums up what waits, by receiver.
func (p *Pipeline) waiting() map[string]backlog {
	sums := map[string]backlog{}
	for _, inc := range p.index.All() {
		for i := range inc.Status.Deliveries {
			d := &inc.Status.Deliveries[i]
			if !waits(d) || gathers(d) {
				continue
			}
			b := sums[d.Receiver]
			b.count++
			if n := len(d.Attempts); n > 0 {
				b.failed++
				b.refused = b.refused || d.State == v1alpha1.DeliveryFailed
				b.why = d.Attempts[n-1].Result
				if d.Attempts[n-1].Message != "" {
					b.why += ": " + d.Attempts[n-1].Message
				}
			}
			sums[d.Receiver] = b
		}
	}
	return sums
}

// gauge brings the gauges up to date.
func (p *Pipeline) gauge() {
	byType := map[string]int{}
	for name, b := range p.waiting() {
		if r, ok := p.receiver(name); ok {
			byType[r.Type] += b.count
		}
	}
	for _, kind := range p.Metrics.receiverTypes { // also those of which a team had the last one
		p.Metrics.undelivered.WithLabelValues(kind).Set(float64(byType[kind]))
	}
	bySeverity := map[v1alpha1.Severity]int{v1alpha1.SeverityCritical: 0, v1alpha1.SeverityWarning: 0, v1alpha1.SeverityInfo: 0}
	for _, inc := range p.index.All() {
		if inc.Status.State != v1alpha1.IncidentClosed && inc.Status.Severity != "" {
			bySeverity[inc.Status.Severity]++
		}
	}
	for severity, n := range bySeverity {
		p.Metrics.incidents.WithLabelValues(string(severity)).Set(float64(n))
	}
}
