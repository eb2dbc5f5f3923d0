package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Incident is the durable record of one thing that went wrong: what fired, what was decided and why, and per receiver
// whether the message was delivered.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=inc
// +kubebuilder:validation:XValidation:rule="!has(self.spec.cause) || !has(self.spec.cause.confirm) || has(oldSelf.spec.cause) && has(oldSelf.spec.cause.confirm) && oldSelf.spec.cause.confirm == self.spec.cause.confirm || has(self.status) && has(self.status.causes) && size(self.status.causes) >= self.spec.cause.confirm",message="spec.cause.confirm must be the place of a cause in status.causes, 1 for the first; use spec.cause.correct where none is right"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.cause) || !has(self.spec.cause.reject) || has(oldSelf.spec.cause) && has(oldSelf.spec.cause.reject) && oldSelf.spec.cause.reject == self.spec.cause.reject || has(self.status) && has(self.status.causes) && size(self.status.causes) >= self.spec.cause.reject",message="spec.cause.reject must be the place of a cause in status.causes, 1 for the first"
// +kubebuilder:selectablefield:JSONPath=`.spec.subject.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.subject.namespace`
// +kubebuilder:selectablefield:JSONPath=`.spec.subject.name`
// +kubebuilder:printcolumn:name="Subject",type=string,JSONPath=`.spec.subject.display`
// +kubebuilder:printcolumn:name="Severity",type=string,JSONPath=`.status.severity`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Cause",type=string,JSONPath=`.status.cause`
// +kubebuilder:printcolumn:name="Receivers",type=string,JSONPath=`.status.receivers`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Incident struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the incident is about and what people ask of it.
	Spec IncidentSpec `json:"spec"`
	// Status is what KubeBot found and did.
	// +optional
	Status IncidentStatus `json:"status,omitempty"`
}

// IncidentList is a list of Incidents.
// +kubebuilder:object:root=true
type IncidentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Incident `json:"items"`
}

// IncidentSpec is what the incident is about and what people ask of it.
// +kubebuilder:validation:XValidation:rule="self.kubeBot == oldSelf.kubeBot && self.groupKey == oldSelf.groupKey && self.subject == oldSelf.subject && self.number == oldSelf.number",message="kubeBot, groupKey, number and subject can't be changed: they say what the incident is about"
type IncidentSpec struct {
	// KubeBot that opened the incident, in the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	KubeBot string `json:"kubeBot"`
	// ClusterName of the cluster in which it happened.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	ClusterName string `json:"clusterName,omitempty"`
	// GroupKey is what alerts have in common that belong to this incident.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	GroupKey string `json:"groupKey"`
	// Number of the incident among those of its group key, from 1.
	// +kubebuilder:validation:Minimum=1
	Number int64 `json:"number"`
	// Subject is what is affected.
	Subject Subject `json:"subject"`
	// OpeningAlerts are the alerts that opened the incident.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	OpeningAlerts []IncidentAlert `json:"openingAlerts"`
	// Continues names the incident that was full when this one was opened; messages go into its thread.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Continues string `json:"continues,omitempty"`
	// Acknowledge says that a person looks after the incident.
	// +optional
	Acknowledge *Request `json:"acknowledge,omitempty"`
	// Close ends the incident even if alerts still fire.
	// +optional
	Close *Request `json:"close,omitempty"`
	// Cause is a person's judgement of the causes that KubeBot named, by kubectl or by a button; the last word counts.
	// Once given, no analysis changes the causes, and the training learns from it.
	// +optional
	Cause *CauseJudgement `json:"cause,omitempty"`
	// Silence asks Alertmanager to be quiet about the alerts of the incident for a while; removing it ends that.
	// +optional
	Silence *SilenceRequest `json:"silence,omitempty"`
	// Feedback is what people say of the incident, at most the last 32.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Feedback []Feedback `json:"feedback,omitempty"`
	// Actions are what people did by buttons, at most the last 32.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Actions []PersonAction `json:"actions,omitempty"`
}

