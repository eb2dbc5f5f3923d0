package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LogsSpec configures what collects and stores logs.
type LogsSpec struct {
	// FluentBit reads the logs of every pod on its node.
	// +optional
	FluentBit FluentBitSpec `json:"fluentBit,omitempty"`
	// Loki stores logs and cluster events.
	// +optional
	Loki LokiSpec `json:"loki,omitempty"`
}

// FluentBitSpec configures Fluent Bit, the shipper of logs.
type FluentBitSpec struct {
	PodSettings `json:",inline"`
	// Mode says whether KubeBot runs Fluent Bit. Switch it off where another shipper sends the logs by OTLP.
	// +optional
	// +kubebuilder:default=Managed
	Mode ExporterMode `json:"mode,omitempty"`
	// BufferLimit is how much of a node's disk lines may take that could not be sent yet. Default 1Gi.
	// +optional
	BufferLimit *resource.Quantity `json:"bufferLimit,omitempty"`
	// ExtraFilters is a YAML list of Fluent Bit filters that run after KubeBot's own, such as
	// "- name: grep\n  match: kube.*\n  exclude: log healthz". It replaces what runs only after Fluent Bit accepted it.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	ExtraFilters string `json:"extraFilters,omitempty"`
}

// LokiSpec configures Loki, the store of logs and events.
// +kubebuilder:validation:XValidation:rule="(has(self.mode) && self.mode == 'External') == has(self.external)",message="external belongs to mode External: set mode: External together with external.url, or leave both out"
type LokiSpec struct {
	PodSettings `json:",inline"`
	// Mode says who runs Loki.
	// +optional
	// +kubebuilder:default=Managed
	Mode Mode `json:"mode,omitempty"`
	// External is the Loki that is used in mode External.
	// +optional
	External *ExternalLoki `json:"external,omitempty"`
	// Retention is how long logs and events are kept. Default 7d, at least 24h.
	// +optional
	Retention Duration `json:"retention,omitempty"`
	// Storage says where logs are kept; with objectStorage, the last hours of them that are not in the bucket yet.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
	// ObjectStorage keeps the logs in a bucket. Loki reads from one place alone: when this is set, taken away or names another
	// bucket, the logs from before are no longer found.
	// +optional
	ObjectStorage *ObjectStorage `json:"objectStorage,omitempty"`
}

// ExternalLoki is a Loki that somebody else runs.
type ExternalLoki struct {
	ExternalEndpoint `json:",inline"`
	// Tenant is sent as X-Scope-OrgID, where that Loki has several.
	// +optional
	// +kubebuilder:validation:MaxLength=150
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9!._*'()-]+$`
	Tenant string `json:"tenant,omitempty"`
}

// ObjectStorage is a bucket that speaks the S3 protocol.
// +kubebuilder:validation:XValidation:rule="has(self.accessKeySecret) == has(self.secretKeySecret)",message="set accessKeySecret and secretKeySecret together, or leave both out where the pod's own identity gives access"
type ObjectStorage struct {
	// Bucket that the data are in.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-.a-z0-9]*[a-z0-9]$`
	Bucket string `json:"bucket"`
	// Endpoint is the host of the service, with a port where it is not the usual one. Default: that of AWS in the region.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?(:[0-9]+)?$`
	Endpoint string `json:"endpoint,omitempty"`
	// Region of the bucket.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Region string `json:"region,omitempty"`
	// Encryption of the connection: Disabled only for a store inside the cluster that serves plain HTTP. Default Enabled.
	// +optional
	Encryption Switch `json:"encryption,omitempty"`
	// AccessKeySecret holds the access key.
	// +optional
	AccessKeySecret *SecretKeyRef `json:"accessKeySecret,omitempty"`
	// SecretKeySecret holds the secret key.
	// +optional
	SecretKeySecret *SecretKeyRef `json:"secretKeySecret,omitempty"`
}

// TracesSpec configures what receives, samples and stores traces.
type TracesSpec struct {
	// Collector receives traces, metrics and logs by OTLP and hands them to the stores.
	// +optional
	Collector CollectorSpec `json:"collector,omitempty"`
	// Sampling says which traces are kept.
	// +optional
	Sampling SamplingSpec `json:"sampling,omitempty"`
	// Jaeger stores the traces.
	// +optional
	Jaeger JaegerSpec `json:"jaeger,omitempty"`
}

