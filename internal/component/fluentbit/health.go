package fluentbit

import (
	"fmt"
	"slices"

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
	keyUnread  = "unread"
)

// Series of Fluent Bit about what it hands on.
const (
	selector = `{job="` + endpoints.JobFluentBit + `"}`
	// stuck are the pods that try again and get nothing through.
	stuck = `count(sum by (pod) (increase(fluentbit_output_retries_total` + selector + `[2m])) > 0
unless sum by (pod) (increase(fluentbit_output_proc_records_total` + selector + `[2m])) > 0)`
	// refused are records that were given up.
	refused = `sum(increase(fluentbit_output_dropped_records_total` + selector + `[5m])) > 0`
	// ofInput are the series of what it reads.
	ofInput = `{job="` + endpoints.JobFluentBit + `", name="` + aliasInput + `"}`
	// written is how much the kubelet finds in the files of each container. It counts blocks, not lines.
	written = `kubelet_container_log_filesystem_used_bytes{job="` + endpoints.JobKubelet + `"}`
)

// Unread are the nodes, by label node, on which Fluent Bit runs and reads nothing of what containers write: files grow and no
// record came, with some minutes more on both sides than between two scrapes, or it found no file at all, not even that of its
// own lines. In its first 20 minutes it is not asked: what it reads before the first scrape is in no increase. On a node where
// nobody writes, files are open and none grows.
const Unread = `(
  sum by (node) (increase(fluentbit_input_records_total` + ofInput + `[20m])) == 0
    and on (node) ` + written + ` offset 2m > ` + written + ` offset 15m
  or sum by (node) (fluentbit_input_records_total` + ofInput + `) == 0
    unless on (node) fluentbit_input_files_opened_total` + ofInput + ` > 0
) and on (node) min by (node) (fluentbit_uptime` + selector + `) > 20 * 60`

// Questions implements component.Component. Only a managed Prometheus is asked: what an external one scrapes, and under
// which names, is its owner's.
func (Component) Questions(in component.Input) []component.Question {
	if !managed(in.KubeBot) || !in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() {
		return nil
	}
	base := endpoints.Prometheus(in.KubeBot)
	return []component.Question{
		{Key: keyScraped, URL: observe.Query(base, `count(up`+selector+` == 1)`)},
		{Key: keyStuck, URL: observe.Query(base, stuck)},
		{Key: keyRefused, URL: observe.Query(base, refused)},
		{Key: keyUnread, URL: observe.Query(base, Unread)},
		observe.AskNodesNotReady(base),
	}
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
	if !in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() {
		return observe.Ready("Fluent Bit runs on every node")
	}
	health := judge(seen.Answers)
	health.Message += observe.LeftOut(leftOut)
	return health
}

// judge tells from what Prometheus knows whether lines are read and the collector takes them.
func judge(answers map[string]component.Answer) component.Health {
	counts, unread := map[string]float64{}, []string{}
	for _, key := range []string{keyScraped, keyStuck, keyRefused, keyUnread} {
		vector, err := observe.Vector(answers[key])
		if err != nil {
			return observe.NotReady(v1alpha1.ReasonNotAnswering,
				"Fluent Bit runs on every node; whether its lines are taken is unknown, because Prometheus "+err.Error())
		}
		for _, s := range vector {
			if key == keyUnread {
				unread = append(unread, string(s.Metric["node"]))
				continue
			}
			counts[key] = float64(s.Value)
		}
	}
	switch {
	case counts[keyScraped] == 0:
		return observe.NotReady(v1alpha1.ReasonTargetsDown,
			fmt.Sprintf("%s runs and Prometheus can't scrape it; Prometheus' page Status > Target health says why", endpoints.JobFluentBit))
	case counts[keyRefused] > 0:
		return observe.NotReady(v1alpha1.ReasonNotAnswering,
			"the collector refuses lines for good, or the buffer on a node is full, and lines are lost: Fluent Bit's own log says which")
	case len(unread) > 0:
		return observe.NotReady(v1alpha1.ReasonNotAnswering,
			fmt.Sprintf("Fluent Bit reads nothing of what containers write on %d node(s), such as %s; the runbook of LogLinesNotRead says what to look at",
				len(unread), slices.Min(unread)))
	case counts[keyStuck] > 0:
		return observe.NotReady(v1alpha1.ReasonNotAnswering,
			"Fluent Bit runs on every node and the collector does not take its lines; they wait on the nodes' disks")
	}
	return observe.Ready("Fluent Bit runs on every node and the collector takes its lines")
}