// Subject is what an incident is about. Nodes and outside alerts have no namespace.
type Subject struct {
	// APIVersion of the object, such as apps/v1; empty for outside alerts.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the object, such as Deployment; Alert for outside alerts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Namespace of the object.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Display is the subject for people, such as Deployment shop/checkout.
	// +optional
	// +kubebuilder:validation:MaxLength=400
	Display string `json:"display,omitempty"`
}

// Request is what a person asked for.
type Request struct {
	// By is who asked.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by,omitempty"`
	// Comment is why.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Comment string `json:"comment,omitempty"`
}

// AlertSource is where an alert came from.
// +kubebuilder:validation:Enum=Alertmanager;Watch;History
type AlertSource string

const (
	// AlertSourceAlertmanager is Alertmanager's webhook or API.
	AlertSourceAlertmanager AlertSource = "Alertmanager"
	// AlertSourceWatch is the responder's own watch of workload states and events.
	AlertSourceWatch AlertSource = "Watch"
	// AlertSourceHistory is the ALERTS series of Prometheus: what fired while no responder answered.
	AlertSourceHistory AlertSource = "History"
)

// AlertState is whether an alert still fires.
// +kubebuilder:validation:Enum=Firing;Resolved
type AlertState string

const (
	// AlertFiring means that the alert fires.
	AlertFiring AlertState = "Firing"
	// AlertResolved means that it no longer fires.
	AlertResolved AlertState = "Resolved"
)

// IncidentAlert is one alert of an incident.
type IncidentAlert struct {
	// Fingerprint of the alert's labels, 16 hexadecimal digits, as Alertmanager computes it.
	// +kubebuilder:validation:MaxLength=32
	Fingerprint string `json:"fingerprint"`
	// Name of the alert.
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`
	// Severity of the alert.
	Severity Severity `json:"severity"`
	// State of the alert.
	State AlertState `json:"state"`
	// Source of the alert.
	Source AlertSource `json:"source"`
	// StartsAt is when it began to fire.
	StartsAt metav1.Time `json:"startsAt"`
	// EndsAt is when it ceased to fire.
	// +optional
	EndsAt *metav1.Time `json:"endsAt,omitempty"`
	// Labels of the alert, as far as they fit.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`
	// Summary is what is wrong, in a sentence.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Summary string `json:"summary,omitempty"`
	// Description tells more.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Description string `json:"description,omitempty"`
	// RunbookURL tells what to do.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	RunbookURL string `json:"runbookURL,omitempty"`
}

// IncidentState is where an incident stands.
// +kubebuilder:validation:Enum=Open;Acknowledged;Resolved;Closed
type IncidentState string

const (
	// IncidentOpen means that something is wrong and nobody has said to look after it.
	IncidentOpen IncidentState = "Open"
	// IncidentAcknowledged means that something is wrong and a person looks after it.
	IncidentAcknowledged IncidentState = "Acknowledged"
	// IncidentResolved means that no alert fires any more; it may reopen for a while.
	IncidentResolved IncidentState = "Resolved"
	// IncidentClosed means that it is over for good: quiet for long enough, or closed by a person.
	IncidentClosed IncidentState = "Closed"
)

// Verdict is what was decided about pushing an incident.
// +kubebuilder:validation:Enum=Notify;Digest;Quiet
type Verdict string

const (
	// VerdictNotify pushes the incident to its receivers.
	VerdictNotify Verdict = "Notify"
	// VerdictDigest tells its receivers of it together with others.
	VerdictDigest Verdict = "Digest"
	// VerdictQuiet keeps it visible here without a push.
	VerdictQuiet Verdict = "Quiet"
)

// Decision is whether an incident is pushed, and why.
type Decision struct {
	// Verdict is notify, digest or quiet.
	Verdict Verdict `json:"verdict"`
	// Reason is the name of the check that decided.
	// +kubebuilder:validation:MaxLength=63
	Reason string `json:"reason"`
	// Message says it in a sentence.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
	// Learned is what people taught about such incidents, where that was asked.
	// +optional
	Learned *LearnedDecision `json:"learned,omitempty"`
	// EscalatesAt is when further receivers are told unless somebody acknowledges.
	// +optional
	EscalatesAt *metav1.Time `json:"escalatesAt,omitempty"`
	// PushesAt is when it is pushed unless it is over by then.
	// +optional
	PushesAt *metav1.Time `json:"pushesAt,omitempty"`
}

