package responder

import "time"

const (
	// replicas are two, so that the loss of a node delays no message.
	replicas int32 = 2

	cpuRequest    = "10m"
	memoryRequest = "64Mi"
	// memoryLimit leaves room for what grows with the cluster: the first list of all pods, and up to 2,000 closed Incidents of
	// at most 256 KiB each in the cache.
	memoryLimit = "1Gi"

	// drainSeconds is how long a pod that ends goes on serving, while the cluster stops sending to it.
	drainSeconds = 5
	// graceSeconds leaves time for the deliveries that are under way.
	graceSeconds = 45

	portHTTPS   = "https"
	portMetrics = "metrics"
	portHealth  = "health"
	// portInteractions takes Slack's signed requests, where they come by HTTP.
	portInteractions = "interactions"
	healthPort       = 8081

	// watchdogPatience is how old the watchdog may be: five of its repeats.
	watchdogPatience = 5 * time.Minute
)
