package grafana

const (
	// image is that of Grafana's newest release.
	image = "docker.io/grafana/grafana:13.3.0"

	// cpuRequest and others of Grafana; both containers together ask for 50m. Version 13 takes 170 MiB at rest, and up to
	// 640 MiB while one person looks through KubeBot's dashboards.
	cpuRequest    = "45m"
	memoryRequest = "224Mi"
	memoryLimit   = "1Gi"

	// keeperCPU and others of the container that keeps data sources and dashboards.
	keeperCPU         = "5m"
	keeperMemory      = "32Mi"
	keeperMemoryLimit = "128Mi"

	// emptyDirLimit holds Grafana's database, which is some MiB.
	emptyDirLimit = "1Gi"

	// uid is the user of Grafana's image, who owns its files (https://grafana.com/docs/grafana/latest/setup-grafana/configure-docker/).
	uid int64 = 472

	// dataDir holds the database, tmpDir sockets of data source plugins, which are processes of their own.
	dataDir = "/var/lib/grafana"
	tmpDir  = "/tmp"
	// secretDir holds the password of the user admin.
	secretDir = "/etc/kubebot/grafana"
	adminUser = "admin"

	portHTTP    = "http"
	portMetrics = "metrics"
	// metricsPort serves the metrics and the report of the keeper.
	metricsPort = 8080

	// keeper is the name of the container beside Grafana.
	keeper = "dashboards"

	volumeConfig      = "dashboards"
	volumeCredentials = "credentials"
	volumeExtra       = "extra"
	volumeTmp         = "tmp"
)