// FlappingStatus tells of an incident that comes back again and again.
type FlappingStatus struct {
	// Returns are when it came back last.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Returns []metav1.Time `json:"returns,omitempty"`
	// Since is when it began to be kept open; not set while it is not.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// HeldBack is how often it came back since then without being told.
	// +optional
	HeldBack int64 `json:"heldBack,omitempty"`
	// CalmSince is since when nothing has fired.
	// +optional
	CalmSince *metav1.Time `json:"calmSince,omitempty"`
}

// LoudAction is how loud an incident is.
// +kubebuilder:validation:Enum=Push;Digest;Quiet
type LoudAction string

const (
	// ActionPush tells of it at once.
	ActionPush LoudAction = "Push"
	// ActionDigest tells of it in the next digest.
	ActionDigest LoudAction = "Digest"
	// ActionQuiet keeps it visible without telling anybody.
	ActionQuiet LoudAction = "Quiet"
)

// LearnedDecision is what people taught about an incident when it was decided.
type LearnedDecision struct {
	// Action that was taken.
	Action LoudAction `json:"action"`
	// Without is the action without anything learned.
	Without LoudAction `json:"without"`
	// Reason names why, such as TaughtNoise or FewJudgements.
	// +kubebuilder:validation:MaxLength=63
	Reason string `json:"reason"`
	// Message says it in a sentence.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
	// ChancePercent is how likely it is that the incident matters, in percent.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	ChancePercent int32 `json:"chancePercent,omitempty"`
	// Permille is the probability with which the action was chosen, in thousandths.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Permille int32 `json:"permille"`
	// Revision of what was learned, as kubebot learned shows it.
	// +optional
	Revision int64 `json:"revision,omitempty"`
}

// IncidentStatus is what KubeBot found and did.
type IncidentStatus struct {
	// State of the incident.
	// +optional
	State IncidentState `json:"state,omitempty"`
	// Severity is the highest of the alerts so far.
	// +optional
	Severity Severity `json:"severity,omitempty"`
	// Title says what is wrong.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Title string `json:"title,omitempty"`
	// Cause is the most likely cause in a sentence.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Cause string `json:"cause,omitempty"`
	// Causes are the likely causes, the likeliest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=5
	Causes []Cause `json:"causes,omitempty"`
	// Analysis tells how the causes were looked for.
	// +optional
	Analysis *Analysis `json:"analysis,omitempty"`
	// DuplicateOf names the incident that this one is part of, by what the analysis found or by a lost node. It is closed
	// with that one; when that is over and this is not, it stands for itself again.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	DuplicateOf string `json:"duplicateOf,omitempty"`
	// Flapping tells how often the incident came back, and whether it is kept open for that.
	// +optional
	Flapping *FlappingStatus `json:"flapping,omitempty"`
	// StartedAt is when the first alert began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// ResolvedAt is when the last alert ended.
	// +optional
	ResolvedAt *metav1.Time `json:"resolvedAt,omitempty"`
	// ClosedAt is when the incident was closed.
	// +optional
	ClosedAt *metav1.Time `json:"closedAt,omitempty"`
	// Alerts are all alerts of the incident, at most 500.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	Alerts []IncidentAlert `json:"alerts,omitempty"`
	// Decision is whether the incident is pushed, and why.
	// +optional
	Decision *Decision `json:"decision,omitempty"`
	// Silence is the silence of the incident as Alertmanager holds it.
	// +optional
	Silence *SilenceStatus `json:"silence,omitempty"`
	// Transition is the last change that receivers are told of.
	// +optional
	Transition *TransitionRecord `json:"transition,omitempty"`
	// CriticalSequence is the sequence of the transition by which an incident that had not been critical became so.
	// +optional
	CriticalSequence int64 `json:"criticalSequence,omitempty"`
	// Deliveries tell per receiver and transition whether the message arrived.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=256
	Deliveries []Delivery `json:"deliveries,omitempty"`
	// Receivers sums up the deliveries, such as oncall:Delivered.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Receivers string `json:"receivers,omitempty"`
}
