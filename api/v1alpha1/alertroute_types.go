package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AlertRoute sends the incidents of its own namespace to receivers of a team, besides what the KubeBot's routes do with
// them. The Secrets that it names are in its namespace and are read by name, where the team lets the responder do so.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ar
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name may have at most 63 characters"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AlertRoute struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the team wants to be told, and where.
	Spec AlertRouteSpec `json:"spec"`
	// Status is what KubeBot makes of it.
	// +optional
	Status AlertRouteStatus `json:"status,omitempty"`
}

// AlertRouteList is a list of AlertRoutes.
// +kubebuilder:object:root=true
type AlertRouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AlertRoute `json:"items"`
}

// AlertRouteSpec is what a team wants to be told, and where.
// +kubebuilder:validation:XValidation:rule="self.receivers.all(r, !has(r.allowTargets))",message="receivers of an AlertRoute may not set allowTargets: only the KubeBot's may lead into the machine and the cluster's API"
// +kubebuilder:validation:XValidation:rule="self.receivers.all(r, !has(r.slack) || !has(r.slack.interactions))",message="receivers of an AlertRoute may not set slack.interactions: buttons belong to the KubeBot's receivers"
// +kubebuilder:validation:XValidation:rule="self.receivers.all(r, !has(r.webhook) || !has(r.webhook.bodyTemplate))",message="receivers of an AlertRoute may not set webhook.bodyTemplate: templates belong to the KubeBot's receivers"
type AlertRouteSpec struct {
	// Match says which incidents of the namespace the route takes. All conditions must hold; an empty one holds.
	// +optional
	Match AlertRouteMatch `json:"match,omitempty"`
	// Receivers get the incidents. Their Secrets are in the namespace of the AlertRoute.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Receivers []Receiver `json:"receivers"`
}

// AlertRouteMatch says which incidents of its namespace an AlertRoute takes.
type AlertRouteMatch struct {
	// Severities of the incident. Default: critical only.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	Severities []Severity `json:"severities,omitempty"`
	// Labels that one alert of the incident must have, all of them.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Labels map[string]string `json:"labels,omitempty"`
}

// AlertRouteStatus is what KubeBot makes of an AlertRoute.
type AlertRouteStatus struct {
	// ObservedGeneration is the generation that the conditions are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready is true when every receiver has its credentials and takes messages.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
