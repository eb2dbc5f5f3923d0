package loki

import "time"

const (
	image = "docker.io/grafana/loki:3.7.8"

	// retention is that of metrics, so that the logs of last week's same day are there to compare.
	retention = "7d"
	// leastRetention is the period of the index: Loki keeps no less
	// (https://grafana.com/docs/loki/latest/operations/storage/retention/).
	leastRetention = 24 * time.Hour

	// emptyDirLimit holds 7 days of some 150 lines a second of 200 bytes, which Loki packs to about a tenth, with the
	// write-ahead log.
	emptyDirLimit = "10Gi"

	// cpuRequest and memoryRequest of Loki. The limit of memory is above what 10,000 lines a second with queries took.
	cpuRequest    = "50m"
	memoryRequest = "256Mi"
	memoryLimit   = "2Gi"

	// graceSeconds are enough to close the write-ahead log; with a bucket the chunks in memory are also sent there.
	graceSeconds       int64 = 60
	graceSecondsBucket int64 = 300

	portHTTP = "http"
	// grpcPort is Loki's own, on loopback: its parts call each other there.
	grpcPort = 9095

	configDir  = "/etc/loki/config"
	configFile = "loki.yaml"
	dataDir    = "/var/lib/loki"
	tmpDir     = "/tmp"

	// defaultRegion is what a store that is not AWS takes.
	defaultRegion = "us-east-1"
)

// Limits of ingestion. They let 10,000 lines a second of 1 KiB in three times over, also when all are of one stream, and
// as much again in a burst after an outage. Loki's own defaults refuse more than 4 MB a second.
const (
	ingestionRateMB  = 32
	ingestionBurstMB = 64
	streamRate       = "32MB"
	streamBurst      = "64MB"
	// maxLineSize is Loki's default; a longer line is cut, not refused.
	maxLineSize = "256KB"
	// maxStreams bounds what a label that explodes can cost; labels are service, namespace and container.
	maxStreams = 20000
	// chunkAge is how long a chunk stays open. Half of it is how far behind the newest line of its stream a line may come
	// and still be taken. 3 hours are more than the shippers' buffers hold at any rate that fills a disk; a node that writes
	// less and is cut off for longer loses the lines before, because a stream is of all nodes: with the node among the labels
	// a workload would have a stream on each, and their chunks would be as much smaller.
	chunkAge  = 6 * time.Hour
	chunkIdle = 30 * time.Minute
	// chunkTarget is Loki's default, in bytes of packed lines.
	chunkTarget = 1572864
	// messageBytes is the largest message between Loki's parts: a batch of OTLP with the attributes of its resources in each
	// line, up to the burst that is let in.
	messageBytes = ingestionBurstMB << 20
	// cacheMB bounds each of Loki's two caches.
	cacheMB = 64
	// replayMemory bounds what the write-ahead log takes at the start before chunks are flushed.
	replayMemory = "512MB"
	queryTimeout = time.Minute
	// queryParallelism suits a few cores; Loki's default suits a cluster of queriers.
	queryParallelism = 8
)
