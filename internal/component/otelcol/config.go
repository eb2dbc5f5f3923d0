// Package otelcol gives the components that run the OpenTelemetry collector its typed configuration, the check of it and
// the shape of its pods. Everything here is pure.
package otelcol

import (
	"bytes"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// Image of the collector: the contrib distribution, whose components are listed in contrib.txt.
const Image = "docker.io/otel/opentelemetry-collector-contrib:0.145.0"

// Config is a configuration of the collector (https://opentelemetry.io/docs/collector/configuration/). Keys are
// component IDs, such as otlp or otlp/jaeger; values are the structs of this package.
type Config struct {
	Extensions map[string]any `yaml:"extensions,omitempty"`
	Receivers  map[string]any `yaml:"receivers"`
	Processors map[string]any `yaml:"processors,omitempty"`
	Exporters  map[string]any `yaml:"exporters"`
	Connectors map[string]any `yaml:"connectors,omitempty"`
	Service    Service        `yaml:"service"`
}

// Service says what of the configuration runs.
type Service struct {
	Extensions []string            `yaml:"extensions,omitempty"`
	Telemetry  Telemetry           `yaml:"telemetry"`
	Pipelines  map[string]Pipeline `yaml:"pipelines"`
}

// Pipeline leads one signal from receivers to exporters.
type Pipeline struct {
	Receivers  []string `yaml:"receivers"`
	Processors []string `yaml:"processors,omitempty"`
	Exporters  []string `yaml:"exporters"`
}

// Telemetry is what the collector tells of itself.
type Telemetry struct {
	Logs    TelemetryLogs    `yaml:"logs"`
	Metrics TelemetryMetrics `yaml:"metrics"`
}

// TelemetryLogs are the collector's own logs.
type TelemetryLogs struct {
	Encoding string `yaml:"encoding"`
}

// TelemetryMetrics are the collector's own figures.
type TelemetryMetrics struct {
	Readers []MetricReader `yaml:"readers"`
}

// MetricReader serves the figures to whom asks.
type MetricReader struct {
	Pull MetricPull `yaml:"pull"`
}

// MetricPull names the way.
type MetricPull struct {
	Exporter MetricExporter `yaml:"exporter"`
}

// MetricExporter is Prometheus's format.
type MetricExporter struct {
	Prometheus PrometheusReader `yaml:"prometheus"`
}

// PrometheusReader listens at host and port.
type PrometheusReader struct {
	Host              string `yaml:"host"`
	Port              int    `yaml:"port"`
	WithoutScopeInfo  bool   `yaml:"without_scope_info"`
	WithoutTypeSuffix bool   `yaml:"without_type_suffix"`
	WithoutUnits      bool   `yaml:"without_units"`
}

// OTLPReceiver takes OTLP in.
type OTLPReceiver struct {
	Protocols Protocols `yaml:"protocols"`
}

// Protocols of OTLP; one that is nil is off.
type Protocols struct {
	GRPC *GRPCServer `yaml:"grpc,omitempty"`
	HTTP *HTTPServer `yaml:"http,omitempty"`
}

// GRPCServer listens for gRPC.
type GRPCServer struct {
	Endpoint          string    `yaml:"endpoint"`
	MaxRecvMsgSizeMiB int       `yaml:"max_recv_msg_size_mib"`
	Keepalive         Keepalive `yaml:"keepalive"`
}

// Keepalive ends connections after a while, so that callers spread anew.
type Keepalive struct {
	ServerParameters KeepaliveServer `yaml:"server_parameters"`
}

// KeepaliveServer says after what age a connection is closed, and how long its calls may still take.
type KeepaliveServer struct {
	MaxConnectionAge      time.Duration `yaml:"max_connection_age"`
	MaxConnectionAgeGrace time.Duration `yaml:"max_connection_age_grace"`
}

// HTTPServer listens for HTTP.
type HTTPServer struct {
	Endpoint string `yaml:"endpoint"`
	// MaxRequestBodySize is that of a body in bytes, decompressed.
	MaxRequestBodySize int `yaml:"max_request_body_size"`
}

// RemoteWriteID is the receiver of Prometheus's remote write.
const RemoteWriteID = "prometheusremotewrite"

// RemoteWriteReceiver takes Prometheus's remote write 2.0 in.
type RemoteWriteReceiver struct {
	Endpoint string `yaml:"endpoint"`
}

// MemoryLimiter refuses data before the process is killed for its memory. Shares are percent of the container's limit.
type MemoryLimiter struct {
	CheckInterval        time.Duration `yaml:"check_interval"`
	LimitPercentage      int           `yaml:"limit_percentage"`
	SpikeLimitPercentage int           `yaml:"spike_limit_percentage"`
}

// HealthCheck answers while the pipelines run.
type HealthCheck struct {
	Endpoint string `yaml:"endpoint"`
}

// FileStorage keeps queues on disk.
type FileStorage struct {
	Directory       string `yaml:"directory"`
	CreateDirectory bool   `yaml:"create_directory"`
	// Recreate puts a file aside that a node's sudden end has left unreadable, and begins another.
	Recreate   bool       `yaml:"recreate"`
	Compaction Compaction `yaml:"compaction"`
}

// Compaction gives disk back after a queue was long.
type Compaction struct {
	OnStart        bool   `yaml:"on_start"`
	OnRebound      bool   `yaml:"on_rebound"`
	Directory      string `yaml:"directory"`
	CleanupOnStart bool   `yaml:"cleanup_on_start"`
	// Sizes in MiB: above the first compaction becomes due, below the second it happens.
	ReboundNeededThresholdMiB  int64 `yaml:"rebound_needed_threshold_mib"`
	ReboundTriggerThresholdMiB int64 `yaml:"rebound_trigger_threshold_mib"`
}

// BasicAuth authenticates a client by user and password.
type BasicAuth struct {
	ClientAuth Credentials `yaml:"client_auth"`
}

// Credentials of a client.
type Credentials struct {
	Username string `yaml:"username"`
	Password string `yaml:"password"`
}

// Attributes changes attributes of resources.
type Attributes struct {
	Attributes []AttributeAction `yaml:"attributes"`
}

// AttributeAction is one change.
type AttributeAction struct {
	Key    string `yaml:"key"`
	Value  string `yaml:"value"`
	Action string `yaml:"action"`
}

// Transform runs statements of OTTL
// (https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/pkg/ottl).
type Transform struct {
	ErrorMode        string   `yaml:"error_mode"`
	TraceStatements  []string `yaml:"trace_statements,omitempty"`
	LogStatements    []string `yaml:"log_statements,omitempty"`
	MetricStatements []string `yaml:"metric_statements,omitempty"`
}

// TransformSpans runs statements of OTTL on spans, those of a context together.
type TransformSpans struct {
	ErrorMode       string       `yaml:"error_mode"`
	TraceStatements []Statements `yaml:"trace_statements"`
}

// Statements of OTTL that are about the same: resources, spans, or events of spans.
type Statements struct {
	Statements []string `yaml:"statements"`
}

// Filter drops that of which a condition of OTTL is true.
type Filter struct {
	ErrorMode string        `yaml:"error_mode"`
	Logs      FilterLogs    `yaml:"logs,omitempty"`
	Metrics   FilterMetrics `yaml:"metrics,omitempty"`
}

// FilterLogs are the conditions for log records.
type FilterLogs struct {
	LogRecord []string `yaml:"log_record,omitempty"`
}

// FilterMetrics are the conditions for whole metrics and for their data points.
type FilterMetrics struct {
	Metric    []string `yaml:"metric,omitempty"`
	DataPoint []string `yaml:"datapoint,omitempty"`
}

// Batch joins records, and lets those before it go on when those behind it fail.
type Batch struct {
	Timeout          time.Duration `yaml:"timeout"`
	SendBatchSize    int           `yaml:"send_batch_size"`
	SendBatchMaxSize int           `yaml:"send_batch_max_size"`
}

// OTLPExporter sends OTLP over gRPC.
type OTLPExporter struct {
	Endpoint    string        `yaml:"endpoint"`
	TLS         TLS           `yaml:"tls"`
	Compression string        `yaml:"compression"`
	Timeout     time.Duration `yaml:"timeout,omitempty"`
	Retry       Retry         `yaml:"retry_on_failure"`
	Queue       Queue         `yaml:"sending_queue"`
}

// OTLPHTTPExporter sends OTLP over HTTP.
type OTLPHTTPExporter struct {
	// Endpoint is the base, to which /v1/logs and such are added.
	Endpoint string `yaml:"endpoint,omitempty"`
	// MetricsEndpoint is the whole URL for metrics.
	MetricsEndpoint string            `yaml:"metrics_endpoint,omitempty"`
	Headers         map[string]string `yaml:"headers,omitempty"`
	Compression     string            `yaml:"compression"`
	Retry           Retry             `yaml:"retry_on_failure"`
	Queue           Queue             `yaml:"sending_queue"`
}

// TLS of a client.
type TLS struct {
	Insecure bool `yaml:"insecure"`
}

// Retry of what failed for a while; without MaxElapsedTime (zero) for ever.
type Retry struct {
	Enabled         bool          `yaml:"enabled"`
	InitialInterval time.Duration `yaml:"initial_interval,omitempty"`
	MaxInterval     time.Duration `yaml:"max_interval,omitempty"`
	MaxElapsedTime  time.Duration `yaml:"max_elapsed_time"`
}

// Queue of an exporter.
type Queue struct {
	Enabled      bool        `yaml:"enabled"`
	Sizer        string      `yaml:"sizer,omitempty"`
	QueueSize    int64       `yaml:"queue_size,omitempty"`
	NumConsumers int         `yaml:"num_consumers,omitempty"`
	Storage      string      `yaml:"storage,omitempty"`
	Batch        *QueueBatch `yaml:"batch,omitempty"`
}

// QueueBatch joins what is in the queue.
type QueueBatch struct {
	Sizer        string        `yaml:"sizer"`
	FlushTimeout time.Duration `yaml:"flush_timeout"`
	MinSize      int64         `yaml:"min_size"`
	MaxSize      int64         `yaml:"max_size"`
}

// Nop is an exporter that drops what it gets.
type Nop struct{}

// YAML writes the configuration, the same bytes for the same value.
func (c Config) YAML() (string, error) { return marshal(c) }

func marshal(v any) (string, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("marshal the collector's configuration: %w", err)
	}
	return out.String(), nil
}
