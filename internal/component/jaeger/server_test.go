package jaeger

import (
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/sdk/freeport"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// server is a running Jaeger on free ports.
type server struct {
	query, otlp, metrics string
	// kill ends it as a lost node would.
	kill func()
}

// startJaeger runs the program on the files of a folder until the test or kill ends it.
func startJaeger(t *testing.T, program, dir string, s v1alpha1.JaegerSpec) server {
	t.Helper()
	c, err := newConfig(s)
	if err != nil {
		t.Fatal(err)
	}
	query, grpc, metrics, health, otlpGRPC, otlpHTTP := free(t), free(t), free(t), free(t), free(t), free(t)
	c.Extensions.Query.HTTP.Endpoint, c.Extensions.Query.GRPC.Endpoint = query.String(), grpc.String()
	c.Extensions.Health.HTTP.Endpoint = health.String()
	c.Receivers.OTLP.Protocols.GRPC.Endpoint, c.Receivers.OTLP.Protocols.HTTP.Endpoint = otlpGRPC.String(), otlpHTTP.String()
	c.Service.Telemetry.Metrics.Readers[0].Pull.Exporter.Prometheus = prometheusExporter{Host: "127.0.0.1", Port: metrics.Port}
	data, err := marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(written(t, strings.NewReplacer(dataDir, dir, secretDir, dir).Replace(data)), configFile)
	cmd := exec.CommandContext(t.Context(), program, "--config="+file)
	cmd.Dir = dir
	for _, v := range environment(nil) {
		cmd.Env = append(cmd.Environ(), v.Name+"="+v.Value)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Jaeger: %v", err)
	}
	kill := sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed: its error says only that
	})
	t.Cleanup(kill)
	for deadline := time.Now().Add(time.Minute); golden.Ask(t, "http://"+health.String()+healthPath).Status != http.StatusOK; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("Jaeger does not get healthy")
		}
	}
	return server{"http://" + query.String(), "http://" + otlpHTTP.String(), "http://" + metrics.String(), kill}
}

func free(t *testing.T) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: freeport.GetOne(t)}
}
