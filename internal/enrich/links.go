package enrich

import (
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis/certificate"
	"github.com/kubebot/kubebot/internal/links"
)

const (
	// shownAfter the alarm is what links show besides the time before it.
	shownAfter = time.Hour
	// maxURL is how long the address of a link may be.
	maxURL = 2048
)

// links lead to where a person sees the evidence of a cause: the dashboard of its node or workload, else of its service where
// telemetry knows calls of it, and the traces of these.
func (a *Analyst) links(q Question, c candidate, t telemetry) []v1alpha1.CauseLink {
	w := links.Window{From: q.Alarm.Add(-links.Before), To: q.Alarm.Add(shownAfter)}
	var out []v1alpha1.CauseLink
	add := func(title, address string) {
		if address != "" && len(address) <= maxURL {
			out = append(out, v1alpha1.CauseLink{Title: title, URL: address})
		}
	}
	known := t.knows(c)
	switch {
	case c.object.Kind == "Node":
		add("Dashboard", a.Grafana.Node(c.object.Name, w))
		return out
	case c.home.Namespace != "":
		add("Dashboard", a.Grafana.Workload(c.home.Namespace, c.home.Name, w))
	case known:
		add("Dashboard", a.Grafana.Service(c.service, w))
	}
	if known && slices.ContainsFunc(a.Sources, func(s Source) bool { return s.Name() == SourceJaeger }) {
		add("Traces", a.Grafana.Traces(c.service, w))
	}
	return out
}

// knows tells whether telemetry shows calls of a cause's service. Spans that tell of a refused certificate are its caller's.
func (t telemetry) knows(c candidate) bool {
	return t.called[c.service] || c.detector != certificate.Detector.Name &&
		slices.ContainsFunc(c.evidence, func(e v1alpha1.CauseEvidence) bool { return e.From == v1alpha1.EvidenceTraces })
}