// DefaultSamplers is how many samplers the collector has where the spec does not say.
const DefaultSamplers = 2

// CollectorSpec configures the OpenTelemetry collector: receivers, and behind them the pods that sample and export.
// +kubebuilder:validation:XValidation:rule="!has(self.extraEnv) || size(self.extraEnv) == 0 || (has(self.extraConfig) && size(self.extraConfig) > 0)",message="extraEnv are variables of extraConfig: set extraConfig too, or leave extraEnv out"
type CollectorSpec struct {
	PodSettings `json:",inline"`
	// Mode says whether KubeBot runs the collector. Without it there are no traces, and no logs and events in Loki.
	// +optional
	// +kubebuilder:default=Managed
	Mode ExporterMode `json:"mode,omitempty"`
	// Receivers is how many pods take OTLP in. Default 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Receivers *int32 `json:"receivers,omitempty"`
	// Samplers is how many pods sample and export; each has a queue of its own. Default 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Samplers *int32 `json:"samplers,omitempty"`
	// Storage says where the samplers keep what the stores have not taken yet.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
	// ExtraConfig is YAML in the form of a collector configuration that is merged over the samplers' own: further
	// exporters, processors and pipelines. It replaces what runs only after the collector accepted it.
	// +optional
	// +kubebuilder:validation:MaxLength=32768
	ExtraConfig string `json:"extraConfig,omitempty"`
	// ExtraEnv are variables with values from Secrets, such as a token, that extraConfig names as ${env:VENDOR_TOKEN}. Until
	// each Secret is there, the collector runs as it did before, and CollectorReady says which is missing. While extraConfig is
	// tried, stand-ins are in their place. A Secret that goes later leaves an empty variable in pods that start.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(v, !(v.name in ['POD_IP', 'POD_NAME', 'GOMEMLIMIT']))",message="POD_IP, POD_NAME and GOMEMLIMIT are set by KubeBot: take other names"
	ExtraEnv []SecretVariable `json:"extraEnv,omitempty"`
}

// SamplingSpec says which traces are kept. Traces with an error and slow ones always are.
type SamplingSpec struct {
	// SlowThreshold is the duration from which a trace counts as slow. Default 2s.
	// +optional
	SlowThreshold Duration `json:"slowThreshold,omitempty"`
	// Percentage of all other traces that are kept, in percent. Default 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percentage *int32 `json:"percentage,omitempty"`
}

// JaegerSpec configures Jaeger, the store of traces.
// +kubebuilder:validation:XValidation:rule="(has(self.mode) && self.mode == 'External') == has(self.external)",message="external belongs to mode External: set mode: External together with external.url and external.otlpEndpoint, or leave both out"
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || self.replicas == 1 || has(self.elasticsearch)",message="Jaeger's embedded store has one writer: set replicas: 1, or give elasticsearch as the store"
type JaegerSpec struct {
	PodSettings `json:",inline"`
	// Mode says who runs Jaeger.
	// +optional
	// +kubebuilder:default=Managed
	Mode Mode `json:"mode,omitempty"`
	// External is the Jaeger that is used in mode External.
	// +optional
	External *ExternalJaeger `json:"external,omitempty"`
	// Replicas of Jaeger; more than one needs elasticsearch. Default 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`
	// Retention is how long traces are kept in the embedded store. Default 48h.
	// +optional
	Retention Duration `json:"retention,omitempty"`
	// Storage says where the embedded store keeps the traces.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
	// Elasticsearch keeps the traces instead of the embedded store. Its own policies end their retention.
	// +optional
	Elasticsearch *Elasticsearch `json:"elasticsearch,omitempty"`
}

// ExternalJaeger is a Jaeger, or what speaks its protocols, that somebody else runs.
type ExternalJaeger struct {
	ExternalEndpoint `json:",inline"`
	// OTLPEndpoint is the host and port that takes traces by OTLP over gRPC, such as jaeger.tracing.svc:4317.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?:[0-9]+$`
	OTLPEndpoint string `json:"otlpEndpoint"`
}

