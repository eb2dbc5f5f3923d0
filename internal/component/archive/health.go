package archive

import (
	"fmt"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// Keys of the questions.
const (
	keyRefusing = "refusing"
	keyFailing  = "failing"
	keySilent   = "silent"
)

// Questions implements component.Component. Only a managed Prometheus is asked: what an external one scrapes, and under
// which names, is its owner's.
func (Component) Questions(in component.Input) []component.Question {
	if !managed(in.KubeBot) || !in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() {
		return nil
	}
	base := endpoints.Prometheus(in.KubeBot)
	return []component.Question{
		{Key: keySilent, URL: observe.Query(base, silent(in.KubeBot))},
		{Key: keyRefusing, URL: observe.Query(base, otelcol.Refusing(endpoints.JobArchive))},
		{Key: keyFailing, URL: observe.Query(base, otelcol.Failing(endpoints.JobArchive))},
	}
}

// silent asks for what must arrive and does not: what Prometheus scrapes, and, once the samplers have run as they do for a
// while, KubeBot's own proofs of flow each minute. A store that is switched on changes the samplers, and so their pods.
func silent(kb *v1alpha1.KubeBot) string {
	query := otelcol.Silent(endpoints.JobArchive, otelcol.MetricPoints)
	var proofs []string
	if endpoints.Jaeger(kb) != "" {
		proofs = append(proofs, otelcol.Spans)
	}
	if endpoints.Loki(kb) != "" {
		proofs = append(proofs, otelcol.LogRecords)
	}
	if endpoints.CollectorHost(kb) == "" || len(proofs) == 0 {
		return query
	}
	return fmt.Sprintf("%s or ((%s) and on () %s)", query, otelcol.Silent(endpoints.JobArchive, proofs...),
		otelcol.Settled(endpoints.JobCollector, ".*-collector-sampler-[0-9]+"))
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	if !managed(kb) {
		return observe.Disabled("the archive", field+".mode")
	}
	health := judge(kb, seen)
	if kb.Spec.Analysis.Archive.ObjectStorage == nil {
		health.Extra = pods.Ephemeral(kb.Spec.Analysis.Archive.Storage, "the archive's files", field+".storage")
	}
	return health
}

func judge(kb *v1alpha1.KubeBot, seen component.Observed) component.Health {
	if trouble := observe.StatefulSetTrouble(seen, setName(kb)); trouble != "" {
		return observe.NotReady(v1alpha1.ReasonProgressing, observe.With(trouble, seen.Pods))
	}
	if !kb.Spec.Metrics.Prometheus.Mode.Managed() {
		return observe.Ready("the archive's writer runs")
	}
	for _, question := range []struct{ key, label, what string }{
		{keyRefusing, "receiver", "refuses what it is sent"},
		{keyFailing, "exporter", "can't write"},
	} {
		vector, err := observe.Vector(seen.Answers[question.key])
		if err != nil {
			return observe.NotReady(v1alpha1.ReasonNotAnswering,
				"the archive's writer runs; whether it takes what it is sent is unknown, because Prometheus "+err.Error())
		}
		if len(vector) > 0 {
			return observe.NotReady(v1alpha1.ReasonNotAnswering, "the archive's writer "+question.what+
				" ("+strings.Join(otelcol.Values(vector, question.label), ", ")+"); its log says why")
		}
	}
	return heard(seen.Answers[keySilent])
}

// heard tells a writer that nothing reaches from one that works.
func heard(answer component.Answer) component.Health {
	vector, err := observe.Vector(answer)
	if err != nil {
		return observe.NotReady(v1alpha1.ReasonNotAnswering,
			"the archive's writer runs; whether it is sent anything is unknown, because Prometheus "+err.Error())
	}
	if len(vector) > 0 {
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "the archive's writer got no "+
			strings.ReplaceAll(strings.Join(otelcol.Values(vector, "item"), ", no "), "_", " ")+
			" for a quarter of an hour: see CollectorReady, PrometheusReady and the network policies of its namespace")
	}
	return observe.Ready("the archive's writer takes what it is sent")
}
