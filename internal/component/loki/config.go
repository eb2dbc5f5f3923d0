package loki

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// The structs below are the parts of Loki's configuration that KubeBot sets
// (https://grafana.com/docs/loki/latest/configure/). `loki -verify-config` checks what is made of them.

type config struct {
	AuthEnabled  bool            `yaml:"auth_enabled"`
	Server       server          `yaml:"server"`
	Common       common          `yaml:"common"`
	Schema       schema          `yaml:"schema_config"`
	Ingester     ingester        `yaml:"ingester"`
	Compactor    compactor       `yaml:"compactor"`
	Limits       limits          `yaml:"limits_config"`
	Frontend     frontend        `yaml:"frontend"`
	Worker       worker          `yaml:"frontend_worker"`
	QueryRange   queryRange      `yaml:"query_range"`
	ChunkStore   chunkStore      `yaml:"chunk_store_config"`
	MemberlistKV memberlist      `yaml:"memberlist"`
	Analytics    analyticsConfig `yaml:"analytics"`
}

type server struct {
	HTTPPort              int    `yaml:"http_listen_port"`
	GRPCAddress           string `yaml:"grpc_listen_address"`
	GRPCPort              int    `yaml:"grpc_listen_port"`
	GRPCMaxReceive        int    `yaml:"grpc_server_max_recv_msg_size"`
	GRPCMaxSend           int    `yaml:"grpc_server_max_send_msg_size"`
	LogFormat             string `yaml:"log_format"`
	LogLevel              string `yaml:"log_level"`
	GracefulShutdown      string `yaml:"graceful_shutdown_timeout"`
	HTTPServerReadTimeout string `yaml:"http_server_read_timeout"`
	HTTPServerWrite       string `yaml:"http_server_write_timeout"`
}

type common struct {
	PathPrefix        string  `yaml:"path_prefix"`
	InstanceAddress   string  `yaml:"instance_addr"`
	ReplicationFactor int     `yaml:"replication_factor"`
	Ring              ring    `yaml:"ring"`
	Storage           storage `yaml:"storage"`
}

type ring struct {
	KVStore kvStore `yaml:"kvstore"`
}

type kvStore struct {
	Store string `yaml:"store"`
}

type storage struct {
	Filesystem *filesystem `yaml:"filesystem,omitempty"`
	S3         *s3         `yaml:"s3,omitempty"`
}

type filesystem struct {
	Chunks string `yaml:"chunks_directory"`
	Rules  string `yaml:"rules_directory"`
}

// s3 holds no keys: the AWS client reads them from the environment.
type s3 struct {
	Endpoint  string `yaml:"endpoint,omitempty"`
	Region    string `yaml:"region"`
	Bucket    string `yaml:"bucketnames"`
	Insecure  bool   `yaml:"insecure"`
	PathStyle bool   `yaml:"s3forcepathstyle"`
}

type schema struct {
	Configs []period `yaml:"configs"`
}

type period struct {
	From        string `yaml:"from"`
	Store       string `yaml:"store"`
	ObjectStore string `yaml:"object_store"`
	Schema      string `yaml:"schema"`
	Index       index  `yaml:"index"`
}

type index struct {
	Prefix string `yaml:"prefix"`
	Period string `yaml:"period"`
}

type ingester struct {
	ChunkIdle   string     `yaml:"chunk_idle_period"`
	ChunkAge    string     `yaml:"max_chunk_age"`
	ChunkTarget int        `yaml:"chunk_target_size"`
	Encoding    string     `yaml:"chunk_encoding"`
	Lifecycler  lifecycler `yaml:"lifecycler"`
	WAL         wal        `yaml:"wal"`
}

type lifecycler struct {
	MinReady   string `yaml:"min_ready_duration"`
	FinalSleep string `yaml:"final_sleep"`
}

type wal struct {
	Enabled         bool   `yaml:"enabled"`
	Dir             string `yaml:"dir"`
	FlushOnShutdown bool   `yaml:"flush_on_shutdown"`
	ReplayMemory    string `yaml:"replay_memory_ceiling"`
}

