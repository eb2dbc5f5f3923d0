package rules

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// ruleFile writes groups as rules.yaml.
func ruleFile(t *testing.T, dir string, groups []monitoringv1.RuleGroup) {
	t.Helper()
	data, err := yaml.Marshal(monitoringv1.PrometheusRuleSpec{Groups: groups})
	if err != nil {
		t.Fatalf("marshal rules: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), data, 0o600); err != nil {
		t.Fatalf("write rules: %v", err)
	}
}

// all renders every rule for a cluster that has all that rules need.
func all(t *testing.T) []monitoringv1.RuleGroup {
	t.Helper()
	in := fullInput()
	shipped, omitted, err := selected(in)
	if err != nil || len(omitted) > 0 {
		t.Fatalf("a cluster that has everything leaves out %v (%v)", omitted, err)
	}
	var out []monitoringv1.RuleGroup
	for _, g := range shipped {
		out = append(out, render(g))
	}
	return out
}

func TestBuiltRulesAreAsRecorded(t *testing.T) { golden.Components(t, Component{}) }

func TestPromtoolAcceptsTheRules(t *testing.T) {
	tool := golden.Program(t, "promtool")
	golden.Each(t, "testdata", Component{}, func(t *testing.T, objects []client.Object) {
		dir := t.TempDir()
		ruleFile(t, dir, groupsOf(objects))
		golden.Run(t, dir, tool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
	})
}

// TestAlertsFireAndStaySilent runs the promtool tests under testdata/promtool, each with the groups that its group_eval_order
// names. They compare labels; annotations are left out of the rules unless the file expects some, and
// TestAnnotationsNameLabelsThatTheAlertHas covers those of the others.
func TestAlertsFireAndStaySilent(t *testing.T) {
	tool := golden.Program(t, "promtool")
	full, bare := all(t), all(t)
	for i := range bare {
		for j := range bare[i].Rules {
			bare[i].Rules[j].Annotations = nil
		}
	}
	for _, source := range testFiles(t) {
		t.Run(filepath.Base(source), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(source)
			if err != nil {
				t.Fatalf("read the tests: %v", err)
			}
			groups := bare
			if bytes.Contains(data, []byte("exp_annotations")) {
				groups = full
			}
			dir := t.TempDir()
			ruleFile(t, dir, namedIn(t, data, groups))
			if err := os.WriteFile(filepath.Join(dir, "test.yaml"), data, 0o600); err != nil {
				t.Fatalf("copy the tests: %v", err)
			}
			golden.Run(t, dir, tool, "test", "rules", "test.yaml")
		})
	}
}

// namedIn returns the groups that a test file names, which must be there.
func namedIn(t *testing.T, test []byte, groups []monitoringv1.RuleGroup) []monitoringv1.RuleGroup {
	t.Helper()
	var file struct {
		Order []string `json:"group_eval_order"`
	}
	if err := yaml.Unmarshal(test, &file); err != nil || len(file.Order) == 0 {
		t.Fatalf("the test must name its groups in group_eval_order: %v", err)
	}
	var out []monitoringv1.RuleGroup
	for _, g := range groups {
		if slices.Contains(file.Order, g.Name) {
			out = append(out, g)
		}
	}
	if len(out) != len(file.Order) {
		t.Fatalf("group_eval_order %v names a group that does not exist", file.Order)
	}
	return out
}

func testFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/promtool/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("find the promtool tests: %v, %d files", err, len(files))
	}
	return files
}
