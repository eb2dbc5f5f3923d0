package exporters

import (
	"fmt"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const keyUp = "up"

// Questions implements component.Component. Only a managed Prometheus is asked: what an external one scrapes, and under
// which names, is its owner's.
func (Component) Questions(in component.Input) []component.Question {
	if len(jobs(in)) == 0 {
		return nil
	}
	base := endpoints.Prometheus(in.KubeBot)
	return []component.Question{
		{Key: keyUp, URL: observe.Query(base, fmt.Sprintf(`count by (job) (up{job=~"%s"} == 1)`, strings.Join(jobs(in), "|")))},
		observe.AskNodesNotReady(base),
	}
}

// jobs are the jobs by which a managed Prometheus scrapes the exporters.
func jobs(in component.Input) []string {
	m := in.KubeBot.Spec.Metrics
	if !m.Prometheus.Mode.Managed() {
		return nil
	}
	var names []string
	if m.KubeStateMetrics.Mode.Managed() {
		names = append(names, endpoints.JobKubeStateMetrics)
	}
	if m.NodeExporter.Mode.Managed() {
		names = append(names, endpoints.JobNodeExporter)
	}
	return names
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	m := in.KubeBot.Spec.Metrics
	if !m.KubeStateMetrics.Mode.Managed() && !m.NodeExporter.Mode.Managed() {
		return observe.Disabled("kube-state-metrics and node-exporter", kubeStateMetricsField+".mode and "+nodeExporterField+".mode")
	}
	troubles, leftOut := rolloutTroubles(in, seen)
	if len(troubles) > 0 {
		return observe.NotReady(v1alpha1.ReasonProgressing, observe.With(strings.Join(troubles, "; "), seen.Pods))
	}
	wanted := jobs(in)
	if len(wanted) == 0 {
		return observe.Ready("the exporters run")
	}
	vector, err := observe.Vector(seen.Answers[keyUp])
	if err != nil {
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "the exporters run; whether they are scraped is unknown, because Prometheus "+err.Error())
	}
	scraped := map[string]bool{}
	for _, s := range vector {
		scraped[string(s.Metric["job"])] = true
	}
	for _, job := range wanted {
		if !scraped[job] {
			return observe.NotReady(v1alpha1.ReasonTargetsDown,
				fmt.Sprintf("%s runs and Prometheus can't scrape it; Prometheus' page Status > Target health says why", job))
		}
	}
	return observe.Ready("the exporters run and Prometheus scrapes them" + observe.LeftOut(leftOut))
}

// rolloutTroubles also returns how many nodes were left out.
func rolloutTroubles(in component.Input, seen component.Observed) (troubles []string, leftOut int) {
	add := func(trouble string) {
		if trouble != "" {
			troubles = append(troubles, trouble)
		}
	}
	if in.KubeBot.Spec.Metrics.KubeStateMetrics.Mode.Managed() {
		add(observe.DeploymentTrouble(seen, naming.Object(in.KubeBot, kubeStateMetrics)))
	}
	if in.KubeBot.Spec.Metrics.NodeExporter.Mode.Managed() {
		var trouble string
		trouble, leftOut = observe.DaemonSetTrouble(seen, nodeExporterName(in))
		add(trouble)
	}
	return troubles, leftOut
}
