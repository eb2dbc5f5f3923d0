package otelcol

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/consul/sdk/freeport"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// The collector's own limit of a body is lower.
func TestAMessageMayBeAsLargeByHTTPAsByGRPC(t *testing.T) {
	program := golden.Program(t, "otelcol-contrib")
	server, dir := HTTP(), t.TempDir()
	server.Endpoint = golden.FreeAddress(t)
	golden.Start(t, dir, program, "/", func(address string) []string {
		c := Base()
		c.Extensions[HealthCheckID] = HealthCheck{Endpoint: address}
		figures := &c.Service.Telemetry.Metrics.Readers[0].Pull.Exporter.Prometheus
		figures.Host, figures.Port = "127.0.0.1", freeport.GetOne(t)
		c.Receivers[OTLPID] = OTLPReceiver{Protocols: Protocols{HTTP: server}}
		c.Exporters["nop"] = nil
		c.Service.Pipelines["logs"] = Pipeline{Receivers: []string{OTLPID}, Exporters: []string{"nop"}}
		text, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"--config=" + file}
	})
	for mebibytes, taken := range map[int]bool{1: true, 30: true, 33: false} {
		body := fmt.Sprintf(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"%s"}}]}]}]}`, strings.Repeat("a", mebibytes<<20))
		answer, err := http.Post("http://"+server.Endpoint+"/v1/logs", "application/json", strings.NewReader(body)) //nolint:noctx // a local server, ended with the test
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if (answer.StatusCode == http.StatusOK) != taken {
			t.Errorf("a message of %d MiB: %s, want it taken: %v", mebibytes, answer.Status, taken)
		}
	}
}
