package jaeger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func TestBuildMatchesGoldenFiles(t *testing.T) {
	golden.Components(t, Component{})
}

func TestJaegerAcceptsTheConfigurationOfEveryCase(t *testing.T) {
	program := golden.Program(t, "jaeger")
	t.Setenv(variableUser, "12345")
	golden.Each(t, "testdata", Component{}, func(t *testing.T, objects []client.Object) {
		for _, o := range objects {
			if m, ok := o.(*corev1.ConfigMap); ok {
				golden.Run(t, written(t, m.Data[configFile]), program, "validate", "--config="+configFile)
			}
		}
	})
}

// written returns a folder with the configuration, whose own folders are put there too.
func written(t *testing.T, data string) string {
	t.Helper()
	dir := t.TempDir()
	data = strings.ReplaceAll(data, dataDir, dir)
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte(data), 0o600); err != nil {
		t.Fatalf("write the configuration: %v", err)
	}
	return dir
}
