// Package config is the responder's configuration, which the manager writes into a ConfigMap and the responder reads
// from a file, and the report of itself, which the responder serves and the manager reads. No secret is in either:
// tokens and keys are files.
package config

import (
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

const (
	// Path of the configuration in the responder's pod.
	Path = "/etc/kubebot/config/responder.yaml"
	// CredentialsDir is where the generated Secret is mounted in the responder's pod.
	CredentialsDir = "/etc/kubebot/credentials"
	// WeightsDir is where the versions of the weights of the analysis are mounted in the responder's pod, if there are any.
	WeightsDir = "/etc/kubebot/weights"
	// SecretsDir is where the Secrets of receivers are mounted: <SecretsDir>/<secret name>/<key>, each optional.
	SecretsDir = "/etc/kubebot/secrets"
)

// Config configures the responder.
type Config struct {
	// KubeBot and Namespace name the KubeBot that the responder works for; Incidents go into the same namespace.
	KubeBot   string `json:"kubeBot"`
	Namespace string `json:"namespace"`
	// UID of the KubeBot.
	UID string `json:"uid"`
	// ServiceAccount is the responder's own, and TeamSecretRole the ClusterRole by which a team lets it read the one Secret of
	// its AlertRoutes; they are named to teams.
	ServiceAccount string `json:"serviceAccount,omitempty"`
	TeamSecretRole string `json:"teamSecretRole,omitempty"`
	// ClusterName stands in every Incident and message.
	ClusterName string `json:"clusterName"`
	// PrometheusURL and AlertmanagerURL are base URLs; empty when there is none.
	PrometheusURL   string `json:"prometheusURL,omitempty"`
	AlertmanagerURL string `json:"alertmanagerURL,omitempty"`
	// LokiURL and JaegerURL are base URLs of what the analysis reads; empty when there is none. LokiTenant is sent as
	// X-Scope-OrgID.
	LokiURL    string `json:"lokiURL,omitempty"`
	LokiTenant string `json:"lokiTenant,omitempty"`
	JaegerURL  string `json:"jaegerURL,omitempty"`
	// RootCause looks for the cause of every Incident unless it is Disabled.
	RootCause v1alpha1.Switch `json:"rootCause,omitempty"`
	// Learning lets what people taught decide unless it is Disabled.
	Learning v1alpha1.Switch `json:"learning,omitempty"`
	// Severities, Receivers, Routes and MuteTimes are the spec's.
	Severities []v1alpha1.SeverityMapping `json:"severities,omitempty"`
	Receivers  []v1alpha1.Receiver        `json:"receivers,omitempty"`
	Routes     []v1alpha1.Route           `json:"routes,omitempty"`
	MuteTimes  []v1alpha1.MuteTime        `json:"muteTimes,omitempty"`
	// DisabledAlerts are those of the responder's own watch that are not told.
	DisabledAlerts []string `json:"disabledAlerts,omitempty"`
	// DigestSeconds is how often a digest is sent, StormAbove how many new incidents within a minute a receiver is told of
	// one by one; 0 for no digest, and for any number.
	DigestSeconds int64 `json:"digestSeconds,omitempty"`
	StormAbove    int   `json:"stormAbove,omitempty"`
	// PushAfterSeconds is how long an incident that is not critical must last before it is first pushed; 0 for at once.
	PushAfterSeconds int64 `json:"pushAfterSeconds,omitempty"`
	// Flapping says when an incident that comes back is kept open.
	Flapping Flapping `json:"flapping,omitzero"`
	// QuietStart tells of what is older than the KubeBot in digests if it is Enabled.
	QuietStart v1alpha1.Switch `json:"quietStart,omitempty"`
	// Heartbeat is the spec's, nil for none.
	Heartbeat *v1alpha1.HeartbeatSpec `json:"heartbeat,omitempty"`
	// GrafanaURL is the address under which people open Grafana, empty for none; DashboardPrefix begins the UIDs of the
	// KubeBot's dashboards and data sources there.
	GrafanaURL      string `json:"grafanaURL,omitempty"`
	DashboardPrefix string `json:"dashboardPrefix,omitempty"`
	// Proof says which signals are proven to flow, nil for none.
	Proof *Proof `json:"proof,omitempty"`
}

// Flapping says when an incident that comes back is kept open; the zero value never does.
type Flapping struct {
	Times         int   `json:"times"`
	WithinSeconds int64 `json:"withinSeconds"`
	CalmSeconds   int64 `json:"calmSeconds"`
}

// SecretFile returns the file in the responder's pod that holds the value of a reference.
func SecretFile(ref v1alpha1.SecretKeyRef) string {
	return SecretsDir + "/" + ref.Name + "/" + ref.Key
}

// Report is what a responder replica says of itself at GET /api/v1/status.
type Report struct {
	// Replica is the pod's name.
	Replica string `json:"replica"`
	// WatchdogSeen is when the watchdog alert last reached any replica of the responder (it is shared through an annotation of the
	// Lease <kubebot>-watchdog); zero if never.
	WatchdogSeen time.Time `json:"watchdogSeen"`
	// Receivers tell of each receiver.
	Receivers []ReceiverReport `json:"receivers,omitempty"`
	// Heartbeat tells of the last heartbeat that this replica sent, nil if it sent none.
	Heartbeat *HeartbeatReport `json:"heartbeat,omitempty"`
	// Proof tells of the signals that are proven to flow, nil if none is.
	Proof *ProofReport `json:"proof,omitempty"`
	// Problems in the configuration that the responder works around, each a sentence.
	Problems []string `json:"problems,omitempty"`
}

// HeartbeatReport tells of the last heartbeat of a replica.
type HeartbeatReport struct {
	// At is when it was sent.
	At time.Time `json:"at"`
	// Reason is empty when the service took it, else one of the reasons of the condition HeartbeatConfigured.
	Reason string `json:"reason,omitempty"`
	// Message says what is wrong and what to do, without times and secrets.
	Message string `json:"message,omitempty"`
}

// ReceiverReport tells of one receiver.
type ReceiverReport struct {
	Name string `json:"name"`
	// Reason is empty when the receiver is well, else one of the reasons of the condition ReceiversReady.
	Reason string `json:"reason,omitempty"`
	// Message says what is wrong and what to do, without times and secrets.
	Message string `json:"message,omitempty"`
	// Undelivered counts messages that wait.
	Undelivered int `json:"undelivered,omitempty"`
}
