package collector

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// Of each case are the lines a minute that Loki's exporter sent, failed to send and had no room for, and those that Loki
// got and refused.
func TestLokiIsJudgedByTheLinesThatItRefuses(t *testing.T) {
	promtool := golden.Program(t, "promtool")
	const managed, external = v1alpha1.ModeManaged, v1alpha1.ModeExternal
	for name, c := range map[string]struct {
		mode                                  v1alpha1.Mode
		sent, failed, full, received, refused int
		fails                                 bool
	}{
		"all is taken":                        {managed, 1000, 0, 0, 1000, 0, false},
		"one line of each request is refused": {managed, 0, 1000, 0, 1000, 2, false},
		"one line in twenty is refused":       {managed, 0, 1000, 0, 1000, 50, true},
		"whole requests are refused":          {managed, 0, 1000, 0, 0, 0, true},
		"whole ones, beside a refused line":   {managed, 500, 500, 0, 500, 2, true},
		"no room, beside a refused line":      {managed, 900, 0, 100, 1000, 2, true},
		"another's Loki fails":                {external, 0, 1000, 0, 1000, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(func(s *v1alpha1.KubeBotSpec) { s.Logs.Loki.Mode = c.mode })
			series := func(name, labels string, each int) map[string]any {
				return map[string]any{"series": name + "{" + labels + "}", "values": fmt.Sprintf("0+%dx20", each)}
			}
			exporter := fmt.Sprintf(`job="kubebot-collector", exporter=%q, pod="a"`, idLoki)
			wanted := []any{}
			if c.fails {
				wanted = append(wanted, map[string]any{"labels": fmt.Sprintf(`{exporter=%q}`, idLoki), "value": 1})
			}
			test, err := yaml.Marshal(map[string]any{"evaluation_interval": "1m", "tests": []any{map[string]any{
				"interval": "1m",
				"input_series": []any{
					series("otelcol_exporter_sent_log_records_total", exporter, c.sent),
					series("otelcol_exporter_send_failed_log_records_total", exporter, c.failed),
					series("otelcol_exporter_enqueue_failed_log_records_total", exporter, c.full),
					series("loki_distributor_lines_received_total", `job="loki", tenant="fake"`, c.received),
					series("loki_discarded_samples_total", `job="loki", reason="too_far_behind"`, c.refused),
				},
				"promql_expr_test": []any{map[string]any{
					"expr": "group by (exporter) (" + failing(in.KubeBot) + ")", "eval_time": "15m", "exp_samples": wanted,
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

func TestALokiThatIsNotScrapedIsNotAskedForItsFigures(t *testing.T) {
	for _, mode := range []v1alpha1.Mode{v1alpha1.ModeExternal, v1alpha1.ModeDisabled} {
		if query := failing(input(func(s *v1alpha1.KubeBotSpec) { s.Logs.Loki.Mode = mode }).KubeBot); strings.Contains(query, "loki_") {
			t.Errorf("%s: %s", mode, query)
		}
	}
}