// Elasticsearch is an Elasticsearch or OpenSearch service.
type Elasticsearch struct {
	ExternalEndpoint `json:",inline"`
	// BasicAuth holds user name and password.
	// +optional
	BasicAuth *BasicAuth `json:"basicAuth,omitempty"`
}

// EventsSpec configures the collection of the cluster's events.
type EventsSpec struct {
	// Collection keeps every event of the cluster in Loki. Default Enabled.
	// +optional
	Collection Switch `json:"collection,omitempty"`
	// Resources replaces the requests and limits of the watcher of events, which holds all events of the cluster at once
	// when it starts. Default limit 1Gi of memory.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
}

// DashboardsSpec configures Grafana and its dashboards.
type DashboardsSpec struct {
	// Grafana shows the dashboards.
	// +optional
	Grafana GrafanaSpec `json:"grafana,omitempty"`
	// Extra are dashboards of yours, each in a ConfigMap of the KubeBot's namespace.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Extra []ExtraDashboard `json:"extra,omitempty"`
}

// GrafanaSpec configures Grafana.
// +kubebuilder:validation:XValidation:rule="(has(self.mode) && self.mode == 'External') == has(self.external)",message="external belongs to mode External: set mode: External together with external.url and its credentials, or leave both out"
type GrafanaSpec struct {
	PodSettings `json:",inline"`
	// Mode says who runs Grafana.
	// +optional
	// +kubebuilder:default=Managed
	Mode Mode `json:"mode,omitempty"`
	// External is the Grafana that is used in mode External.
	// +optional
	External *ExternalGrafana `json:"external,omitempty"`
	// PublicURL is the address under which people open Grafana; links in messages begin with it.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'http' || url(self).getScheme() == 'https')",message="publicURL must be an http or https URL with a host, such as https://grafana.example.com"
	PublicURL string `json:"publicURL,omitempty"`
	// Storage says where Grafana keeps what people make in it. KubeBot's own dashboards need none.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
}

// ExternalGrafana is a Grafana that somebody else runs.
// +kubebuilder:validation:XValidation:rule="has(self.tokenSecret) != has(self.basicAuth)",message="set tokenSecret (a service account's token) or basicAuth, one of them"
type ExternalGrafana struct {
	ExternalEndpoint `json:",inline"`
	// TokenSecret holds the token of a service account with the role Admin of its organisation, which data sources need.
	// +optional
	TokenSecret *SecretKeyRef `json:"tokenSecret,omitempty"`
	// BasicAuth holds user name and password.
	// +optional
	BasicAuth *BasicAuth `json:"basicAuth,omitempty"`
}

// ExtraDashboard is a dashboard of yours.
type ExtraDashboard struct {
	// Name of the dashboard, unique in the list.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// ConfigMap holds the dashboard's JSON, as Grafana exports it.
	ConfigMap ConfigMapKeyRef `json:"configMap"`
}

