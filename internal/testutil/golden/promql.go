package golden

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

// Query has promtool answer a query 40 minutes after the first of the series, which are values a minute in promtool's
// notation. The answer must be 1 for each of the label sets, and nothing else.
func Query(t *testing.T, series map[string]string, expr string, want ...string) {
	t.Helper()
	promtool := Program(t, "promtool")
	var input []any
	for name, values := range series {
		input = append(input, map[string]any{"series": name, "values": values})
	}
	wanted := []any{}
	for _, labels := range want {
		wanted = append(wanted, map[string]any{"labels": labels, "value": 1})
	}
	test, err := yaml.Marshal(map[string]any{"evaluation_interval": "1m", "tests": []any{map[string]any{
		"interval": "1m", "input_series": input,
		"promql_expr_test": []any{map[string]any{"expr": expr, "eval_time": "40m", "exp_samples": wanted}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "test.yaml"), test, 0o600); err != nil {
		t.Fatal(err)
	}
	Run(t, dir, promtool, "test", "rules", "test.yaml")
}
