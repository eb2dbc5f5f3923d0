package arch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/testutil/tree"
)

// `kubectl apply -k config/default` brings every custom resource definition that is generated.
func TestKustomizationListsEveryDefinition(t *testing.T) {
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "config", "crd")
	data, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var listed struct{ Resources []string }
	if err := yaml.Unmarshal(data, &listed); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in %s: %v", folder, err)
	}
	for _, f := range files {
		name, err := filepath.Rel(folder, f)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(listed.Resources, name) {
			t.Errorf("config/crd/kustomization.yaml does not list %s", name)
		}
	}
	if len(listed.Resources) != len(files) {
		t.Errorf("config/crd/kustomization.yaml lists %d resources, and there are %d definitions", len(listed.Resources), len(files))
	}
}
