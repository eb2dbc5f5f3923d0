// Package golden compares what components build with files: testdata/<case>/in.yaml goes in, testdata/<case>/want.yaml
// must come out. `go test -update` writes the files anew, so that a change shows as a YAML diff.
package golden

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

var update = flag.Bool("update", false, "write the golden files anew")

// rounds are enough that a map's order, which Go shuffles, shows.
const rounds = 100

// file is an in.yaml.
type file struct {
	// KubeBot as a user writes it.
	KubeBot v1alpha1.KubeBot `json:"kubeBot"`
	// PrometheusOperatorID, Proxy, ControlPlane, Kinds (group/version/kind) and Sources as in component.Input.
	PrometheusOperatorID string            `json:"prometheusOperatorID,omitempty"`
	Proxy                map[string]string `json:"proxy,omitempty"`
	ControlPlane         []string          `json:"controlPlane,omitempty"`
	Kinds                []string          `json:"kinds,omitempty"`
	Sources              []string          `json:"sources,omitempty"`
	// Injected are the languages that the OpenTelemetry Operator has images for.
	Injected []string `json:"injected,omitempty"`
}

// Load reads an in.yaml, strictly, and adds how the tests' KubeBot is installed.
func Load(t *testing.T, path string) component.Input {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read the input: %v", err)
	}
	var f file
	if err := yaml.UnmarshalStrict(data, &f); err != nil {
		t.Fatalf("parse %s: %v", path, err)
	}
	in := Input(&f.KubeBot)
	in.Install.PrometheusOperatorID = f.PrometheusOperatorID
	in.Install.Proxy = f.Proxy
	for _, part := range f.ControlPlane {
		in.Cluster.ControlPlane[part] = true
	}
	for _, source := range f.Sources {
		in.Cluster.Sources[source] = true
	}
	in.Injection = component.Injection{Languages: f.Injected, Asked: "2026-01-02T03:04:00Z"}
	for _, kind := range f.Kinds {
		gv, err := schema.ParseGroupVersion(filepath.Dir(kind))
		if err != nil {
			t.Fatalf("parse kind %s in %s: %v", kind, path, err)
		}
		in.Cluster.Kinds[gv.WithKind(filepath.Base(kind))] = true
	}
	return in
}

// Input returns the input of a KubeBot as the chart installs it in the namespace kubebot, of a cluster called test.
func Input(kb *v1alpha1.KubeBot) component.Input {
	name := kb.Spec.ClusterName
	if name == "" {
		name = "test"
	}
	return component.Input{
		KubeBot:     kb,
		ClusterName: name,
		Install: component.Install{
			ReleaseNamespace:     "kubebot",
			NodesNamespace:       "kubebot-nodes",
			ServiceAccountPrefix: "kubebot",
			Image:                "ghcr.io/kubebot/kubebot:v0.1.0",
		},
		Cluster: component.Cluster{
			UID:          "11111111-2222-3333-4444-555555555555",
			Kinds:        map[schema.GroupVersionKind]bool{},
			ControlPlane: map[string]bool{"kube-apiserver": true},
			Sources:      map[string]bool{},
		},
	}
}

// Components builds every case of testdata 100 times, compares with its want.yaml and checks the objects' form.
func Components(t *testing.T, c component.Component) {
	t.Helper()
	cases(t, "testdata", func(t *testing.T, dir string, in component.Input) {
		objects, first := build(t, c, in)
		for range rounds - 1 {
			if _, again := build(t, c, in); !bytes.Equal(first, again) {
				t.Fatalf("the same input gives different objects:\n%s\n---- and ----\n%s", first, again)
			}
		}
		Compare(t, filepath.Join(dir, "want.yaml"), Marshal(t, objects))
		checkObjects(t, c.Name(), objects)
	})
}

// Each gives the objects of every case of a testdata folder to a check.
func Each(t *testing.T, testdata string, c component.Component, check func(t *testing.T, objects []client.Object)) {
	t.Helper()
	cases(t, testdata, func(t *testing.T, _ string, in component.Input) {
		objects, _ := build(t, c, in)
		check(t, objects)
	})
}

func cases(t *testing.T, testdata string, run func(t *testing.T, dir string, in component.Input)) {
	t.Helper()
	inputs, err := filepath.Glob(filepath.Join(testdata, "*", "in.yaml"))
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no %s/<case>/in.yaml found: %v", testdata, err)
	}
	for _, path := range inputs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) { run(t, dir, Load(t, path)) })
	}
}

func build(t *testing.T, c component.Component, in component.Input) ([]client.Object, []byte) {
	t.Helper()
	objects, err := c.Build(in)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	data, err := json.Marshal(objects)
	if err != nil {
		t.Fatalf("marshal what Build returned: %v", err)
	}
	return objects, data
}

// Compare compares data with a golden file, or writes it with -update.
func Compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatalf("write the golden file: %v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read the golden file (go test -update writes it): %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew, git diff shows the change). Got:\n%s", path, got)
	}
}

// Marshal writes objects as YAML documents. The data of Secrets, which hold no secret where components build them, are
// shown as text.
func Marshal(t *testing.T, objects []client.Object) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, o := range objects {
		data, err := yaml.Marshal(readable(o))
		if err != nil {
			t.Fatalf("marshal %T: %v", o, err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.Bytes()
}
