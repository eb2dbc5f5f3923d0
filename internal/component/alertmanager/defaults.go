package alertmanager

const (
	// image and version of Alertmanager.
	image   = "quay.io/prometheus/alertmanager:v0.31.1"
	version = "v0.31.1"

	// retention of silences and of the notification log: Alertmanager's own default.
	retention = "120h"
	// emptyDirLimit is far above what silences and the log of one receiver take.
	emptyDirLimit = "128Mi"

	cpuRequest    = "10m"
	memoryRequest = "32Mi"
	memoryLimit   = "256Mi"

	// graceSeconds is ample for the snapshots of silences and of the notification log.
	graceSeconds = 30

	// groupWait and groupInterval are short, because the responder alone groups.
	groupWait     = "1s"
	groupInterval = "5s"
	// repeatInterval reminds the responder of what still fires; it compares every minute by itself, so this is for the
	// case that it can't.
	repeatInterval = "1h"
	// watchdogRepeat must be well under the 5 minutes after which the watchdog counts as missing.
	watchdogRepeat = "1m"

	// portWeb, portReloader and their numbers are the operator's.
	portWeb      = "web"
	reloaderPort = 8080
	meshPort     = 9094
)