// ConfigMapKeyRef names one key of a ConfigMap in the namespace of the KubeBot.
type ConfigMapKeyRef struct {
	// Name of the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Key in the ConfigMap's data.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}

// AnalysisSpec configures root-cause analysis and the archive that it learns from.
type AnalysisSpec struct {
	// RootCause looks for the cause of every incident and adds it to the message. Default Enabled.
	// +optional
	RootCause Switch `json:"rootCause,omitempty"`
	// Learning lets what people say of incidents decide which ones that are not critical are pushed. Without judgements it
	// changes nothing. Disabled goes back to severity and routes alone; what was learned is kept. Default Enabled.
	// +optional
	Learning Switch `json:"learning,omitempty"`
	// Archive keeps all four signals as OTLP, to learn from.
	// +optional
	Archive ArchiveSpec `json:"archive,omitempty"`
	// Training refits the analysis to what people said of causes.
	// +optional
	Training TrainingSpec `json:"training,omitempty"`
	// Weights chooses by which version of its weights the analysis ranks causes.
	// +optional
	Weights WeightsSpec `json:"weights,omitempty"`
}

// TrainingSpec configures the job that refits the analysis to the Incidents whose cause people judged. New weights are
// adopted only if they are better on Incidents that they had not seen.
type TrainingSpec struct {
	PodSettings `json:",inline"`
	// Mode says whether KubeBot refits the analysis. Disabled leaves the weights in use as they are.
	// +optional
	// +kubebuilder:default=Managed
	Mode ExporterMode `json:"mode,omitempty"`
	// Schedule is a cron expression of five fields, in UTC. Default 17 3 * * * (each night).
	// +optional
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^(@(hourly|daily|midnight|weekly|monthly)|[-*/,?0-9A-Za-z]+( [-*/,?0-9A-Za-z]+){4})$')",message="schedule must be a cron expression of five fields such as 17 3 * * *, or one of @hourly, @daily, @weekly and @monthly"
	Schedule string `json:"schedule,omitempty"`
}

// WeightsSpec chooses the weights of the analysis.
type WeightsSpec struct {
	// Version to use: BuiltIn for those that come with KubeBot, or the number of one in status.analysis.versions.
	// Default: the one adopted last. It rolls back, and holds until it is taken out.
	// +optional
	// +kubebuilder:validation:MaxLength=9
	// +kubebuilder:validation:XValidation:rule="self == 'BuiltIn' || self.matches('^[1-9][0-9]*$')",message="version must be BuiltIn or the number of a version in status.analysis.versions"
	Version string `json:"version,omitempty"`
}

// AnalysisStatus tells by which weights causes are ranked, and how the last refit went.
type AnalysisStatus struct {
	// Weights in use: BuiltIn, or the number of a version.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Weights string `json:"weights,omitempty"`
	// Since when these weights are in use.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Versions that were adopted and can be gone back to, the latest first.
	// +optional
	// +listType=map
	// +listMapKey=version
	// +kubebuilder:validation:MaxItems=8
	Versions []WeightsVersion `json:"versions,omitempty"`
	// LastTraining is the last refit.
	// +optional
	LastTraining *TrainingOutcome `json:"lastTraining,omitempty"`
}

// WeightsVersion is a version of the weights that a refit made.
type WeightsVersion struct {
	// Version is its number, from 1.
	Version int32 `json:"version"`
	// AdoptedAt is when it was adopted.
	AdoptedAt metav1.Time `json:"adoptedAt"`
	// Incidents that it was fitted to.
	Incidents int32 `json:"incidents"`
	// HeldBack counts the Incidents that the figures are of; each was judged by weights that had not seen it.
	HeldBack int32 `json:"heldBack"`
	// RightPercentBefore and RightPercentAfter are the shares of those whose first cause was right, by the weights that
	// were in use before and by the new ones.
	RightPercentBefore int32 `json:"rightPercentBefore"`
	RightPercentAfter  int32 `json:"rightPercentAfter"`
}

// TrainingOutcome is how a refit went.
type TrainingOutcome struct {
	// At is when it ended.
	At metav1.Time `json:"at"`
	// Adopted says whether its weights were taken over.
	Adopted bool `json:"adopted"`
	// Message says why they were or were not.
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message"`
	// Judged counts the Incidents whose cause people judged, Usable those of them whose telemetry is known.
	Judged int32 `json:"judged"`
	Usable int32 `json:"usable"`
	// HeldBack counts the Incidents that the figures are of, 0 when there were too few for any.
	HeldBack int32 `json:"heldBack"`
	// RightPercentBefore and RightPercentAfter are the shares of those whose first cause was right, by the weights in use
	// and by the new ones.
	RightPercentBefore int32 `json:"rightPercentBefore"`
	RightPercentAfter  int32 `json:"rightPercentAfter"`
}

// ArchiveSpec configures the archive of all four signals.
// +kubebuilder:validation:XValidation:rule="!(has(self.objectStorage) && has(self.storage) && has(self.storage.size))",message="set objectStorage or storage.size, not both: with objectStorage the archive is in the bucket"
type ArchiveSpec struct {
	PodSettings `json:",inline"`
	// Mode says whether KubeBot keeps an archive.
	// +optional
	// +kubebuilder:default=Managed
	Mode ExporterMode `json:"mode,omitempty"`
	// Storage says where the archive's files are kept while there is no objectStorage; the oldest go first.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
	// ObjectStorage keeps the archive in a bucket.
	// +optional
	ObjectStorage *ObjectStorage `json:"objectStorage,omitempty"`
}
