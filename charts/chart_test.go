// Package charts_test renders the chart as Helm does.
package charts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// policies is a cluster that has the admission policies of Kubernetes 1.36, betaPolicies one that has those of 1.34.
const (
	policies     = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
	betaPolicies = "--api-versions=admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy"
)

// render returns what the chart makes of values, as arguments of helm.
func render(t *testing.T, values ...string) string {
	t.Helper()
	return renderIn(t, "kubebot", values...)
}

// renderIn does so with the chart of a folder.
func renderIn(t *testing.T, chart string, values ...string) string {
	t.Helper()
	args := append([]string{"template", "kubebot", chart, "--namespace=kubebot", "--kube-version=1.36.3"}, values...)
	out, err := exec.CommandContext(t.Context(), golden.Program(t, "helm"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("render the chart: %v\n%s", err, out)
	}
	return string(out)
}

func TestValues(t *testing.T) {
	for name, c := range map[string]struct {
		values    []string
		has, lack string
	}{
		"the condition of a chart above it": {values: []string{"--set=enabled=true"}, has: "kind: Deployment"},
		// As helm upgrade --reuse-values has it, where the release before did not know the value.
		"no value instrumentation": {values: []string{policies, "--set=instrumentation=null"}, has: "kind: MutatingAdmissionPolicy\n"},
		"no instrumentation":       {values: []string{policies, "--set=instrumentation.install=false"}, lack: "kind: MutatingAdmissionPolicy\n"},
		"policies, and their beta too": {
			values: []string{policies, betaPolicies}, has: "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\n", lack: "v1beta1\n",
		},
		"the beta of policies":       {values: []string{betaPolicies}, has: "apiVersion: admissionregistration.k8s.io/v1beta1\nkind: MutatingAdmissionPolicy\n"},
		"its bindings":               {values: []string{betaPolicies}, has: "apiVersion: admissionregistration.k8s.io/v1beta1\nkind: MutatingAdmissionPolicyBinding\n"},
		"a cluster without policies": {has: "kind: Deployment", lack: "kind: MutatingAdmissionPolicy"},
		"definitions of somebody else": {
			values: []string{"--set=prometheusOperator.crds=false"}, has: "image: quay.io/prometheus-operator/", lack: "name: prometheuses.monitoring.coreos.com\n",
		},
		"definitions by default": {has: "name: prometheuses.monitoring.coreos.com\n"},
		"another port of the API server": {
			values: []string{"--set=networkPolicies.apiServerPorts={443,16443}"}, has: "- --api-server-ports=443,16443\n", lack: "port: 6443}",
		},
		"an operator of somebody else": {
			values: []string{"--set=prometheusOperator.install=false"}, has: "name: kubebots.kubebot.io\n", lack: "monitoring.coreos.com\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := render(t, c.values...)
			if !strings.Contains(out, c.has) || c.lack != "" && strings.Contains(out, c.lack) {
				t.Errorf("%q must be there, %q must not:\n%s", c.has, c.lack, out[:min(len(out), 4000)])
			}
		})
	}
}

// TestThePodsOfTheChartRunWhereTheManagerMay counts them: the manager, the Prometheus Operator and the clean-up job.
func TestThePodsOfTheChartRunWhereTheManagerMay(t *testing.T) {
	out := render(t, "--set=manager.nodeSelector.disk=ssd", "--set=manager.tolerations[0].operator=Exists", "--set=manager.priorityClassName=high")
	for _, line := range []string{"        disk: ssd\n        kubernetes.io/os: linux\n", "      - operator: Exists\n", "      priorityClassName: high\n"} {
		if n := strings.Count(out, line); n != 3 {
			t.Errorf("%d of 3 pods have %q", n, line)
		}
	}
}

// TestTheNotesSayWhereTheLabelDoesNothing renders the notes as a manifest: `helm template` leaves them out.
func TestTheNotesSayWhereTheLabelDoesNothing(t *testing.T) {
	chart := t.TempDir()
	if err := os.CopyFS(chart, os.DirFS("kubebot")); err != nil {
		t.Fatal(err)
	}
	notes, err := os.ReadFile("kubebot/templates/NOTES.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"notes.txt": string(notes), "templates/notes.yaml": "kind: Notes\ntext: {{ tpl (.Files.Get \"notes.txt\") . | quote }}\n",
	} {
		if err := os.WriteFile(filepath.Join(chart, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		values []string
		said   bool
	}{
		"no policies":              {nil, true},
		"no policies, not wanted":  {[]string{"--set=instrumentation.install=false"}, false},
		"policies":                 {[]string{policies}, false},
		"their beta":               {[]string{betaPolicies}, false},
		"a release of long before": {[]string{"--set=instrumentation=null"}, true},
	} {
		out := renderIn(t, chart, append(c.values, "--show-only=templates/notes.yaml")...)
		if !strings.Contains(out, "kubectl apply -n kubebot -f -") || strings.Contains(out, "kubebot.io/instrumentation does nothing") != c.said {
			t.Errorf("%s: want it said: %v\n%s", name, c.said, out)
		}
	}
}