type compactor struct {
	Dir            string `yaml:"working_directory"`
	Interval       string `yaml:"compaction_interval"`
	Retention      bool   `yaml:"retention_enabled"`
	DeleteDelay    string `yaml:"retention_delete_delay"`
	DeleteStore    string `yaml:"delete_request_store"`
	RetentionTable string `yaml:"retention_table_timeout"`
}

type limits struct {
	Retention          string         `yaml:"retention_period"`
	RejectOld          bool           `yaml:"reject_old_samples"`
	RejectOldMaxAge    string         `yaml:"reject_old_samples_max_age"`
	RateStrategy       string         `yaml:"ingestion_rate_strategy"`
	RateMB             int            `yaml:"ingestion_rate_mb"`
	BurstMB            int            `yaml:"ingestion_burst_size_mb"`
	StreamRate         string         `yaml:"per_stream_rate_limit"`
	StreamBurst        string         `yaml:"per_stream_rate_limit_burst"`
	MaxStreams         int            `yaml:"max_global_streams_per_user"`
	MaxLine            string         `yaml:"max_line_size"`
	MaxLineTruncate    bool           `yaml:"max_line_size_truncate"`
	UnorderedWrites    bool           `yaml:"unordered_writes"`
	StructuredMetadata bool           `yaml:"allow_structured_metadata"`
	DetectLevels       bool           `yaml:"discover_log_levels"`
	OTLP               otlp           `yaml:"otlp_config"`
	Volume             bool           `yaml:"volume_enabled"`
	QueryTimeout       string         `yaml:"query_timeout"`
	QueryParallelism   int            `yaml:"tsdb_max_query_parallelism"`
	MetricAggregation  bool           `yaml:"metric_aggregation_enabled"`
	ShardStreams       shardedStreams `yaml:"shard_streams"`
}

type shardedStreams struct {
	Enabled bool `yaml:"enabled"`
}

type otlp struct {
	Resource otlpResource `yaml:"resource_attributes"`
}

type otlpResource struct {
	IgnoreDefaults bool            `yaml:"ignore_defaults"`
	Attributes     []otlpAttribute `yaml:"attributes_config"`
}

type otlpAttribute struct {
	Action     string   `yaml:"action"`
	Attributes []string `yaml:"attributes"`
}

type frontend struct {
	Address   string `yaml:"address"`
	Scheduler string `yaml:"scheduler_address"`
	Encoding  string `yaml:"encoding"`
}

type worker struct {
	Scheduler string `yaml:"scheduler_address"`
}

type queryRange struct {
	ResultsCache resultsCache `yaml:"results_cache"`
}

type resultsCache struct {
	Cache cache `yaml:"cache"`
}

type chunkStore struct {
	Cache cache `yaml:"chunk_cache_config"`
}

type cache struct {
	Embedded embeddedCache `yaml:"embedded_cache"`
}

type embeddedCache struct {
	Enabled bool `yaml:"enabled"`
	MaxMB   int  `yaml:"max_size_mb"`
}

type memberlist struct {
	BindAddresses []string `yaml:"bind_addr"`
}

type analyticsConfig struct {
	Reporting bool `yaml:"reporting_enabled"`
}

// indexLabels are the resource attributes by which streams are told apart; all others are stored with each line, where
// queries find them too. Few, because each combination of their values is a stream of its own.
var indexLabels = []string{"service.name", "k8s.namespace.name", "k8s.container.name"}

