package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KubeBot is an observability stack: what collects, stores, decides and notifies in one cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=kb
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Prometheus",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="PrometheusReady")].status`
// +kubebuilder:printcolumn:name="Alertmanager",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="AlertmanagerReady")].status`
// +kubebuilder:printcolumn:name="Exporters",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="ExportersReady")].status`
// +kubebuilder:printcolumn:name="Rules",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="RulesReady")].status`
// +kubebuilder:printcolumn:name="Responder",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="ResponderReady")].status`
// +kubebuilder:printcolumn:name="Receivers",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="ReceiversReady")].status`
// +kubebuilder:printcolumn:name="Collector",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="CollectorReady")].status`
// +kubebuilder:printcolumn:name="Loki",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="LokiReady")].status`
// +kubebuilder:printcolumn:name="Jaeger",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="JaegerReady")].status`
// +kubebuilder:printcolumn:name="FluentBit",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="FluentBitReady")].status`
// +kubebuilder:printcolumn:name="Grafana",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="GrafanaReady")].status`
// +kubebuilder:printcolumn:name="Archive",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="ArchiveReady")].status`
// +kubebuilder:printcolumn:name="Training",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="TrainingReady")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 40",message="metadata.name may have at most 40 characters, because the names of the deployed objects begin with it"
type KubeBot struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the stack shall be. An empty spec is a good stack.
	// +optional
	Spec KubeBotSpec `json:"spec,omitempty"`
	// Status is what KubeBot found and did.
	// +optional
	Status KubeBotStatus `json:"status,omitempty"`
}

// KubeBotList is a list of KubeBots.
// +kubebuilder:object:root=true
type KubeBotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KubeBot `json:"items"`
}

// Scope says how much of the cluster a KubeBot watches.
// +kubebuilder:validation:Enum=Cluster
type Scope string

// ScopeCluster watches the whole cluster; one KubeBot of this scope is active, the oldest.
const ScopeCluster Scope = "Cluster"

// KubeBotSpec is what the stack shall be. Every field has a default.
type KubeBotSpec struct {
	// ClusterName stands in every label, message and Incident. Default: cluster- and the first 8 characters of the
	// UID of the namespace kube-system.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?$`
	ClusterName string `json:"clusterName,omitempty"`
	// Scope is how much of the cluster the KubeBot watches.
	// +optional
	// +kubebuilder:default=Cluster
	Scope Scope `json:"scope,omitempty"`
	// Suspend stops changes to the managed objects; what runs goes on running and alerting.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// Images says where images are pulled from.
	// +optional
	Images ImagesSpec `json:"images,omitempty"`
	// Metrics configures Prometheus, Alertmanager and the exporters.
	// +optional
	Metrics MetricsSpec `json:"metrics,omitempty"`
	// Logs configures Fluent Bit and Loki.
	// +optional
	Logs LogsSpec `json:"logs,omitempty"`
	// Traces configures the OpenTelemetry collector and Jaeger.
	// +optional
	Traces TracesSpec `json:"traces,omitempty"`
	// Events configures the collection of the cluster's events.
	// +optional
	Events EventsSpec `json:"events,omitempty"`
	// Dashboards configures Grafana.
	// +optional
	Dashboards DashboardsSpec `json:"dashboards,omitempty"`
	// Alerting configures rules, receivers and routes.
	// +optional
	Alerting AlertingSpec `json:"alerting,omitempty"`
	// Analysis configures root-cause analysis and what it learns from.
	// +optional
	Analysis AnalysisSpec `json:"analysis,omitempty"`
}

// ImagesSpec says where images are pulled from.
type ImagesSpec struct {
	// Registry replaces the registry host of every image, for air-gapped clusters: with mirror.corp/k8s,
	// quay.io/prometheus/prometheus becomes mirror.corp/k8s/prometheus/prometheus. KubeBot's own image is where the chart's
	// value image.repository says.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?(:[0-9]+)?(/[-._a-z0-9]+)*$`
	Registry string `json:"registry,omitempty"`
	// PullSecrets are added to every pod.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	PullSecrets []corev1.LocalObjectReference `json:"pullSecrets,omitempty"`
}

