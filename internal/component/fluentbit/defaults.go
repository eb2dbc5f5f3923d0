package fluentbit

const (
	image = "docker.io/fluent/fluent-bit:5.1.1"

	cpuRequest    = "25m"
	memoryRequest = "64Mi"
	// memoryLimit holds the chunks in memory (maxChunksUp, of up to 2 MB each, while everything is behind) and the rest.
	memoryLimit = "384Mi"

	// bufferLimit is how much of a node's disk lines may take that could not be sent yet.
	bufferLimit = "1Gi"
	// smallestBuffer is eight full chunks: with less, an outage of seconds would lose lines.
	smallestBuffer = "16Mi"

	// maxChunksUp is how many chunks are in memory at the same time; the rest waits on disk.
	maxChunksUp = 64
	// backlogMemory is how much of what an earlier process left on disk is read at a time.
	backlogMemory = "16M"

	// batchSize is more records than a chunk can hold. Fluent Bit sends a chunk with more in several requests and forgets
	// the result of all but the last, so one that was refused would be lost
	// (https://github.com/fluent/fluent-bit/blob/v5.1.1/plugins/out_opentelemetry/opentelemetry_logs.c).
	batchSize = 100_000

	// retryBase and retryCap are the seconds between tries of what was not taken; the program's own cap of 2000 would
	// leave lines waiting for half an hour after an outage of minutes.
	retryBase = 1
	retryCap  = 30

	// rotatedFor is how many seconds a rotated file is followed: until the kubelet removes or compresses it. Fluent Bit
	// forgets the offset of one that it lets go earlier, and would read it again from its beginning.
	rotatedFor = 30 * 24 * 3600

	// grace is how many seconds a stopping process goes on sending. What is left stays on disk.
	grace = 5
)
