package archive

import (
	"fmt"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// Of each case are the minutes since which the writer and the samplers run, and the records that the writer takes in each
// minute.
func TestAWriterThatNothingReachesIsToldFromOneThatJustBegan(t *testing.T) {
	for name, c := range map[string]struct {
		started, samplers, lines, spans, samples int
		silent                                   []string
	}{
		"all arrives":               {0, 0, 60, 300, 900, nil},
		"no line":                   {0, 0, 0, 300, 900, []string{otelcol.LogRecords}},
		"nothing":                   {0, 0, -1, -1, -1, []string{otelcol.LogRecords, otelcol.MetricPoints, otelcol.Spans}},
		"it just began":             {35, 0, -1, -1, -1, nil},
		"some time back":            {25, 0, -1, -1, 900, []string{otelcol.LogRecords, otelcol.Spans}},
		"the samplers were changed": {0, 30, -1, -1, 900, nil},
	} {
		t.Run(name, func(t *testing.T) {
			job := fmt.Sprintf(`job=%q, pod="a"`, endpoints.JobArchive)
			series := map[string]string{"up{" + job + "}": fmt.Sprintf("_x%d 1x60", c.started)}
			for n, since := range []int{0, c.samplers} {
				series[fmt.Sprintf(`otelcol_process_uptime_total{job=%q, pod="main-collector-sampler-%d"}`, endpoints.JobCollector, n)] = fmt.Sprintf("_x%d 0+60x60", since)
			}
			for item, each := range map[string]int{otelcol.LogRecords: c.lines, otelcol.Spans: c.spans, otelcol.MetricPoints: c.samples} {
				if each >= 0 { // what never came has no counter
					series["otelcol_receiver_accepted_"+item+"_total{"+job+"}"] = fmt.Sprintf("_x%d 0+%dx60", c.started, each)
				}
			}
			var want []string
			for _, item := range c.silent {
				want = append(want, fmt.Sprintf(`{item=%q}`, item))
			}
			golden.Query(t, series, "group by (item) ("+silent(&v1alpha1.KubeBot{})+")", want...)
		})
	}
}
