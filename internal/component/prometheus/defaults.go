package prometheus

import "github.com/kubebot/kubebot/api/v1alpha1"

const (
	// image and version of Prometheus.
	image   = "quay.io/prometheus/prometheus:v3.15.0"
	version = "v3.15.0"

	// retention is long enough to compare with the same day of last week.
	retention = "7d"
	// interval of scrapes and evaluations.
	interval = v1alpha1.DefaultScrapeInterval
	// emptyDirLimit holds 7 days of a cluster of some ten nodes at that interval.
	emptyDirLimit = "10Gi"
	// usableShare of the storage in percent is for samples; the rest is for the write-ahead log and compaction
	// (https://prometheus.io/docs/prometheus/latest/storage/#right-sizing-retention-size advises 80 to 85).
	usableShare = 80

	// cpuRequest and memoryRequest of Prometheus; it has no limit by default, because being killed at a peak loses the
	// alerts of just that moment.
	cpuRequest    = "100m"
	memoryRequest = "400Mi"

	// flushSeconds is how long an ending Prometheus tries to write its last samples to stores (storage/remote's
	// defaultFlushDeadline, a minute) and to close its own. archiveSeconds is less, because the archive goes with the KubeBot:
	// an ending Prometheus would wait for it in vain.
	flushSeconds   = 75
	archiveSeconds = 20

	// annotatedSampleLimit keeps one annotated pod from filling the memory; a scrape with more fails, visibly.
	annotatedSampleLimit = 50000

	// portWeb and portReloader are the container ports that the Prometheus Operator names.
	portWeb      = "web"
	portReloader = "reloader-web"
	reloaderPort = 8080
)
