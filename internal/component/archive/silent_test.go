package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// Of each case are the minutes since which the writer and the samplers run, and the records that the writer takes in each
// minute.
func TestAWriterThatNothingReachesIsToldFromOneThatJustBegan(t *testing.T) {
	promtool := golden.Program(t, "promtool")
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
			series := func(name, labels string, since, first, each int) map[string]any {
				return map[string]any{"series": name + "{" + labels + "}", "values": fmt.Sprintf("_x%d %d+%dx60", since, first, each)}
			}
			input := []any{series("up", job, c.started, 1, 0)}
			for n, since := range []int{0, c.samplers} {
				labels := fmt.Sprintf(`job=%q, pod="main-collector-sampler-%d"`, endpoints.JobCollector, n)
				input = append(input, series("otelcol_process_uptime_total", labels, since, 0, 60))
			}
			for item, each := range map[string]int{otelcol.LogRecords: c.lines, otelcol.Spans: c.spans, otelcol.MetricPoints: c.samples} {
				if each >= 0 { // what never came has no counter
					input = append(input, series("otelcol_receiver_accepted_"+item+"_total", job, c.started, 0, each))
				}
			}
			wanted := []any{}
			for _, item := range c.silent {
				wanted = append(wanted, map[string]any{"labels": fmt.Sprintf(`{item=%q}`, item), "value": 1})
			}
			test, err := yaml.Marshal(map[string]any{"evaluation_interval": "1m", "tests": []any{map[string]any{
				"interval": "1m", "input_series": input,
				"promql_expr_test": []any{map[string]any{
					"expr":      "group by (item) (" + silent(&v1alpha1.KubeBot{}) + ")",
					"eval_time": "40m", "exp_samples": wanted,
				}},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "test.yaml"), test, 0o600); err != nil {
				t.Fatal(err)
			}
			golden.Run(t, dir, promtool, "test", "rules", "test.yaml")
		})
	}
}
