// Package otelcoltest checks configurations of the collector with the real program.
package otelcoltest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// Program is the file name of the collector that test/components builds.
const Program = "otelcol-contrib"

// Accepted runs every case of a component's testdata through the real program's own validation, and compares the
// components that it uses with those of the published image and of the program.
func Accepted(t *testing.T, c component.Component, contrib string) {
	t.Helper()
	program := golden.Program(t, Program)
	published, built := listed(t, contrib), components(t, program)
	golden.Each(t, "testdata", c, func(t *testing.T, objects []client.Object) {
		for _, o := range objects {
			m, ok := o.(*corev1.ConfigMap)
			if !ok || m.Data["config.yaml"] == "" {
				continue
			}
			text := m.Data["config.yaml"]
			used, err := otelcol.Check(text)
			if err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
			for _, u := range used {
				if !published[u] || !built[u] {
					t.Errorf("%s uses %s %s: in the published image %v, in the test's program %v", m.Name, u.Kind, u.Type, published[u], built[u])
				}
			}
			Validate(t, program, text)
		}
	})
}

// Validate runs the program's validation of a configuration, with a folder of the test's for its data.
func Validate(t *testing.T, program, text string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, otelcol.DataDir, dir)), 0o600); err != nil {
		t.Fatalf("write the configuration: %v", err)
	}
	t.Setenv(otelcol.VariablePodIP, "127.0.0.1")
	t.Setenv(otelcol.VariablePodName, "test-0")
	golden.Run(t, dir, program, "validate", "--config="+file)
}

// listed reads contrib.txt.
func listed(t *testing.T, path string) map[otelcol.Used]bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("open the list of components: %v", err)
	}
	defer f.Close()
	all := map[otelcol.Used]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if kind, name, ok := strings.Cut(s.Text(), " "); ok && kind != "#" {
			all[otelcol.Used{Kind: kind, Type: name}] = true
		}
	}
	return all
}

// components are those that the program says it has.
func components(t *testing.T, program string) map[otelcol.Used]bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "components").Output()
	if err != nil {
		t.Fatalf("ask the collector for its components: %v", err)
	}
	var list map[string]yaml.Node
	if err := yaml.Unmarshal(out, &list); err != nil {
		t.Fatalf("read the collector's components: %v", err)
	}
	all := map[otelcol.Used]bool{}
	for _, kind := range []string{"extension", "receiver", "processor", "exporter", "connector"} {
		var named []struct {
			Name string `yaml:"name"`
		}
		node := list[kind+"s"]
		if err := node.Decode(&named); err != nil {
			t.Fatalf("read the collector's %ss: %v", kind, err)
		}
		for _, n := range named {
			all[otelcol.Used{Kind: kind, Type: n.Name}] = true
		}
	}
	return all
}