// MetricsSpec configures what collects and stores metrics.
type MetricsSpec struct {
	// Prometheus stores the metrics and evaluates the rules.
	// +optional
	Prometheus PrometheusSpec `json:"prometheus,omitempty"`
	// Alertmanager deduplicates alerts and hands them to the responder.
	// +optional
	Alertmanager AlertmanagerSpec `json:"alertmanager,omitempty"`
	// KubeStateMetrics turns the state of Kubernetes objects into metrics.
	// +optional
	KubeStateMetrics ExporterSpec `json:"kubeStateMetrics,omitempty"`
	// NodeExporter reports the nodes' own figures.
	// +optional
	NodeExporter ExporterSpec `json:"nodeExporter,omitempty"`
}

// PrometheusSpec configures Prometheus.
// +kubebuilder:validation:XValidation:rule="(has(self.mode) && self.mode == 'External') == has(self.external)",message="external belongs to mode External: set mode: External together with external.url, or leave both out"
type PrometheusSpec struct {
	PodSettings `json:",inline"`
	// Mode says who runs Prometheus.
	// +optional
	// +kubebuilder:default=Managed
	Mode Mode `json:"mode,omitempty"`
	// External is the Prometheus that is used in mode External.
	// +optional
	External *ExternalEndpoint `json:"external,omitempty"`
	// Replicas scrape and evaluate independently of each other. Default 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`
	// Retention is how long samples are kept. Default 7d.
	// +optional
	Retention Duration `json:"retention,omitempty"`
	// RetentionSize is how much disk samples may take; the oldest go first.
	// +optional
	RetentionSize *resource.Quantity `json:"retentionSize,omitempty"`
	// Storage says where samples are kept.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
	// ScrapeInterval between two scrapes of a target. Default 15s.
	// +optional
	ScrapeInterval Duration `json:"scrapeInterval,omitempty"`
	// EvaluationInterval between two evaluations of a rule. Default 15s.
	// +optional
	EvaluationInterval Duration `json:"evaluationInterval,omitempty"`
	// ExternalLabels are added to every alert and every sample that leaves Prometheus. The label cluster is KubeBot's.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="!('cluster' in self)",message="externalLabels may not set cluster: use spec.clusterName"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]*$'))",message="the names in externalLabels may have letters, digits and underscores only and may not begin with a digit"
	ExternalLabels map[string]string `json:"externalLabels,omitempty"`
	// RemoteWrite sends every sample to further stores.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	RemoteWrite []RemoteWrite `json:"remoteWrite,omitempty"`
	// UserMonitors selects the ServiceMonitors, PodMonitors and PrometheusRules of others that are taken in.
	// Default: all of them, in every namespace.
	// +optional
	UserMonitors MonitorSelection `json:"userMonitors,omitempty"`
	// AnnotatedPods scrapes pods annotated prometheus.io/scrape=true (port and path by prometheus.io/port and
	// prometheus.io/path). Default Enabled.
	// +optional
	AnnotatedPods Switch `json:"annotatedPods,omitempty"`
}

// DefaultScrapeInterval of Prometheus: a crash shows within two of them, and 15 s is Prometheus' own advice for targets
// that alert.
const DefaultScrapeInterval = "15s"

