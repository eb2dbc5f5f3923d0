package collector

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// Of each case are the lines a minute that Loki's exporter sent, failed to send and had no room for, and those that Loki
// got and refused.
func TestLokiIsJudgedByTheLinesThatItRefuses(t *testing.T) {
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
			exporter := fmt.Sprintf(`job="kubebot-collector", exporter=%q, pod="a"`, idLoki)
			series := map[string]string{}
			for name, each := range map[string]int{
				"otelcol_exporter_sent_log_records_total{" + exporter + "}":           c.sent,
				"otelcol_exporter_send_failed_log_records_total{" + exporter + "}":    c.failed,
				"otelcol_exporter_enqueue_failed_log_records_total{" + exporter + "}": c.full,
				`loki_distributor_lines_received_total{job="loki", tenant="fake"}`:    c.received,
				`loki_discarded_samples_total{job="loki", reason="too_far_behind"}`:   c.refused,
			} {
				series[name] = fmt.Sprintf("0+%dx60", each)
			}
			var want []string
			if c.fails {
				want = append(want, fmt.Sprintf(`{exporter=%q}`, idLoki))
			}
			golden.Query(t, series, "group by (exporter) ("+failing(in.KubeBot)+")", want...)
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
