package archive

import "time"

const (
	cpu         = "10m"
	memory      = "96Mi"
	memoryLimit = "512Mi"

	// emptyDirLimit holds some hours of a small cluster.
	emptyDirLimit = "4Gi"

	// connectionAge of the samplers' connections.
	connectionAge = 10 * time.Minute
	// startSeconds it may take to start: with a bucket it writes the queue's file anew first.
	startSeconds = 1800
	// drainSeconds lets what is under way arrive; graceSeconds is for the last batch, to a bucket too.
	drainSeconds = 5
	graceSeconds = 60

	// Shares of the volume in percent that the files of each signal may fill; the oldest go first.
	metricsShare = 40
	logsShare    = 25
	tracesShare  = 20
	// backups is the number of full files of a signal: the smaller a file, the less goes at once.
	backups = 9

	// queueShare of the volume in percent is what may wait for a bucket, for each signal.
	queueShare = 20
	// An object in a bucket holds what came in uploadInterval, or uploadBytes before they are compressed.
	uploadInterval = time.Minute
	uploadBytes    = 16 << 20

	// region that is named where the spec names none; stores that are not AWS mostly don't look at it.
	region = "us-east-1"
)
