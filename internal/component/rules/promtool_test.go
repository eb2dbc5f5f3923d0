package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// promtool returns the path of promtool, which test/components/build promtool makes.
func promtool(t *testing.T) string {
	t.Helper()
	dirs := []string{os.Getenv("KUBEBOT_CACHE")}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".cache", "kubebot"))
	}
	for _, dir := range dirs {
		if path := filepath.Join(dir, "bin", "promtool"); dir != "" && executable(path) {
			return path
		}
	}
	if path, err := exec.LookPath("promtool"); err == nil {
		return path
	}
	const missing = "promtool is missing, so NO RULE WAS TESTED: run test/components/build promtool"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

func run(t *testing.T, tool string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args[:2], err, out)
	}
}

// ruleFile writes groups as a file of rules and returns its path.
func ruleFile(t *testing.T, dir string, groups []monitoringv1.RuleGroup) string {
	t.Helper()
	data, err := yaml.Marshal(monitoringv1.PrometheusRuleSpec{Groups: groups})
	if err != nil {
		t.Fatalf("marshal rules: %v", err)
	}
	path := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatalf("write rules: %v", err)
	}
	return path
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

func TestPromtoolAcceptsTheRules(t *testing.T) {
	tool := promtool(t)
	for name, in := range map[string]func() []monitoringv1.RuleGroup{
		"all":     func() []monitoringv1.RuleGroup { return all(t) },
		"default": func() []monitoringv1.RuleGroup { return rendered(t, defaultInput()) },
		"without": func() []monitoringv1.RuleGroup {
			in := defaultInput()
			in.KubeBot.Spec.Metrics.KubeStateMetrics.Mode = v1alpha1.ExporterMode(v1alpha1.ModeDisabled)
			return rendered(t, in)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, tool, "check", "rules", "--lint=all", "--lint-fatal", ruleFile(t, t.TempDir(), in()))
		})
	}
}

// TestAlertsFireAndStaySilent runs the promtool tests under testdata. They compare labels; annotations are left out of
// the rules here, TestAnnotationsNameLabelsThatTheAlertHas covers those.
func TestAlertsFireAndStaySilent(t *testing.T) {
	tool := promtool(t)
	bare := all(t)
	for i := range bare {
		for j := range bare[i].Rules {
			bare[i].Rules[j].Annotations = nil
		}
	}
	for _, source := range testFiles(t) {
		t.Run(filepath.Base(source), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ruleFile(t, dir, bare)
			data, err := os.ReadFile(source)
			if err != nil {
				t.Fatalf("read the tests: %v", err)
			}
			path := filepath.Join(dir, "test.yaml")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatalf("copy the tests: %v", err)
			}
			run(t, tool, "test", "rules", path)
		})
	}
}

func testFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("find the promtool tests: %v, %d files", err, len(files))
	}
	return files
}
