package collector

import "time"

// What the pods get without settings. A process of the contrib image needs some 100 MiB before the first span.
const (
	// receiverMemoryLimit is for the start: each of the three pipelines lists the cluster's pods for itself.
	receivers           = 2
	receiverCPU         = "25m"
	receiverMemory      = "128Mi"
	receiverMemoryLimit = "1Gi"

	// eventsMemoryLimit is for the start, when all events that the cluster has, those of an hour, are read in one list:
	// decoded, an event takes some 10 KB, and there are tens of thousands where many jobs run.
	eventsCPU         = "10m"
	eventsMemory      = "96Mi"
	eventsMemoryLimit = "1Gi"

	samplerCPU         = "50m"
	samplerMemory      = "192Mi"
	samplerMemoryLimit = "1Gi"

	// emptyDirLimit holds what the stores have not taken: minutes at some thousand lines a second.
	emptyDirLimit = "2Gi"
)

// Shares of a sampler's volume in percent that the queues may fill. The rest is for the overhead of the files and for
// their compaction, which writes each anew.
const (
	lokiShare       = 30
	jaegerShare     = 15
	prometheusShare = 10
	// archiveShare is that of each of the archive's three queues.
	archiveShare = 3
)

const (
	// receiverAge of connections of applications: after it they spread anew over the receivers there are.
	receiverAge = 2 * time.Minute
	// samplerAge of connections of receivers. Together with the age's jitter of 10 percent and the time that a Service
	// takes to forget a pod it is less than samplerDrain.
	samplerAge = 10 * time.Second
	// receiverDrain and samplerDrain are the seconds that an ending pod goes on working. In a sampler's a receiver hears
	// from the DNS that the pod goes (resolveInterval and the 30 s for which name servers keep an answer by kubeadm's
	// default), and then the last traces are decided (decisionWait) and the queues run empty.
	receiverDrain = 5
	samplerDrain  = 45
	// samplerStart are the seconds that a sampler may take to start: it writes each queue's file anew first, and a large
	// volume that is full of what waits is some ten GiB, on disks of some ten MB a second.
	samplerStart = 1800
	graceSeconds = 30

	// metadataPatience is how long a receiver waits at its start for the lists of pods and ReplicaSets, which the API server
	// gives in one piece each; the processor's own 10 s are too short for some ten thousand pods. receiverStart are the
	// seconds that its three pipelines may take, one after the other, and some for the process.
	metadataPatience = 2 * time.Minute
	receiverStart    = 400

	// resolveInterval is how often receivers look up the samplers' addresses.
	resolveInterval = 3 * time.Second

	// decisionWait is how long a sampler waits for the spans of a trace before it decides.
	decisionWait = 10 * time.Second
	// tracesInMemory bounds the traces that wait for the decision: 5,000 a second for each sampler. More push the oldest out
	// unjudged, which the health tells: to let them wait instead would repeat them, as senders don't wait so long, and keep
	// logs out too. decisionsKept are those whose decision is remembered for spans that come late.
	tracesInMemory = 50000
	decisionsKept  = 100000

	// slowThreshold and percentage of the sampling, where the spec has none: a user notices 2 s, and a tenth of the rest
	// shows what is normal.
	slowThreshold = "2s"
	percentage    = 10

	// flushInterval of span metrics and service graph is Prometheus's scrape interval by default.
	flushInterval = 15 * time.Second
	// seriesExpiration ends the series of services that send no spans any more.
	seriesExpiration = 15 * time.Minute
	// cardinalityLimit bounds the series of one service; what is beyond is counted as one.
	cardinalityLimit = 2000
	// edgeTTL is how long the service graph waits for the other half of a call: spans come in batches of 5 s.
	edgeTTL   = 15 * time.Second
	edgeItems = 20000

	// patience of a receiver with the samplers is below the 10 s that OTLP clients wait by default.
	patience = 8 * time.Second
	// endpointPatience with one sampler is longer than it takes to see it gone, and then the spans go to another.
	endpointPatience = 12 * time.Second
	// metricsPatience with a Prometheus and sampleLate, which samples may be before, are within the window of late samples
	// that it takes, which it counts from the newest that it has. sampleAhead, which that may be, is what clocks can differ;
	// Prometheus takes 10 minutes.
	metricsPatience = 10 * time.Minute
	sampleLate      = 15 * time.Minute
	sampleAhead     = 5 * time.Minute
	// jaegerPatience ends what Jaeger refuses for what is in it, and says may be tried again.
	jaegerPatience = 24 * time.Hour
	// archivePatience is short, because the archive must never keep anything else waiting.
	archivePatience = time.Minute

	// oldEvent is the age from which an event is not taken: a new watcher reads all that the cluster still has, an hour of
	// events by default, and a managed Loki takes lines up to 3 hours late. One of the user's takes an hour by default.
	oldEvent        = 2 * time.Hour
	oldEventOutside = 45 * time.Minute
)

// queueBytes bounds the spans that a receiver holds in memory.
const queueBytes = 64 << 20

// Sizes in bytes at which a store gets its batches: Jaeger takes messages up to 4 MiB.
const (
	batchMin = 256 << 10
	batchMax = 2 << 20
	// lokiBatchMax leaves room for what Loki makes of a batch: it copies the attributes of a resource, which may have some KB,
	// into each line.
	lokiBatchMax = 512 << 10
)

const (
	// longestValue in bytes is what is kept of a text of a span: two of them fit into a key of Badger, which takes 65,000.
	longestValue = 16 << 10
	// longestList in bytes of JSON is what a key has room for beside the name of a service.
	longestList = 40 << 10
	// longestLine in bytes is what Loki keeps of a line, and longestAttribute half of what it takes as a line's attributes.
	longestLine      = 256 << 10
	longestAttribute = 32 << 10
)
