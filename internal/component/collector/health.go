package collector

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

// Keys of the questions.
const (
	keyFailing  = "failing"
	keyStanding = "standing"
	keyUnjudged = "unjudged"
)

// Questions implements component.Component. Only a managed Prometheus is asked: what an external one scrapes, and under
// which names, is its owner's.
func (Component) Questions(in component.Input) []component.Question {
	if !managed(in.KubeBot) || !in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() {
		return nil
	}
	base := endpoints.Prometheus(in.KubeBot)
	return []component.Question{
		{Key: keyFailing, URL: observe.Query(base, failing(in.KubeBot))},
		{Key: keyStanding, URL: observe.Query(base, otelcol.Standing(endpoints.JobCollector))},
		{Key: keyUnjudged, URL: observe.Query(base, unjudged)},
	}
}

// unjudged asks for traces that were pushed out of a sampler's memory before it decided on them: errors may be among them.
const unjudged = `sum(increase(otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total{job="` + endpoints.JobCollector + `"}[5m])) > 0`

// failing returns a query for the exporters, by label exporter, that lose what they send. A managed Loki that refuses
// single lines is asked how many, more than a hundredth of what it got: it stores the others of a request, while the
// exporter counts all of them as failed. Where it got clearly less than was sent, whole requests are refused as well.
func failing(kb *v1alpha1.KubeBot) string {
	all := otelcol.Failing(endpoints.JobCollector)
	if m := kb.Spec.Logs.Loki.Mode; m == v1alpha1.ModeExternal || m == v1alpha1.ModeDisabled {
		return all
	}
	const refused, received = `sum(increase(loki_discarded_samples_total{job="` + endpoints.JobLoki + `"}[5m]))`,
		`sum(increase(loki_distributor_lines_received_total{job="` + endpoints.JobLoki + `"}[5m]))`
	byLoki := func(promQL string) string {
		return fmt.Sprintf(`label_replace(%s, "exporter", %q, "", "")`, promQL, idLoki)
	}
	const exporter = `{job="` + endpoints.JobCollector + `", exporter="` + idLoki + `"}[5m]`
	const sent = `(sum(increase(otelcol_exporter_sent_log_records_total` + exporter + `))` +
		` + sum(increase(otelcol_exporter_send_failed_log_records_total` + exporter + `)))`
	return fmt.Sprintf("(%s unless on (exporter) (%s and on () %s)) or on (exporter) %s or on (exporter) (%s)",
		all, byLoki(refused+" > 0"), received+" > 0.7 * "+sent, byLoki(refused+" / "+received+" > 0.01"), otelcol.Full(endpoints.JobCollector))
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	if !managed(kb) {
		return observe.Disabled("the collector", field+".mode")
	}
	health := judge(kb, seen)
	if decision, err := decide(in); err == nil { // else Build has said what is wrong
		health = decision.Health(health)
	}
	health.Endpoints = []v1alpha1.Endpoint{
		{Name: "otlp-grpc", URL: fmt.Sprintf("http://%s:%d", endpoints.CollectorHost(kb), endpoints.OTLPGRPCPort)},
		{Name: "otlp-http", URL: fmt.Sprintf("http://%s:%d", endpoints.CollectorHost(kb), endpoints.OTLPHTTPPort)},
	}
	health.Extra = pods.Ephemeral(kb.Spec.Traces.Collector.Storage, "the collector's queues", field+".storage")
	return health
}

func judge(kb *v1alpha1.KubeBot, seen component.Observed) component.Health {
	troubles := []string{observe.DeploymentTrouble(seen, naming.Object(kb, name)), observe.StatefulSetTrouble(seen, setName(kb))}
	if watchesEvents(kb) {
		troubles = append(troubles, observe.DeploymentTrouble(seen, naming.Object(kb, eventsName)))
	}
	troubles = slices.DeleteFunc(troubles, func(t string) bool { return t == "" })
	if len(troubles) > 0 {
		return observe.NotReady(v1alpha1.ReasonProgressing, observe.With(strings.Join(troubles, "; "), seen.Pods))
	}
	if !kb.Spec.Metrics.Prometheus.Mode.Managed() {
		return observe.Ready("both tiers of the collector run")
	}
	for _, question := range []struct{ key, what string }{
		{keyFailing, "refuse for good what the collector sends, or there is no room for it; the collector's log says why"},
		{keyStanding, "take nothing of what waits in the collector's queues; see their conditions"},
	} {
		vector, err := observe.Vector(seen.Answers[question.key])
		if err != nil {
			return observe.NotReady(v1alpha1.ReasonNotAnswering,
				"both tiers of the collector run; whether what they export is taken is unknown, because Prometheus "+err.Error())
		}
		if len(vector) > 0 {
			return observe.NotReady(v1alpha1.ReasonNotAnswering, strings.Join(targets(otelcol.Values(vector, "exporter")), ", ")+" "+question.what)
		}
	}
	vector, err := observe.Vector(seen.Answers[keyUnjudged])
	if err != nil {
		return observe.NotReady(v1alpha1.ReasonNotAnswering,
			"both tiers of the collector run; whether each trace is judged is unknown, because Prometheus "+err.Error())
	}
	if len(vector) > 0 {
		return observe.NotReady(v1alpha1.ReasonNotAnswering,
			fmt.Sprintf("%.0f traces were left out unjudged within 5 minutes, because they are more than the samplers hold:"+
				" raise %s.samplers", float64(vector[0].Value), field))
	}
	return observe.Ready("both tiers of the collector run and what they export is taken")
}

// targets are what exporters send to, in words.
func targets(ids []string) []string {
	var all []string
	for _, id := range ids {
		switch id {
		case idJaeger:
			id = "Jaeger"
		case idLoki:
			id = "Loki"
		case idArchive:
			id = "the archive"
		case idBalancer, idSamplers, idSendEvents:
			id = "the samplers"
		default:
			if strings.HasPrefix(id, idPrometheus) {
				id = "Prometheus"
			} else {
				id = "the exporter " + id
			}
		}
		all = append(all, id)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
