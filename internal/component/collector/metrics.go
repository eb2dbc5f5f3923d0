package collector

import (
	"fmt"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/otelcol"
)

// keepOutRefused leaves out of the metrics that applications send what Prometheus refuses: for one such metric it stores
// nothing of the request, and a request joins those of many applications. Its own limits are wider than ours, so that
// what waited in the queue is within them too.
func keepOutRefused(kb *v1alpha1.KubeBot, c *otelcol.Config) {
	refused := otelcol.FilterMetrics{
		Metric: []string{
			`metric.type == METRIC_DATA_TYPE_NONE`,
			`metric.aggregation_temporality == AGGREGATION_TEMPORALITY_UNSPECIFIED`,
			`not IsMatch(metric.name, "[a-zA-Z0-9]")`,
		},
		DataPoint: []string{
			fmt.Sprintf(`datapoint.time - Now() > Duration(%q)`, sampleAhead),
			fmt.Sprintf(`Now() - datapoint.time > Duration(%q)`, sampleLate),
			`metric.type == METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM and datapoint.scale < -4`,
		},
	}
	if !kb.Spec.Metrics.Prometheus.Mode.Managed() { // nobody knows whether one of the user's takes them, as the managed one does
		refused.Metric = append(refused.Metric, `metric.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA`)
	}
	c.Processors[idRefused] = otelcol.Filter{ErrorMode: "ignore", Metrics: refused}
	// An attribute whose name has nothing that a label's may have is left out by itself.
	const nameless = `"^[^a-zA-Z0-9]*$"`
	c.Processors[idNameless] = otelcol.Transform{ErrorMode: "ignore", MetricStatements: []string{
		`delete_matching_keys(resource.attributes, ` + nameless + `)`,
		`delete_matching_keys(datapoint.attributes, ` + nameless + `)`,
	}}
	appendProcessors(c, "metrics", idRefused, idNameless)
}
