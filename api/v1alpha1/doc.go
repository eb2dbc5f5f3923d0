// Package v1alpha1 holds the resources of the group kubebot.io: KubeBot, the observability stack of a cluster, and
// Incident, the durable record of one thing that went wrong.
//
// +kubebuilder:object:generate=true
// +groupName=kubebot.io
package v1alpha1
