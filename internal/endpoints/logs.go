package endpoints

// LogResourceKeys are the attributes by which a container's lines become one resource. Fluent Bit can set resource
// attributes only to fixed values, so it sends these with each record; the collector's receivers lift them to the
// resource (processor groupbyattrs). The names are those of the OpenTelemetry semantic conventions.
var LogResourceKeys = []string{
	"k8s.namespace.name",
	"k8s.pod.name",
	"k8s.pod.uid",
	"k8s.container.name",
	"k8s.deployment.name",
	"k8s.replicaset.name",
	"k8s.statefulset.name",
	"k8s.daemonset.name",
	"k8s.job.name",
	"k8s.cronjob.name",
	"service.name",
	"service.version",
}
