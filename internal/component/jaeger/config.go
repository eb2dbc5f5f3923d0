package jaeger

import (
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// The structs below are the parts of Jaeger's configuration that KubeBot sets: Jaeger 2 is a build of the OpenTelemetry
// collector with extensions for storage and queries (https://www.jaegertracing.io/docs/2.2/configuration/). `jaeger
// validate` checks what is made of them.

type config struct {
	Service    service    `yaml:"service"`
	Extensions extensions `yaml:"extensions"`
	Receivers  receivers  `yaml:"receivers"`
	Processors processors `yaml:"processors"`
	Exporters  exporters  `yaml:"exporters"`
}

type service struct {
	Extensions []string            `yaml:"extensions"`
	Pipelines  map[string]pipeline `yaml:"pipelines"`
	Telemetry  telemetry           `yaml:"telemetry"`
}

type pipeline struct {
	Receivers  []string `yaml:"receivers"`
	Processors []string `yaml:"processors"`
	Exporters  []string `yaml:"exporters"`
}

type telemetry struct {
	Resource map[string]string `yaml:"resource"`
	Logs     telemetryLogs     `yaml:"logs"`
	Metrics  telemetryMetrics  `yaml:"metrics"`
}

type telemetryLogs struct {
	Level    string `yaml:"level"`
	Encoding string `yaml:"encoding"`
}

type telemetryMetrics struct {
	Level   string         `yaml:"level"`
	Readers []metricReader `yaml:"readers"`
}

type metricReader struct {
	Pull pullReader `yaml:"pull"`
}

type pullReader struct {
	Exporter pullExporter `yaml:"exporter"`
}

type pullExporter struct {
	Prometheus prometheusExporter `yaml:"prometheus"`
}

type prometheusExporter struct {
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
}

type extensions struct {
	Storage jaegerStorage `yaml:"jaeger_storage"`
	Query   jaegerQuery   `yaml:"jaeger_query"`
	Health  healthCheck   `yaml:"healthcheckv2"`
}

type jaegerStorage struct {
	Backends map[string]backend `yaml:"backends"`
}

type backend struct {
	Badger        *badger        `yaml:"badger,omitempty"`
	Elasticsearch *elasticsearch `yaml:"elasticsearch,omitempty"`
}

type badger struct {
	Directories badgerDirectories `yaml:"directories"`
	Ephemeral   bool              `yaml:"ephemeral"`
	TTL         badgerTTL         `yaml:"ttl"`
}

type badgerDirectories struct {
	Keys   string `yaml:"keys"`
	Values string `yaml:"values"`
}

type badgerTTL struct {
	Spans string `yaml:"spans"`
}

type elasticsearch struct {
	Servers []string `yaml:"server_urls"`
	Auth    *auth    `yaml:"auth,omitempty"`
}

type auth struct {
	Basic basicAuth `yaml:"basic"`
}

type basicAuth struct {
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

type jaegerQuery struct {
	Storage       queryStorage `yaml:"storage"`
	HTTP          endpoint     `yaml:"http"`
	GRPC          endpoint     `yaml:"grpc"`
	EnableTracing bool         `yaml:"enable_tracing"`
}

type queryStorage struct {
	Traces string `yaml:"traces"`
}

type endpoint struct {
	Endpoint string `yaml:"endpoint"`
}

type healthCheck struct {
	V2   bool       `yaml:"use_v2"`
	HTTP healthHTTP `yaml:"http"`
}

type healthHTTP struct {
	Endpoint string       `yaml:"endpoint"`
	Status   healthStatus `yaml:"status"`
}

type healthStatus struct {
	Enabled bool   `yaml:"enabled"`
	Path    string `yaml:"path"`
}

type receivers struct {
	OTLP otlp `yaml:"otlp"`
}

type otlp struct {
	Protocols otlpProtocols `yaml:"protocols"`
}

type otlpProtocols struct {
	GRPC otlpGRPC `yaml:"grpc"`
	HTTP endpoint `yaml:"http"`
}

type otlpGRPC struct {
	Endpoint   string `yaml:"endpoint"`
	MaxMessage int    `yaml:"max_recv_msg_size_mib"`
}

type processors struct {
	MemoryLimiter memoryLimiter `yaml:"memory_limiter"`
}

type memoryLimiter struct {
	CheckInterval string `yaml:"check_interval"`
	Limit         int    `yaml:"limit_percentage"`
	Spike         int    `yaml:"spike_limit_percentage"`
}

type exporters struct {
	Storage storageExporter `yaml:"jaeger_storage_exporter"`
}

type storageExporter struct {
	Storage string `yaml:"trace_storage"`
}

// newConfig checks what the CRD's schema can't and returns Jaeger's configuration. There is neither a batch nor a queue:
// a span that was taken is stored, and what is not taken the collector sends again.
func newConfig(s v1alpha1.JaegerSpec) (config, error) {
	back, err := newBackend(s)
	if err != nil {
		return config{}, err
	}
	return config{
		Service: service{
			Extensions: []string{"jaeger_storage", "jaeger_query", "healthcheckv2"},
			Pipelines: map[string]pipeline{"traces": {
				Receivers: []string{"otlp"}, Processors: []string{"memory_limiter"}, Exporters: []string{"jaeger_storage_exporter"},
			}},
			Telemetry: telemetry{
				Resource: map[string]string{"service.name": "jaeger"},
				Logs:     telemetryLogs{Level: "warn", Encoding: "json"},
				Metrics: telemetryMetrics{Level: "detailed", Readers: []metricReader{{Pull: pullReader{Exporter: pullExporter{
					Prometheus: prometheusExporter{Host: anywhere, Port: endpoints.JaegerMetricsPort},
				}}}}},
			},
		},
		Extensions: extensions{
			Storage: jaegerStorage{Backends: map[string]backend{store: back}},
			Query: jaegerQuery{
				Storage: queryStorage{Traces: store},
				HTTP:    endpoint{listen(anywhere, endpoints.JaegerQueryPort)},
				GRPC:    endpoint{listen("127.0.0.1", queryGRPCPort)},
			},
			Health: healthCheck{V2: true, HTTP: healthHTTP{
				Endpoint: listen(anywhere, healthPort), Status: healthStatus{Enabled: true, Path: healthPath},
			}},
		},
		Receivers: receivers{OTLP: otlp{Protocols: otlpProtocols{
			GRPC: otlpGRPC{Endpoint: listen(anywhere, endpoints.OTLPGRPCPort), MaxMessage: messageMiB},
			HTTP: endpoint{listen(anywhere, endpoints.OTLPHTTPPort)},
		}}},
		Processors: processors{MemoryLimiter: memoryLimiter{CheckInterval: memoryCheck, Limit: memoryLimitShare, Spike: memorySpikeShare}},
		Exporters:  exporters{Storage: storageExporter{Storage: store}},
	}, nil
}

// anywhere is every address of the pod.
const anywhere = "0.0.0.0"

func listen(host string, port int) string { return host + ":" + strconv.Itoa(port) }

// variableNothing is never set.
const variableNothing = "NOTHING"

// newBackend is the embedded store, or Elasticsearch. The user name comes from the environment, which Jaeger puts in,
// the password from a file, which it reads anew when it changes.
func newBackend(s v1alpha1.JaegerSpec) (backend, error) {
	keep, err := component.Duration(field+".retention", s.Retention, retention)
	if err != nil {
		return backend{}, err
	}
	e := s.Elasticsearch
	if e == nil {
		return backend{Badger: &badger{
			Directories: badgerDirectories{Keys: dataDir + "/keys", Values: dataDir + "/values"},
			TTL:         badgerTTL{Spans: time.Duration(keep).String()},
		}}, nil
	}
	if err := component.CheckURL(field+".elasticsearch.url", e.URL, "use basicAuth"); err != nil {
		return backend{}, err
	}
	back := &elasticsearch{Servers: []string{e.URL}}
	if e.BasicAuth != nil {
		if err := component.CheckSecret(field+".elasticsearch.basicAuth.usernameSecret", e.BasicAuth.UsernameSecret); err != nil {
			return backend{}, err
		}
		if err := component.CheckSecret(field+".elasticsearch.basicAuth.passwordSecret", e.BasicAuth.PasswordSecret); err != nil {
			return backend{}, err
		}
		// A value that is a variable alone is read as YAML, so that 12345 would be a number; two are joined as text.
		back.Auth = &auth{Basic: basicAuth{
			Username: "${env:" + variableUser + "}${env:" + variableNothing + ":-}", PasswordFile: secretDir + "/" + passwordFile,
		}}
	}
	return backend{Elasticsearch: back}, nil
}

func marshal(c config) (string, error) {
	data, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("marshal the configuration of Jaeger: %w", err)
	}
	return string(data), nil
}