// newConfig checks what the CRD's schema can't and returns Loki's configuration.
func newConfig(s v1alpha1.LokiSpec) (config, error) {
	keep, err := component.Duration(field+".retention", s.Retention, retention)
	if err != nil {
		return config{}, err
	}
	if time.Duration(keep) < leastRetention {
		return config{}, &component.InvalidError{
			Field: field + ".retention", Message: fmt.Sprintf("%s is less than a day, which is the least that Loki keeps: give 24h or more", s.Retention),
		}
	}
	store, objects, err := newStorage(s.ObjectStorage)
	if err != nil {
		return config{}, err
	}
	return config{
		Server: server{
			HTTPPort: endpoints.LokiPort, GRPCAddress: loopback, GRPCPort: grpcPort, GRPCMaxReceive: messageBytes, GRPCMaxSend: messageBytes,
			LogFormat: "json", LogLevel: "warn", GracefulShutdown: "10s",
			HTTPServerReadTimeout: (queryTimeout + 10*time.Second).String(), HTTPServerWrite: (queryTimeout + 10*time.Second).String(),
		},
		Common: common{
			PathPrefix: dataDir, InstanceAddress: loopback, ReplicationFactor: 1, Ring: ring{KVStore: kvStore{Store: "inmemory"}}, Storage: store,
		},
		Schema: schema{Configs: []period{{
			From: "2024-04-01", Store: "tsdb", ObjectStore: objects, Schema: "v13", Index: index{Prefix: "index_", Period: "24h"},
		}}},
		Ingester: ingester{
			ChunkIdle: chunkIdle.String(), ChunkAge: chunkAge.String(), ChunkTarget: chunkTarget, Encoding: "snappy",
			// One ingester has no ring to wait for.
			Lifecycler: lifecycler{MinReady: "0s", FinalSleep: "0s"},
			WAL:        wal{Enabled: true, Dir: dataDir + "/wal", FlushOnShutdown: s.ObjectStorage != nil, ReplayMemory: replayMemory},
		},
		Compactor: compactor{
			Dir: dataDir + "/compactor", Interval: "10m", Retention: true, DeleteDelay: "15m", DeleteStore: objects, RetentionTable: "5m",
		},
		Limits: newLimits(keep),
		// Named directly: found by its ring, the scheduler of queries takes 10 s of every start.
		Frontend:     frontend{Address: loopback, Scheduler: schedulerAddress(grpcPort), Encoding: "protobuf"},
		Worker:       worker{Scheduler: schedulerAddress(grpcPort)},
		QueryRange:   queryRange{ResultsCache: resultsCache{Cache: newCache()}},
		ChunkStore:   chunkStore{Cache: newCache()},
		MemberlistKV: memberlist{BindAddresses: []string{loopback}},
	}, nil
}

const loopback = "127.0.0.1"

func schedulerAddress(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }

func newCache() cache { return cache{Embedded: embeddedCache{Enabled: true, MaxMB: cacheMB}} }

func newLimits(keep model.Duration) limits {
	return limits{
		Retention: keep.String(), RejectOld: true, RejectOldMaxAge: keep.String(),
		RateStrategy: "local", RateMB: ingestionRateMB, BurstMB: ingestionBurstMB, StreamRate: streamRate, StreamBurst: streamBurst,
		MaxStreams: maxStreams, MaxLine: maxLineSize, MaxLineTruncate: true, UnorderedWrites: true,
		StructuredMetadata: true, DetectLevels: true,
		OTLP: otlp{Resource: otlpResource{
			IgnoreDefaults: true, Attributes: []otlpAttribute{{Action: "index_label", Attributes: indexLabels}},
		}},
		Volume: true, QueryTimeout: queryTimeout.String(), QueryParallelism: queryParallelism,
	}
}

// newStorage returns where chunks are kept, and the name of that store.
func newStorage(o *v1alpha1.ObjectStorage) (storage, string, error) {
	if o == nil {
		return storage{Filesystem: &filesystem{Chunks: dataDir + "/chunks", Rules: dataDir + "/rules"}}, "filesystem", nil
	}
	region := o.Region
	if region == "" {
		if o.Endpoint == "" {
			return storage{}, "", &component.InvalidError{
				Field:   field + ".objectStorage.region",
				Message: "the bucket can't be found without a region: give the region of the AWS bucket, or the endpoint of another store",
			}
		}
		region = defaultRegion
	}
	return storage{S3: &s3{
		Endpoint: o.Endpoint, Region: region, Bucket: o.Bucket, Insecure: o.Encryption == v1alpha1.SwitchDisabled,
		// Stores other than AWS have no name for each bucket in DNS.
		PathStyle: o.Endpoint != "",
	}}, "s3", nil
}

func marshal(c config) (string, error) {
	data, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("marshal the configuration of Loki: %w", err)
	}
	return string(data), nil
}
