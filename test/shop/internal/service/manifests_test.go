package service

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const manifests = "../../manifests"

// deployment is what these tests look at of a Deployment.
type deployment struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Spec     struct {
		Replicas int
		Template struct {
			Metadata struct{ Annotations, Labels map[string]string }
			Spec     struct {
				SecurityContext struct{ RunAsNonRoot bool }
				Containers      []struct {
					Name, Image, ImagePullPolicy string
					Args                         []string
					Env                          []struct{ Name, Value string }
					Resources                    struct{ Requests, Limits map[string]string }
					ReadinessProbe               struct{ HTTPGet struct{ Path string } }
					SecurityContext              struct {
						AllowPrivilegeEscalation, ReadOnlyRootFilesystem *bool
						Capabilities                                     struct{ Drop []string }
					}
				}
			}
		}
	}
}

func readManifest[T any](t *testing.T, name string) []T {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(manifests, name))
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	for _, document := range bytes.Split(raw, []byte("\n---\n")) {
		var one T
		if err := yaml.Unmarshal(document, &one); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, one)
	}
	return all
}

func TestManifestsRunEveryServiceWithinTheBudget(t *testing.T) {
	kustomization := readManifest[struct{ Resources []string }](t, "kustomization.yaml")[0]
	var services []string
	millicores := 0
	for _, file := range kustomization.Resources {
		for _, d := range readManifest[deployment](t, file) {
			if d.Kind != "Deployment" {
				continue
			}
			c := d.Spec.Template.Spec.Containers[0]
			services = append(services, c.Args...)
			cpu, err := strconv.Atoi(strings.TrimSuffix(c.Resources.Requests["cpu"], "m"))
			if err != nil {
				t.Fatal(err)
			}
			millicores += cpu * d.Spec.Replicas
			if c.Image != "ghcr.io/kubebot/shop:v0.1.0" || c.ImagePullPolicy != "IfNotPresent" {
				t.Errorf("%s: image %q, pulled %q", file, c.Image, c.ImagePullPolicy)
			}
			if a := d.Spec.Template.Metadata.Annotations; a["prometheus.io/scrape"] != "true" || a["prometheus.io/port"] != "9464" {
				t.Errorf("%s: annotations %v", file, a)
			}
			s := c.SecurityContext
			if !d.Spec.Template.Spec.SecurityContext.RunAsNonRoot || *s.AllowPrivilegeEscalation ||
				!*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
				t.Errorf("%s: not restricted: %+v", file, s)
			}
			if c.ReadinessProbe.HTTPGet.Path != "/readyz" {
				t.Errorf("%s: probe %+v", file, c.ReadinessProbe)
			}
		}
	}
	slices.Sort(services)
	if !slices.Equal(services, Names()) {
		t.Errorf("deployed %q, want %q", services, Names())
	}
	if millicores > 150 {
		t.Errorf("CPU requests are %dm in all, want at most 150m", millicores)
	}
}

func TestManifestsSetOnlyVariablesThatAreRead(t *testing.T) {
	read := map[string]bool{}
	if _, err := readConfig(func(key string) string { read[key] = true; return "" }); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(manifests, "*.yaml"))
	if err != nil || len(files) < 8 {
		t.Fatalf("manifests: %q, %v", files, err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, d := range readManifest[deployment](t, filepath.Base(file)) {
			for _, c := range d.Spec.Template.Spec.Containers {
				for _, v := range c.Env {
					// Those of the OpenTelemetry SDK are the SDK's to read.
					if !read[v.Name] && !strings.HasPrefix(v.Name, "OTEL_") {
						t.Errorf("%s sets %s, which nobody reads", file, v.Name)
					}
				}
			}
		}
	}
	for name := range read {
		if !bytes.Contains(readme, []byte("`"+name+"`")) && name != "HOSTNAME" {
			t.Errorf("README.md does not explain %s", name)
		}
	}
}
