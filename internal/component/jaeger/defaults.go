package jaeger

const (
	image = "docker.io/jaegertracing/jaeger:2.2.0"

	// retention outlasts the night and the day after an incident; traces are the most voluminous signal.
	retention = "48h"
	// emptyDirLimit holds 48 hours of some 50 spans a second of 500 bytes.
	emptyDirLimit = "5Gi"

	// cpuRequest and memoryRequest of Jaeger. Badger holds up to five tables of 64 MiB and a cache of 256 MiB in memory.
	cpuRequest    = "25m"
	memoryRequest = "128Mi"
	memoryLimit   = "1Gi"
	// Shares of the memory limit, in percent, above which Jaeger refuses spans until there is room; the collector keeps
	// them meanwhile (https://github.com/open-telemetry/opentelemetry-collector/tree/main/processor/memorylimiterprocessor).
	memoryLimitShare = 80
	memorySpikeShare = 20
	memoryCheck      = "1s"

	// startSeconds it may take to start: it reads a key of each span that it keeps before it answers, and a volume of some
	// ten GiB has tens of millions. It is asked every startPeriod seconds until then.
	startSeconds = 1800
	startPeriod  = 2
	// graceSeconds are enough for Badger to write its tables.
	graceSeconds int64 = 60

	portQuery   = "query"
	portOTLP    = "otlp-grpc"
	portHTTP    = "otlp-http"
	portMetrics = "metrics"
	portHealth  = "health"
	healthPort  = 13133
	healthPath  = "/status"
	// queryGRPCPort is only for Jaeger's own tools, on loopback.
	queryGRPCPort = 16685

	configDir  = "/etc/jaeger/config"
	configFile = "jaeger.yaml"
	dataDir    = "/var/lib/jaeger"

	// variableUser holds Elasticsearch's user name, secretDir its password as a file.
	variableUser = "ELASTICSEARCH_USER"
	secretDir    = "/etc/jaeger/secret"
	passwordFile = "password"

	// store is the name of the only storage.
	store = "main"
	// messageMiB is the largest message by OTLP: a batch of the collector's at its largest, twice over.
	messageMiB = 32
)
