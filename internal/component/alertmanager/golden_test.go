package alertmanager

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func TestBuildMatchesGoldenFiles(t *testing.T) {
	golden.Components(t, Component{})
}

func TestAmtoolAcceptsTheConfigurationOfEveryCase(t *testing.T) {
	amtool := golden.Program(t, "amtool")
	golden.Each(t, "testdata", Component{}, func(t *testing.T, objects []client.Object) {
		for _, o := range objects {
			if secret, ok := o.(*corev1.Secret); ok {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, keyConfig), secret.Data[keyConfig], 0o600); err != nil {
					t.Fatalf("write the configuration: %v", err)
				}
				golden.Run(t, dir, amtool, "check-config", keyConfig)
			}
		}
	})
}