// MonitorSelection selects monitors and rules by their labels and by the labels of their namespaces.
type MonitorSelection struct {
	// Selector matches the labels of the monitor or rule; all when left out.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// NamespaceSelector matches the labels of the namespace; all when left out. For ServiceMonitors and PodMonitors it
	// holds as it is. KubeBot's own rules must be among those that are taken, so for PrometheusRules the KubeBot's
	// namespace is added to a selection by the label kubernetes.io/metadata.name (one matchLabels entry, or one
	// matchExpressions entry with In); with any other selection they are taken from every namespace and chosen by
	// selector alone.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// RemoteWrite is a store that receives every sample by the Prometheus remote-write protocol.
// +kubebuilder:validation:XValidation:rule="!(has(self.bearerTokenSecret) && has(self.basicAuth))",message="set bearerTokenSecret or basicAuth, not both"
type RemoteWrite struct {
	// Name of the store, unique in the list.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// URL of the remote-write endpoint.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'http' || url(self).getScheme() == 'https')",message="url must be an http or https URL with a host, such as https://mimir.example.com/api/v1/push"
	URL string `json:"url"`
	// BearerTokenSecret holds the bearer token.
	// +optional
	BearerTokenSecret *SecretKeyRef `json:"bearerTokenSecret,omitempty"`
	// BasicAuth holds user name and password.
	// +optional
	BasicAuth *BasicAuth `json:"basicAuth,omitempty"`
}

// BasicAuth is a user name and a password, each from a Secret.
type BasicAuth struct {
	// UsernameSecret holds the user name.
	UsernameSecret SecretKeyRef `json:"usernameSecret"`
	// PasswordSecret holds the password.
	PasswordSecret SecretKeyRef `json:"passwordSecret"`
}

// AlertmanagerSpec configures Alertmanager.
// +kubebuilder:validation:XValidation:rule="(has(self.mode) && self.mode == 'External') == has(self.external)",message="external belongs to mode External: set mode: External together with external.url, or leave both out"
type AlertmanagerSpec struct {
	PodSettings `json:",inline"`
	// Mode says who runs Alertmanager.
	// +optional
	// +kubebuilder:default=Managed
	Mode Mode `json:"mode,omitempty"`
	// External is the Alertmanager that is used in mode External. Its owner adds the responder's webhook, whose
	// address is in status.endpoints.
	// +optional
	External *ExternalEndpoint `json:"external,omitempty"`
	// Replicas form a cluster that deduplicates alerts. Default 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`
	// Retention is how long silences and the notification log are kept. Default 120h.
	// +optional
	Retention Duration `json:"retention,omitempty"`
	// Storage says where silences and the notification log are kept.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
}

// ExporterSpec configures an exporter.
type ExporterSpec struct {
	PodSettings `json:",inline"`
	// Mode says whether KubeBot runs the exporter. Switch it off where the cluster has one of its own.
	// +optional
	// +kubebuilder:default=Managed
	Mode ExporterMode `json:"mode,omitempty"`
}

// KubeBotStatus is what KubeBot found and did.
type KubeBotStatus struct {
	// ObservedGeneration is the generation of the spec that the status tells of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions tell of each component, and in Ready of the whole.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ClusterName that is in use.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	ClusterName string `json:"clusterName,omitempty"`
	// Endpoints are the addresses of the stack inside the cluster.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// InstrumentedLanguages are those for which the OpenTelemetry Operator instruments the pods whose label
	// kubebot.io/instrumentation asks for one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=63
	InstrumentedLanguages []string `json:"instrumentedLanguages,omitempty"`
	// OmittedRules are default rules and alerts of the responder's own watch that are left out, and why.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	OmittedRules []OmittedRule `json:"omittedRules,omitempty"`
	// Analysis tells by which weights causes are ranked, and how the last refit went.
	// +optional
	Analysis *AnalysisStatus `json:"analysis,omitempty"`
	// Inventory lists every object that KubeBot applied or is about to apply.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	Inventory []ObjectRef `json:"inventory,omitempty"`
}

// Endpoint is an address of the stack inside the cluster.
type Endpoint struct {
	// Name of what answers there, such as prometheus.
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// URL of it.
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
}

// OmittedRule is a default rule, or an alert of the responder's own watch, that is left out.
type OmittedRule struct {
	// Name of the alert.
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// Reason why it is left out, and what brings it back.
	// +kubebuilder:validation:MaxLength=512
	Reason string `json:"reason"`
}

// ObjectRef names an object of the cluster.
type ObjectRef struct {
	// Group of the object's API; empty for the core group.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`
	// Version of the object's API.
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version"`
	// Kind of the object.
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Namespace of the object; empty for cluster-wide ones.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
