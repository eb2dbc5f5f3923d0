package fluentbit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func TestTheRealProgramTakesEveryGoldenConfiguration(t *testing.T) {
	program := fluentBit(t)
	golden.Each(t, "testdata", Component{}, func(t *testing.T, objects []client.Object) {
		for _, o := range objects {
			if m, ok := o.(*corev1.ConfigMap); ok {
				if out, err := try(t, program, m.Data); err != nil {
					t.Errorf("%s: %v\n%s", m.Name, err, out)
				}
			}
		}
	})
}

// What pods write, read by the real program with KubeBot's configuration, comes to the collector in this form, from
// which dashboards, analysis and queries are built.
func TestLinesBecomeOpenTelemetryRecords(t *testing.T) {
	r := newReceiver(t)
	n := newNode(t, r, v1alpha1.FluentBitSpec{ExtraFilters: "- name: grep\n  match: kube.*\n  exclude: log healthz\n"})
	for _, f := range []struct{ namespace, pod, container string }{
		{"shop", "checkout-5d8f7c9b6d-abcde", "app"}, {"batch", "report-29123456-x1y2z", "main"},
		{"shop", "quiet-0", "app"}, {"shop", "silent-0", "app"}, {"shop", "gone-1", "app"},
	} {
		lines, err := os.ReadFile(filepath.Join("testdata", "lines", f.pod+".log"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, n.logFile(f.namespace, f.pod, f.container), string(lines))
	}
	n.start(t)
	eventually(t, func() string {
		for _, last := range []string{"the last line of checkout", "the last line of report", "a line of a pod that the API server does not know"} {
			if r.count(last) == 0 {
				return "this has not come: " + last
			}
		}
		return ""
	})
	n.stop(t)
	if strings.Contains(n.output.String(), "error") {
		t.Errorf("Fluent Bit says that something is wrong:\n%s", n.output)
	}

	marshaler := plog.JSONMarshaler{}
	data, err := marshaler.MarshalLogs(r.merged())
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	indented, err := json.MarshalIndent(tree, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, filepath.Join("testdata", "otlp.json"), append(indented, '\n'))
}
