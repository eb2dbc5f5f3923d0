package collector

import (
	"time"

	"github.com/kubebot/kubebot/internal/component/otelcol"
)

// The structs below are settings of components of the contrib distribution that only this package configures
// (https://github.com/open-telemetry/opentelemetry-collector-contrib).

// loadBalancing sends all spans of a trace to the same sampler.
type loadBalancing struct {
	RoutingKey string        `yaml:"routing_key"`
	Protocol   protocol      `yaml:"protocol"`
	Resolver   resolver      `yaml:"resolver"`
	Retry      otelcol.Retry `yaml:"retry_on_failure"`
	Queue      otelcol.Queue `yaml:"sending_queue"`
}

type protocol struct {
	OTLP endpointExporter `yaml:"otlp"`
}

// endpointExporter is an OTLP exporter whose endpoint the balancer sets.
type endpointExporter struct {
	TLS         otelcol.TLS   `yaml:"tls"`
	Compression string        `yaml:"compression"`
	Retry       otelcol.Retry `yaml:"retry_on_failure"`
	Queue       otelcol.Queue `yaml:"sending_queue"`
}

type resolver struct {
	DNS dnsResolver `yaml:"dns"`
}

type dnsResolver struct {
	Hostname string        `yaml:"hostname"`
	Port     string        `yaml:"port"`
	Interval time.Duration `yaml:"interval"`
	Timeout  time.Duration `yaml:"timeout"`
}

// groupByAttributes makes one resource of the records with the same values of some attributes, and lifts these to it.
type groupByAttributes struct {
	Keys []string `yaml:"keys"`
}

// k8sAttributes adds to telemetry which pod it came from.
type k8sAttributes struct {
	AuthType       string        `yaml:"auth_type"`
	WaitForMeta    bool          `yaml:"wait_for_metadata"`
	WaitTimeout    time.Duration `yaml:"wait_for_metadata_timeout"`
	Extract        extract       `yaml:"extract"`
	PodAssociation []association `yaml:"pod_association"`
}

type extract struct {
	Metadata    []string         `yaml:"metadata"`
	Annotations []extractedField `yaml:"annotations"`
}

// extractedField makes an attribute of a pod's annotation.
type extractedField struct {
	TagName string `yaml:"tag_name"`
	Key     string `yaml:"key"`
	From    string `yaml:"from"`
}

type association struct {
	Sources []source `yaml:"sources"`
}

type source struct {
	From string `yaml:"from"`
	Name string `yaml:"name,omitempty"`
}

// k8sObjects watches objects of the cluster.
type k8sObjects struct {
	AuthType            string      `yaml:"auth_type"`
	IncludeInitialState bool        `yaml:"include_initial_state"`
	Objects             []k8sObject `yaml:"objects"`
}

type k8sObject struct {
	Name             string   `yaml:"name"`
	Group            string   `yaml:"group"`
	Mode             string   `yaml:"mode"`
	ExcludeWatchType []string `yaml:"exclude_watch_type"`
}

// spanMetrics counts spans and measures their durations.
type spanMetrics struct {
	Namespace            string        `yaml:"namespace"`
	Histogram            histogram     `yaml:"histogram"`
	Dimensions           []dimension   `yaml:"dimensions"`
	ResourceKey          []string      `yaml:"resource_metrics_key_attributes"`
	Exemplars            exemplars     `yaml:"exemplars"`
	MetricsFlushInterval time.Duration `yaml:"metrics_flush_interval"`
	MetricsExpiration    time.Duration `yaml:"metrics_expiration"`
	CardinalityLimit     int           `yaml:"aggregation_cardinality_limit"`
}

type histogram struct {
	Unit     string  `yaml:"unit"`
	Explicit buckets `yaml:"explicit"`
}

type buckets struct {
	Buckets []time.Duration `yaml:"buckets"`
}

type dimension struct {
	Name string `yaml:"name"`
}

type exemplars struct {
	Enabled         bool `yaml:"enabled"`
	MaxPerDataPoint int  `yaml:"max_per_data_point"`
}

// serviceGraph measures calls between services.
type serviceGraph struct {
	LatencyHistogramBuckets []time.Duration `yaml:"latency_histogram_buckets"`
	Store                   graphStore      `yaml:"store"`
	MetricsFlushInterval    time.Duration   `yaml:"metrics_flush_interval"`
}

type graphStore struct {
	TTL      time.Duration `yaml:"ttl"`
	MaxItems int           `yaml:"max_items"`
}

// tailSampling keeps or drops whole traces.
type tailSampling struct {
	DecisionWait  time.Duration `yaml:"decision_wait"`
	NumTraces     int           `yaml:"num_traces"`
	DecisionCache decisionCache `yaml:"decision_cache"`
	Policies      []policy      `yaml:"policies"`
}

type decisionCache struct {
	SampledCacheSize    int `yaml:"sampled_cache_size"`
	NonSampledCacheSize int `yaml:"non_sampled_cache_size"`
}

// policy keeps a trace; one that no policy keeps is dropped.
type policy struct {
	Name          string         `yaml:"name"`
	Type          string         `yaml:"type"`
	StatusCode    *statusCode    `yaml:"status_code,omitempty"`
	Latency       *latency       `yaml:"latency,omitempty"`
	StringAttr    *stringAttr    `yaml:"string_attribute,omitempty"`
	Probabilistic *probabilistic `yaml:"probabilistic,omitempty"`
}

type statusCode struct {
	StatusCodes []string `yaml:"status_codes"`
}

type latency struct {
	ThresholdMs int64 `yaml:"threshold_ms"`
}

type stringAttr struct {
	Key    string   `yaml:"key"`
	Values []string `yaml:"values"`
}

type probabilistic struct {
	SamplingPercentage int32 `yaml:"sampling_percentage"`
}

var insecure = otelcol.TLS{Insecure: true}
