package prometheus

import (
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func TestBuildMatchesGoldenFiles(t *testing.T) {
	golden.Components(t, Component{})
}

func TestPromtoolAcceptsTheConfigurationOfEveryCase(t *testing.T) {
	promtool := golden.Program(t, "promtool")
	golden.Each(t, "testdata", Component{}, func(t *testing.T, objects []client.Object) {
		for _, o := range objects {
			if secret, ok := o.(*corev1.Secret); ok {
				golden.Run(t, whole(t, secret), promtool, "check", "config", "--syntax-only", "prometheus.yaml")
			}
		}
	})
}

// whole writes a Prometheus configuration around what the operator would take from the Secret, and returns its folder.
func whole(t *testing.T, secret *corev1.Secret) string {
	t.Helper()
	var config struct {
		ScrapeConfigs []any `yaml:"scrape_configs"`
		Alerting      struct {
			Alertmanagers []any `yaml:"alertmanagers,omitempty"`
		} `yaml:"alerting,omitempty"`
	}
	for key, to := range map[string]*[]any{keyScrape: &config.ScrapeConfigs, keyAlertmanagers: &config.Alerting.Alertmanagers} {
		if err := yaml.Unmarshal(secret.Data[key], to); err != nil {
			t.Fatalf("parse %s: %v", key, err)
		}
	}
	if len(config.ScrapeConfigs) == 0 {
		t.Fatalf("the Secret %s has no scrape configuration", secret.Name)
	}
	data, err := yaml.Marshal(config)
	if err != nil {
		t.Fatalf("marshal the configuration: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yaml"), data, 0o600); err != nil {
		t.Fatalf("write the configuration: %v", err)
	}
	return dir
}
