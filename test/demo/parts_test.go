package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/tree"
)

// A part runs where its image is at hand, and what does not run is said at the end.
func TestPartsRunWhereTheirImagesAre(t *testing.T) {
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "config", "samples", "kubebot-demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cluster, fluentBit, grafana    string
		fluentBitMode                  v1alpha1.ExporterMode
		grafanaMode                    v1alpha1.Mode
		saysNoFluentBit, saysNoGrafana bool
	}{
		"local cluster":                 {fluentBitMode: "Disabled", grafanaMode: "Disabled", saysNoFluentBit: true, saysNoGrafana: true},
		"local cluster with Grafana":    {grafana: "/tmp/grafana.tar", fluentBitMode: "Disabled", saysNoFluentBit: true},
		"local cluster with Fluent Bit": {fluentBit: "/usr/bin/fluent-bit", grafanaMode: "Disabled", saysNoGrafana: true},
		"existing cluster":              {cluster: "existing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CLUSTER", c.cluster)
			t.Setenv("FLUENT_BIT", c.fluentBit)
			t.Setenv("GRAFANA_IMAGE", c.grafana)
			manifest, err := sample(data, c.cluster == "existing")
			if err != nil {
				t.Fatal(err)
			}
			var kb v1alpha1.KubeBot
			if err := yaml.UnmarshalStrict([]byte(manifest), &kb); err != nil {
				t.Fatalf("%v\n%s", err, manifest)
			}
			if got := kb.Spec.Logs.FluentBit.Mode; got != c.fluentBitMode {
				t.Errorf("Fluent Bit is %q, want %q", got, c.fluentBitMode)
			}
			if got := kb.Spec.Dashboards.Grafana.Mode; got != c.grafanaMode {
				t.Errorf("Grafana is %q, want %q", got, c.grafanaMode)
			}
			if len(kb.Spec.Alerting.Receivers) != 2 || kb.Spec.ClusterName != "demo" {
				t.Errorf("the rest of the sample is another: %s", manifest)
			}
			var out bytes.Buffer
			d := &demo{out: &out}
			if !c.saysNoGrafana {
				d.report.Dashboard = "http://main-grafana.kubebot.svc:3000/d/home"
			}
			d.showParts()
			for text, want := range map[string]bool{
				"Fluent Bit does not run here": c.saysNoFluentBit, "Grafana does not run here": c.saysNoGrafana, "http://main-grafana": !c.saysNoGrafana,
			} {
				if strings.Contains(out.String(), text) != want {
					t.Errorf("%q is said: %t, want %t\n%s", text, !want, want, &out)
				}
			}
		})
	}
}
