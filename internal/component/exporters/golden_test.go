package exporters

import (
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func TestBuildMatchesGoldenFiles(t *testing.T) {
	golden.Components(t, Component{})
}

// The real program takes the arguments and reads this machine's files where it would read the node's.
func TestARealNodeExporterTakesTheArguments(t *testing.T) {
	program := golden.Program(t, "node_exporter")
	template := nodeExporterDaemonSet(input(v1alpha1.MetricsSpec{}), nodeExporterImage).Spec.Template
	base := golden.Start(t, t.TempDir(), program, "/", func(address string) []string {
		var args []string
		for _, arg := range template.Spec.Containers[0].Args {
			arg = strings.ReplaceAll(arg, "[$(HOST_IP)]:19100", address)
			arg = strings.ReplaceAll(arg, "/host/root", "/")
			args = append(args, strings.ReplaceAll(arg, "/host/", "/"))
		}
		return args
	})
	metrics := string(golden.Ask(t, base+"/metrics").Body)
	for _, series := range []string{"node_cpu_seconds_total{", "node_memory_MemAvailable_bytes ", "node_filesystem_avail_bytes{", "node_network_receive_bytes_total{"} {
		if !strings.Contains(metrics, "\n"+series) {
			t.Errorf("there is no series %s", series)
		}
	}
}
