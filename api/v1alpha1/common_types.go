package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Mode says who runs a component.
// +kubebuilder:validation:Enum=Managed;External;Disabled
type Mode string

const (
	// ModeManaged lets KubeBot deploy and keep the component.
	ModeManaged Mode = "Managed"
	// ModeExternal uses an instance that somebody else runs; its address must be given.
	ModeExternal Mode = "External"
	// ModeDisabled deploys nothing and removes what KubeBot had deployed.
	ModeDisabled Mode = "Disabled"
)

// Managed tells whether KubeBot runs the component, as it does when nothing is said.
func (m Mode) Managed() bool { return m != ModeExternal && m != ModeDisabled }

// ExporterMode says whether KubeBot runs an exporter.
// +kubebuilder:validation:Enum=Managed;Disabled
type ExporterMode string

// Managed tells whether KubeBot runs the exporter, as it does when nothing is said.
func (m ExporterMode) Managed() bool { return m != ExporterMode(ModeDisabled) }

// Switch turns a behaviour on or off.
// +kubebuilder:validation:Enum=Enabled;Disabled
type Switch string

const (
	// SwitchEnabled turns the behaviour on.
	SwitchEnabled Switch = "Enabled"
	// SwitchDisabled turns the behaviour off.
	SwitchDisabled Switch = "Disabled"
)

// Severity is how bad an alert or an incident is. Critical means that a human must act now.
// +kubebuilder:validation:Enum=critical;warning;info
type Severity string

const (
	// SeverityCritical means that a human must act now.
	SeverityCritical Severity = "critical"
	// SeverityWarning means that a human should look in working hours.
	SeverityWarning Severity = "warning"
	// SeverityInfo is for the record.
	SeverityInfo Severity = "info"
)

// WhenDeleted says what happens to stored data when the KubeBot is deleted or the component is switched off.
// +kubebuilder:validation:Enum=Retain;Delete
type WhenDeleted string

const (
	// WhenDeletedRetain keeps the volume claims.
	WhenDeletedRetain WhenDeleted = "Retain"
	// WhenDeletedDelete removes the volume claims with the component.
	WhenDeletedDelete WhenDeleted = "Delete"
)

// Duration is a length of time as Prometheus writes it, such as 30s, 12h or 15d.
// +kubebuilder:validation:Pattern=`^([0-9]+(ms|s|m|h|d|w|y))+$`
// +kubebuilder:validation:MaxLength=32
type Duration string

// SecretKeyRef names one key of a Secret in the namespace of the KubeBot.
type SecretKeyRef struct {
	// Name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Key in the Secret's data.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}

// SecretVariable is a variable of a program's environment whose value is in a Secret of the KubeBot's namespace.
type SecretVariable struct {
	// Name of the variable.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",message="name must be that of a variable: letters, digits and underscores, not beginning with a digit, such as VENDOR_TOKEN"
	Name string `json:"name"`
	// ValueSecret holds the value. KubeBot never reads it: the kubelet gives it to the program.
	ValueSecret SecretKeyRef `json:"valueSecret"`
}

// PodSettings size and place the pods of a component. Every field left out has a default of KubeBot's release.
type PodSettings struct {
	// Image replaces the component's image, registry included.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`
	// Resources replaces the requests and limits of the component's main container.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// NodeSelector limits the nodes that the pods may run on, besides kubernetes.io/os: linux.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Tolerations of the pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// PriorityClassName of the pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`
}

// StorageSpec says where a component keeps its data. Without size the data are in an emptyDir and go with the pod.
// +kubebuilder:validation:XValidation:rule="has(self.size) || !has(self.storageClassName)",message="storageClassName needs size: set storage.size to ask for a volume claim, or leave storageClassName out"
type StorageSpec struct {
	// Size of the volume claim of each replica, such as 50Gi. A larger one enlarges the claims, where their storage class
	// allows that; a smaller one does not make them smaller.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
	// StorageClassName of the volume claim; the cluster's default when left out.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`
	// EphemeralLimit is the size limit of the emptyDir that is used without size.
	// +optional
	EphemeralLimit *resource.Quantity `json:"ephemeralLimit,omitempty"`
	// WhenDeleted says whether volume claims stay (Retain, the default) or go (Delete) with the component.
	// +optional
	// +kubebuilder:default=Retain
	WhenDeleted WhenDeleted `json:"whenDeleted,omitempty"`
}

// ExternalEndpoint is a service that somebody else runs.
type ExternalEndpoint struct {
	// URL of the service, with scheme, such as http://prometheus.monitoring.svc:9090.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'http' || url(self).getScheme() == 'https')",message="url must be an http or https URL with a host, such as http://prometheus.monitoring.svc:9090"
	URL string `json:"url"`
}
