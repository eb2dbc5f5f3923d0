package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/test/grafana"
	"github.com/kubebot/kubebot/test/stack"
)

// part is a program of the stack that is no Go module, so that the local cluster has no image of it by itself.
type part struct {
	name string
	// field is where the sample switches it off.
	field []string
	// variable of the environment names what its image is made of.
	variable, what string
	load           func(*stack.Cluster, context.Context, string) error
}

var parts = []part{
	{"Fluent Bit", []string{"spec", "logs", "fluentBit"}, "FLUENT_BIT", "a Fluent Bit 5.1, or a tarball of its image", (*stack.Cluster).LoadFluentBit},
	{"Grafana", []string{"spec", "dashboards", "grafana"}, "GRAFANA_IMAGE",
		"a tarball of docker.io/grafana/grafana:" + grafana.Version, (*stack.Cluster).LoadGrafana},
}

// has tells whether the cluster has the part's image: an existing one pulls it as usual.
func (p part) has(existing bool) bool { return existing || os.Getenv(p.variable) != "" }

// images puts the images into a local cluster.
func (d *demo) images(ctx context.Context) error {
	if err := d.cluster.LoadImages(ctx); err != nil || stack.Existing() {
		return err
	}
	for _, p := range parts {
		if path := os.Getenv(p.variable); path != "" {
			if err := p.load(d.cluster, ctx, path); err != nil {
				return fmt.Errorf("load the image of %s, which %s names: %w", p.name, p.variable, err)
			}
		}
	}
	return nil
}

// sample is the sample's KubeBot, in which the parts that the cluster has are as KubeBot has them by default.
func sample(data []byte, existing bool) (string, error) {
	var object map[string]any
	if err := yaml.Unmarshal(data, &object); err != nil {
		return "", fmt.Errorf("read the sample: %w", err)
	}
	for _, p := range parts {
		if p.has(existing) {
			unstructured.RemoveNestedField(object, p.field...)
		}
	}
	out, err := yaml.Marshal(object)
	if err != nil {
		return "", fmt.Errorf("write the sample: %w", err)
	}
	return string(out), nil
}

// showParts shows the home dashboard's address, and which parts are switched off.
func (d *demo) showParts() {
	if d.report.Dashboard != "" {
		_, _ = fmt.Fprintf(d.out, "\nThe home dashboard: %s\n", d.report.Dashboard)
		_, _ = fmt.Fprintln(d.out, "  kubectl -n kubebot port-forward svc/main-grafana 3000        # user admin, with the password of\n"+
			"  kubectl -n kubebot get secret main-credentials -o jsonpath='{.data.grafana-admin-password}' | base64 -d")
	}
	for _, p := range parts {
		if p.has(stack.Existing()) {
			continue
		}
		shown := ""
		if p.variable == "GRAFANA_IMAGE" {
			shown = ", and the home dashboard is not shown"
		}
		_, _ = fmt.Fprintf(d.out, "\n%s does not run here%s: it is no Go module, so the local cluster has no image of it, and the sample\nswitches it off. "+
			"Let %s name %s. In your own cluster leave %s\nout of config/samples/kubebot-demo.yaml.\n",
			p.name, shown, p.variable, p.what, strings.Join(p.field, "."))
	}
}
