package training

const (
	// schedule is a time at night in Europe, off the full hour, at which everybody else begins.
	schedule = "17 3 * * *"

	cpu         = "10m"
	memory      = "128Mi"
	memoryLimit = "1Gi"

	// startWithinSeconds a run may begin late, when the cluster was busy or off.
	startWithinSeconds = 3600
	// endWithinSeconds a run must end: it reads at most 50 Incidents, and a refit takes seconds.
	endWithinSeconds = 1800
	// keptSeconds an ended run can be looked at.
	keptSeconds = 86400

	// archiveDir is where the archive's volume is mounted.
	archiveDir = "/archive"
)
