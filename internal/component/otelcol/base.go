package otelcol

import (
	"fmt"
	"time"

	"github.com/kubebot/kubebot/internal/endpoints"
)

// IDs of what every collector process has.
const (
	HealthCheckID   = "health_check"
	OTLPID          = "otlp"
	MemoryLimiterID = "memory_limiter"
)

const (
	// maxMessageMiB is more than what a sender of logs packs into one message.
	maxMessageMiB = 32
	// Shares of the container's memory limit at which data are refused; the collector's own advice.
	limitPercentage = 80
	spikePercentage = 20
)

// Base returns the parts of a configuration that every collector process has: the health check, the memory limiter, and
// its own figures and logs.
func Base() Config {
	return Config{
		Extensions: map[string]any{HealthCheckID: HealthCheck{Endpoint: listen(endpoints.CollectorHealthPort)}},
		Receivers:  map[string]any{},
		Processors: map[string]any{MemoryLimiterID: MemoryLimiter{
			CheckInterval: time.Second, LimitPercentage: limitPercentage, SpikeLimitPercentage: spikePercentage,
		}},
		Exporters:  map[string]any{},
		Connectors: map[string]any{},
		Service: Service{
			Extensions: []string{HealthCheckID},
			Telemetry: Telemetry{
				Logs: TelemetryLogs{Encoding: "json"},
				Metrics: TelemetryMetrics{Readers: []MetricReader{{Pull: MetricPull{Exporter: MetricExporter{Prometheus: PrometheusReader{
					Host: "${env:" + VariablePodIP + "}", Port: endpoints.CollectorMetricsPort, WithoutScopeInfo: true, WithoutUnits: true,
				}}}}}},
			},
			Pipelines: map[string]Pipeline{},
		},
	}
}

// listen on every address of the pod, of both families.
func listen(port int) string { return fmt.Sprintf(":%d", port) }

// GRPC is a server for OTLP whose connections end after age.
func GRPC(age time.Duration) *GRPCServer {
	return &GRPCServer{
		Endpoint: listen(endpoints.OTLPGRPCPort), MaxRecvMsgSizeMiB: maxMessageMiB,
		Keepalive: Keepalive{ServerParameters: KeepaliveServer{MaxConnectionAge: age, MaxConnectionAgeGrace: 30 * time.Second}},
	}
}

// HTTP is a server for OTLP.
func HTTP() *HTTPServer {
	return &HTTPServer{Endpoint: listen(endpoints.OTLPHTTPPort), MaxRequestBodySize: maxMessageMiB << 20}
}

// RemoteWrite is a server for Prometheus's remote write.
func RemoteWrite(port int) RemoteWriteReceiver { return RemoteWriteReceiver{Endpoint: listen(port)} }
