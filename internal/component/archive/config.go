package archive

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// fileExporter writes OTLP as JSON, one message a line, which package otlpfile of the analysis reads.
type fileExporter struct {
	Path                 string   `yaml:"path"`
	Format               string   `yaml:"format"`
	CreateDirectory      bool     `yaml:"create_directory"`
	DirectoryPermissions string   `yaml:"directory_permissions"`
	Rotation             rotation `yaml:"rotation"`
}

type rotation struct {
	MaxMegabytes int64 `yaml:"max_megabytes"`
	MaxBackups   int   `yaml:"max_backups"`
}

// s3Exporter writes the same, compressed, as objects of a bucket.
type s3Exporter struct {
	Marshaler string        `yaml:"marshaler"`
	Timeout   time.Duration `yaml:"timeout"`
	Uploader  s3Uploader    `yaml:"s3uploader"`
	Queue     otelcol.Queue `yaml:"sending_queue"`
}

type s3Uploader struct {
	Region         string `yaml:"region"`
	Bucket         string `yaml:"s3_bucket"`
	Prefix         string `yaml:"s3_prefix"`
	Partition      string `yaml:"s3_partition_format"`
	Endpoint       string `yaml:"endpoint,omitempty"`
	ForcePathStyle bool   `yaml:"s3_force_path_style"`
	DisableSSL     bool   `yaml:"disable_ssl"`
	Compression    string `yaml:"compression"`
}

const (
	idCounters = "transform/counters"
	idBatch    = "batch"
	idStorage  = "file_storage"
	dir        = otelcol.DataDir + "/" + Folder
)

// signals and the share of the volume of each.
var signals = []struct {
	name  string
	share int64
}{{"traces", tracesShare}, {"logs", logsShare}, {"metrics", metricsShare}}

// newConfig takes all signals by OTLP, and Prometheus's samples by remote write, and writes them to files or a bucket.
// Room is the size of the volume in bytes.
func newConfig(in component.Input, room int64) otelcol.Config {
	c := otelcol.Base()
	c.Receivers[otelcol.OTLPID] = otelcol.OTLPReceiver{Protocols: otelcol.Protocols{GRPC: otelcol.GRPC(connectionAge)}}
	c.Receivers[otelcol.RemoteWriteID] = otelcol.RemoteWrite(endpoints.RemoteWritePort)
	c.Processors[idBatch] = otelcol.Batch{Timeout: 2 * time.Second, SendBatchSize: 4096, SendBatchMaxSize: 8192}
	// Prometheus 3.15 does not hand on the types of metrics, which all arrive as gauges. Counters are known by their names.
	c.Processors[idCounters] = otelcol.Transform{ErrorMode: "ignore", MetricStatements: []string{
		`convert_gauge_to_sum("cumulative", true) where IsMatch(metric.name, "_total$")`,
	}}
	bucket := in.KubeBot.Spec.Analysis.Archive.ObjectStorage
	if bucket != nil {
		c.Extensions[idStorage] = otelcol.FileStorage{
			Directory: otelcol.DataDir + "/queue", CreateDirectory: true, Recreate: true,
			Compaction: otelcol.Compaction{
				OnStart: true, OnRebound: true, Directory: otelcol.DataDir + "/queue", CleanupOnStart: true,
				ReboundNeededThresholdMiB: max(room/100*queueShare>>21, 16), ReboundTriggerThresholdMiB: 8,
			},
		}
		c.Service.Extensions = append(c.Service.Extensions, idStorage)
	}
	for _, signal := range signals {
		id := "file/" + signal.name
		if bucket != nil {
			id = "awss3/" + signal.name
			c.Exporters[id] = toBucket(in.ClusterName, signal.name, *bucket, room)
		} else {
			c.Exporters[id] = toFile(signal.name, room/100*signal.share)
		}
		pipeline := otelcol.Pipeline{Receivers: []string{otelcol.OTLPID}, Processors: []string{otelcol.MemoryLimiterID}, Exporters: []string{id}}
		if signal.name == "metrics" {
			pipeline.Receivers = append(pipeline.Receivers, otelcol.RemoteWriteID)
			pipeline.Processors = append(pipeline.Processors, idCounters)
		}
		pipeline.Processors = append(pipeline.Processors, idBatch)
		c.Service.Pipelines[signal.name] = pipeline
	}
	return c
}

func toFile(signal string, room int64) fileExporter {
	return fileExporter{
		Path: dir + "/" + signal + ".jsonl", Format: "json", CreateDirectory: true, DirectoryPermissions: "0750",
		Rotation: rotation{MaxMegabytes: max(room/(backups+1)>>20, 1), MaxBackups: backups},
	}
}

func toBucket(cluster, signal string, s v1alpha1.ObjectStorage, room int64) s3Exporter {
	e := s3Exporter{
		Marshaler: "otlp_json", Timeout: 30 * time.Second,
		Uploader: s3Uploader{
			Region: s.Region, Bucket: s.Bucket, Prefix: cluster + "/" + signal, Partition: "year=%Y/month=%m/day=%d/hour=%H", Compression: "gzip",
		},
		Queue: otelcol.Queue{
			Enabled: true, Sizer: "bytes", QueueSize: max(room/100*queueShare, uploadBytes), NumConsumers: 2, Storage: idStorage,
			Batch: &otelcol.QueueBatch{Sizer: "bytes", FlushTimeout: uploadInterval, MinSize: uploadBytes, MaxSize: uploadBytes},
		},
	}
	if e.Uploader.Region == "" {
		e.Uploader.Region = region
	}
	if s.Endpoint != "" {
		e.Uploader.ForcePathStyle, e.Uploader.DisableSSL = true, s.Encryption == v1alpha1.SwitchDisabled
		e.Uploader.Endpoint = "https://" + s.Endpoint
		if e.Uploader.DisableSSL {
			e.Uploader.Endpoint = "http://" + s.Endpoint
		}
	}
	return e
}

// environment holds the keys of the bucket under the names that every S3 client reads.
func environment(s *v1alpha1.ObjectStorage) []corev1.EnvVar {
	if s == nil || s.AccessKeySecret == nil || s.SecretKeySecret == nil {
		return nil
	}
	return []corev1.EnvVar{
		pods.SecretVariable("AWS_ACCESS_KEY_ID", *s.AccessKeySecret),
		pods.SecretVariable("AWS_SECRET_ACCESS_KEY", *s.SecretKeySecret),
	}
}
