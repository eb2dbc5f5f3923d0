package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// Of each case are the minute since which the writer runs, and the records that it takes in each.
func TestAWriterThatNothingReachesIsToldFromOneThatJustBegan(t *testing.T) {
	promtool := golden.Program(t, "promtool")
	for name, c := range map[string]struct {
		started, lines, spans int
		silent                []string
	}{
		"all arrives":    {0, 60, 300, nil},
		"no line":        {0, 0, 300, []string{otelcol.LogRecords}},
		"nothing":        {0, -1, -1, []string{otelcol.LogRecords, otelcol.Spans}},
		"it just began":  {35, -1, -1, nil},
		"some time back": {25, -1, -1, []string{otelcol.LogRecords, otelcol.Spans}},
	} {
		t.Run(name, func(t *testing.T) {
			job := fmt.Sprintf(`job=%q, pod="a"`, endpoints.JobArchive)
			series := func(name string, first, each int) map[string]any {
				return map[string]any{"series": name + "{" + job + "}", "values": fmt.Sprintf("_x%d %d+%dx60", c.started, first, each)}
			}
			input := []any{series("otelcol_process_uptime_seconds_total", 0, 60)}
			for item, each := range map[string]int{"log_records": c.lines, "spans": c.spans} {
				if each >= 0 { // what never came has no counter
					input = append(input, series("otelcol_receiver_accepted_"+item+"_total", 0, each))
				}
			}
			wanted := []any{}
			for _, item := range c.silent {
				wanted = append(wanted, map[string]any{"labels": fmt.Sprintf(`{item=%q}`, item), "value": 1})
			}
			test, err := yaml.Marshal(map[string]any{"evaluation_interval": "1m", "tests": []any{map[string]any{
				"interval": "1m", "input_series": input,
				"promql_expr_test": []any{map[string]any{
					"expr":      "group by (item) (" + otelcol.Silent(endpoints.JobArchive, otelcol.Spans, otelcol.LogRecords) + ")",
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
