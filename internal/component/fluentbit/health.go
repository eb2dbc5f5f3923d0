package fluentbit

import (
	"fmt"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// Keys of the questions to Prometheus.
const (
	keyScraped = "scraped"
	keyStuck   = "stuck"
	keyRefused = "refused"
)

// Series of Fluent Bit about what it hands on.
const (
	selector = `{job="` + endpoints.JobFluentBit + `"}`
	// stuck are the pods that try again and get nothing through.
	stuck = `count(sum by (pod) (increase(fluentbit_output_retries_total` + selector + `[2m])) > 0
unless sum by (pod) (increase(fluentbit_output_proc_records_total` + selector + `[2m])) > 0)`
	// refused are records that were given up.
	refused = `sum(increase(fluentbit_output_dropped_records_total` + selector + `[5m])) > 0`
)

// Questions implements component.Component. Only a managed Prometheus is asked: what an external one scrapes, and under
// which names, is its owner's.
func (Component) Questions(in component.Input) []component.Question {
	if !managed(in.KubeBot) || !asks(in.KubeBot) {
		return nil
	}
	base := endpoints.Prometheus(in.KubeBot)
	return []component.Question{
		{Key: keyScraped, URL: observe.Query(base, `count(up`+selector+` == 1)`)},
		{Key: keyStuck, URL: observe.Query(base, stuck)},
		{Key: keyRefused, URL: observe.Query(base, refused)},
		observe.AskNodesNotReady(base),
	}
}

func asks(kb *v1alpha1.KubeBot) bool {
	m := kb.Spec.Metrics.Prometheus.Mode
	return m != v1alpha1.ModeExternal && m != v1alpha1.ModeDisabled
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	if !managed(in.KubeBot) {
		return observe.Disabled("Fluent Bit", field+".mode")
	}
	health := observed(in, seen)
	if decision, err := decide(in); err == nil { // else Build has said what is wrong
		health = decision.Health(health)
	}
	return health
}

func observed(in component.Input, seen component.Observed) component.Health {
	trouble, leftOut := observe.DaemonSetTrouble(seen, objectName(in))
	if trouble != "" {
		return observe.NotReady(v1alpha1.ReasonProgressing, observe.With(trouble, seen.Pods))
	}
	if !asks(in.KubeBot) {
		return observe.Ready("Fluent Bit runs on every node")
	}
	health := judge(seen.Answers)
	health.Message += observe.LeftOut(leftOut)
	return health
}

// judge tells from what Prometheus knows whether the collector takes the lines.
func judge(answers map[string]component.Answer) component.Health {
	counts := map[string]float64{}
	for _, key := range []string{keyScraped, keyStuck, keyRefused} {
		vector, err := observe.Vector(answers[key])
		if err != nil {
			return observe.NotReady(v1alpha1.ReasonNotAnswering, "Fluent Bit runs on every node; whether its lines are taken is unknown, because Prometheus "+err.Error())
		}
		if len(vector) > 0 {
			counts[key] = float64(vector[0].Value)
		}
	}
	switch {
	case counts[keyScraped] == 0:
		return observe.NotReady(v1alpha1.ReasonTargetsDown, fmt.Sprintf("%s runs and Prometheus can't scrape it; Prometheus' page Status > Target health says why", endpoints.JobFluentBit))
	case counts[keyRefused] > 0:
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "the collector refuses lines for good, or the buffer on a node is full, and lines are lost: Fluent Bit's own log says which")
	case counts[keyStuck] > 0:
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "Fluent Bit runs on every node and the collector does not take its lines; they wait on the nodes' disks")
	}
	return observe.Ready("Fluent Bit runs on every node and the collector takes its lines")
}
