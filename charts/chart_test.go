// Package charts_test renders the chart as Helm does.
package charts_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// policies is a cluster that has the admission policies of Kubernetes 1.36.
const policies = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"

// render returns what the chart makes of values, as arguments of helm.
func render(t *testing.T, values ...string) string {
	t.Helper()
	args := append([]string{"template", "kubebot", "kubebot", "--namespace=kubebot", "--kube-version=1.36.3"}, values...)
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
