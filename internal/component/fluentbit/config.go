package fluentbit

import (
	"bytes"
	_ "embed"
	"fmt"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// Files and folders in the container.
const (
	configDir  = "/fluent-bit/config"
	keyConfig  = "fluent-bit.yaml"
	keyShape   = "shape.lua"
	logsDir    = "/var/log/pods"
	stateDir   = "/var/lib/fluent-bit"
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
	tagPrefix  = "kube."
	tagParser  = "kubebot-tag"
	aliasInput = "pods"
	// aliasOutput is the label name of the output's metrics.
	aliasOutput = "collector"
)

// The kubelet writes a container's lines to <namespace>_<pod>_<uid>/<container>/<restarts>.log. None of the names can
// hold an underscore, so they can be told apart in the tag again.
const (
	pathPattern = `^.*/(?<namespace>[^/_]+)_(?<pod>[^/_]+)_(?<uid>[^/_]+)/(?<container>[^/_]+)/[^/]+$`
	tagPattern  = `^(?<namespace_name>[^_]+)_(?<pod_name>[^_]+)_(?<docker_id>[^_]+)_(?<container_name>[^_]+)$`
	tag         = tagPrefix + "<namespace>_<pod>_<uid>_<container>"
)

//go:embed shape.lua
var shape string

// The structs below are the parts of Fluent Bit's configuration that KubeBot uses
// (https://docs.fluentbit.io/manual/administration/configuring-fluent-bit/yaml).

type config struct {
	Service          service           `yaml:"service"`
	Parsers          []parser          `yaml:"parsers"`
	MultilineParsers []multilineParser `yaml:"multiline_parsers"`
	Pipeline         pipeline          `yaml:"pipeline"`
}

type service struct {
	Flush              int    `yaml:"flush"`
	Grace              int    `yaml:"grace"`
	LogLevel           string `yaml:"log_level"`
	HTTPServer         string `yaml:"http_server"`
	HTTPListen         string `yaml:"http_listen"`
	HTTPPort           int    `yaml:"http_port"`
	HotReload          string `yaml:"hot_reload"`
	StoragePath        string `yaml:"storage.path"`
	StorageSync        string `yaml:"storage.sync"`
	StorageMetrics     string `yaml:"storage.metrics"`
	StorageMaxChunksUp int    `yaml:"storage.max_chunks_up"`
	StorageBacklog     string `yaml:"storage.backlog.mem_limit"`
	SchedulerBase      int    `yaml:"scheduler.base"`
	SchedulerCap       int    `yaml:"scheduler.cap"`
}

type parser struct {
	Name   string `yaml:"name"`
	Format string `yaml:"format"`
	Regex  string `yaml:"regex"`
}

type pipeline struct {
	Inputs  []tail          `yaml:"inputs"`
	Filters []any           `yaml:"filters"`
	Outputs []openTelemetry `yaml:"outputs"`
}

type tail struct {
	Name            string `yaml:"name"`
	Alias           string `yaml:"alias"`
	Path            string `yaml:"path"`
	Tag             string `yaml:"tag"`
	TagRegex        string `yaml:"tag_regex"`
	ReadFromHead    bool   `yaml:"read_from_head"`
	RefreshInterval int    `yaml:"refresh_interval"`
	RotateWait      int    `yaml:"rotate_wait"`
	BufferChunkSize string `yaml:"buffer_chunk_size"`
	BufferMaxSize   string `yaml:"buffer_max_size"`
	SkipLongLines   bool   `yaml:"skip_long_lines"`
	MultilineParser string `yaml:"multiline.parser"`
	DB              string `yaml:"db"`
	DBSync          string `yaml:"db.sync"`
	DBLocking       bool   `yaml:"db.locking"`
	DBJournalMode   string `yaml:"db.journal_mode"`
	StorageType     string `yaml:"storage.type"`
}

type kubernetes struct {
	Name            string `yaml:"name"`
	Match           string `yaml:"match"`
	KubeURL         string `yaml:"kube_url"`
	KubeTagPrefix   string `yaml:"kube_tag_prefix"`
	RegexParser     string `yaml:"regex_parser"`
	MergeLog        bool   `yaml:"merge_log"`
	MergeLogKey     string `yaml:"merge_log_key"`
	KeepLog         bool   `yaml:"keep_log"`
	LoggingParser   bool   `yaml:"k8s-logging.parser"`
	LoggingExclude  bool   `yaml:"k8s-logging.exclude"`
	Labels          bool   `yaml:"labels"`
	Annotations     bool   `yaml:"annotations"`
	OwnerReferences bool   `yaml:"owner_references"`
	TokenFile       string `yaml:"kube_token_file"`
	NamespaceFile   string `yaml:"kube_namespace_file"`
	CAFile          string `yaml:"kube_ca_file"`
	MetaCacheTTL    string `yaml:"kube_meta_cache_ttl"`
	BufferSize      int    `yaml:"buffer_size"`
	DNSRetries      int    `yaml:"dns_retries"`
	DNSWaitTime     int    `yaml:"dns_wait_time"`
}

type lua struct {
	Name   string `yaml:"name"`
	Match  string `yaml:"match,omitempty"`
	Script string `yaml:"script"`
	Call   string `yaml:"call"`
}

type openTelemetry struct {
	Name             string     `yaml:"name"`
	Alias            string     `yaml:"alias"`
	Match            string     `yaml:"match"`
	Host             string     `yaml:"host"`
	Port             int        `yaml:"port"`
	Compress         string     `yaml:"compress"`
	BatchSize        int        `yaml:"batch_size"`
	RetryLimit       string     `yaml:"retry_limit"`
	LogsBodyKey      string     `yaml:"logs_body_key"`
	Workers          int        `yaml:"workers"`
	TotalLimitSize   string     `yaml:"storage.total_limit_size"`
	IOTimeout        string     `yaml:"net.io_timeout"`
	MaxRecycle       int        `yaml:"net.keepalive_max_recycle"`
	SuppressInterval string     `yaml:"log_suppress_interval"`
	Processors       processors `yaml:"processors"`
}

type processors struct {
	Logs []any `yaml:"logs"`
}

type multiline struct {
	Name       string `yaml:"name"`
	Parser     string `yaml:"multiline.parser"`
	KeyContent string `yaml:"multiline.key_content"`
	Buffer     bool   `yaml:"buffer"`
}

type plugin struct {
	Name string `yaml:"name"`
}

type contentModifier struct {
	Name    string `yaml:"name"`
	Context string `yaml:"context"`
	Action  string `yaml:"action"`
	Key     string `yaml:"key"`
	Value   string `yaml:"value"`
}

// newConfig returns the configuration; own are the user's filters. Lines are joined and shaped at the latest moment
// that keeps them safe: what is on disk can be read again after a crash, what a filter holds back can't.
func newConfig(in component.Input, limit resource.Quantity, own []*yaml.Node) config {
	filters := []any{kubernetes{
		Name: "kubernetes", Match: tagPrefix + "*",
		KubeURL: "https://kubernetes.default.svc:443", KubeTagPrefix: tagPrefix, RegexParser: tagParser,
		MergeLog: true, MergeLogKey: "json", KeepLog: true,
		LoggingExclude: true, Labels: true, Annotations: true, OwnerReferences: true,
		TokenFile: accountDir + "/token", NamespaceFile: accountDir + "/namespace", CAFile: accountDir + "/ca.crt",
		MetaCacheTTL: "5m", DNSRetries: 6, DNSWaitTime: 5,
	}}
	for _, f := range own {
		filters = append(filters, f)
	}
	filters = append(filters, lua{Name: "lua", Match: "*", Script: configDir + "/" + keyShape, Call: "shape"})
	return config{
		Service:          newService(),
		Parsers:          []parser{{Name: tagParser, Format: "regex", Regex: tagPattern}},
		MultilineParsers: []multilineParser{traces()},
		Pipeline: pipeline{
			Inputs:  []tail{newTail()},
			Filters: filters,
			Outputs: []openTelemetry{newOutput(in, limit)},
		},
	}
}

func newService() service {
	return service{
		Flush: 1, Grace: grace,
		// Below warnings every request is told of, which would be read as a log line and so be sent again for ever.
		LogLevel:   "warn",
		HTTPServer: "on", HTTPListen: "${POD_IP}", HTTPPort: endpoints.FluentBitPort,
		HotReload:   "off",
		StoragePath: stateDir + "/chunks", StorageSync: "normal", StorageMetrics: "on",
		StorageMaxChunksUp: maxChunksUp, StorageBacklog: backlogMemory,
		SchedulerBase: retryBase, SchedulerCap: retryCap,
	}
}

// newTail reads the current file of each container and the one before, so that nothing is lost when the kubelet rotates
// while no Fluent Bit runs. Compressed files have another ending.
func newTail() tail {
	return tail{
		Name: "tail", Alias: aliasInput,
		Path: logsDir + "/*/*/*.log," + logsDir + "/*/*/*.log.????????-??????", Tag: tag, TagRegex: pathPattern,
		ReadFromHead: true, RefreshInterval: 1, RotateWait: rotatedFor,
		BufferChunkSize: "256k", BufferMaxSize: "1M", SkipLongLines: true, MultilineParser: "cri",
		DB: stateDir + "/offsets.db", DBSync: "normal", DBLocking: true, DBJournalMode: "WAL",
		StorageType: "filesystem",
	}
}

func newOutput(in component.Input, limit resource.Quantity) openTelemetry {
	attribute := func(key, value string) contentModifier {
		return contentModifier{Name: "content_modifier", Context: "otel_resource_attributes", Action: "upsert", Key: key, Value: value}
	}
	return openTelemetry{
		Name: "opentelemetry", Alias: aliasOutput, Match: "*",
		Host: endpoints.CollectorHost(in.KubeBot), Port: endpoints.OTLPHTTPPort,
		Compress: "gzip", BatchSize: batchSize, RetryLimit: "no_limits", LogsBodyKey: "$log", Workers: 1,
		TotalLimitSize: fmt.Sprintf("%dM", limit.Value()/1_000_000),
		IOTimeout:      "30s",
		// New connections now and then, so that new receivers get their share.
		MaxRecycle:       200,
		SuppressInterval: "10s",
		Processors: processors{Logs: []any{
			// The lines of a second are seen together and none is kept back, so that a crash can't lose any.
			multiline{Name: "multiline", Parser: traceParser, KeyContent: "log"},
			lua{Name: "lua", Script: configDir + "/" + keyShape, Call: "lift"},
			plugin{Name: "opentelemetry_envelope"},
			attribute("k8s.cluster.name", in.ClusterName),
			attribute("k8s.node.name", "${NODE_NAME}"),
		}},
	}
}

// marshal writes the configuration as YAML.
func (c config) marshal() (string, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(c); err != nil {
		return "", fmt.Errorf("marshal the configuration of Fluent Bit: %w", err)
	}
	return out.String(), nil
}
