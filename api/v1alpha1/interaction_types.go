package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SlackInteractions lets people act on incidents by buttons in their messages.
// +kubebuilder:validation:XValidation:rule="has(self.appTokenSecret) != has(self.signingSecret)",message="set exactly one of appTokenSecret (Socket Mode, needs no way in) and signingSecret (signed requests by HTTP)"
type SlackInteractions struct {
	// AppTokenSecret holds the app-level token (xapp-...) of the app, for Socket Mode.
	// +optional
	AppTokenSecret *SecretKeyRef `json:"appTokenSecret,omitempty"`
	// SigningSecret holds the signing secret of the app, for requests by HTTP to the responder.
	// +optional
	SigningSecret *SecretKeyRef `json:"signingSecret,omitempty"`
	// Allow limits who may do what. What is left out may be done by everybody in the channel who is of the app's workspace.
	// +optional
	Allow SlackPermissions `json:"allow,omitempty"`
}

// SlackPermissions say who may do what.
type SlackPermissions struct {
	// Acknowledge is for acknowledging, and for taking that back.
	// +optional
	Acknowledge *SlackPeople `json:"acknowledge,omitempty"`
	// Silence is for silencing, and for ending a silence.
	// +optional
	Silence *SlackPeople `json:"silence,omitempty"`
	// Feedback is for saying what mattered and whether the cause is right.
	// +optional
	Feedback *SlackPeople `json:"feedback,omitempty"`
	// Details is for showing more: facts, events and log lines.
	// +optional
	Details *SlackPeople `json:"details,omitempty"`
}

// SlackPeople are users and members of user groups.
// +kubebuilder:validation:XValidation:rule="has(self.users) && size(self.users) > 0 || has(self.userGroups) && size(self.userGroups) > 0",message="name at least one of users and userGroups; leave the field out to allow everybody in the channel"
type SlackPeople struct {
	// Users by member ID, such as U0123456789.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:items:Pattern=`^[UW][A-Z0-9]{6,31}$`
	Users []string `json:"users,omitempty"`
	// UserGroups by ID, such as S0123456789; the app needs the scope usergroups:read.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:items:Pattern=`^S[A-Z0-9]{6,31}$`
	UserGroups []string `json:"userGroups,omitempty"`
}

// SilenceRequest asks Alertmanager to be quiet about the alerts of an incident for a while. Removing it ends the silence.
type SilenceRequest struct {
	// By is who asked.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by,omitempty"`
	// Comment is why.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Comment string `json:"comment,omitempty"`
	// Until is when the silence ends.
	Until metav1.Time `json:"until"`
}

// SilenceState is where a silence stands.
// +kubebuilder:validation:Enum=Pending;Active;Ending;Ended;Failed
type SilenceState string

const (
	// SilencePending means that Alertmanager was not told yet.
	SilencePending SilenceState = "Pending"
	// SilenceActive means that Alertmanager holds the silence.
	SilenceActive SilenceState = "Active"
	// SilenceEnding means that it is to be ended and Alertmanager was not told yet.
	SilenceEnding SilenceState = "Ending"
	// SilenceEnded means that Alertmanager holds it no more.
	SilenceEnded SilenceState = "Ended"
	// SilenceFailed means that Alertmanager did not take it; it is tried again.
	SilenceFailed SilenceState = "Failed"
)

// SilenceStatus is the silence of an incident as Alertmanager holds it.
type SilenceStatus struct {
	// State of the silence.
	State SilenceState `json:"state"`
	// ID that Alertmanager gave.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id,omitempty"`
	// By is who asked.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by,omitempty"`
	// Until is when it ends.
	Until metav1.Time `json:"until"`
	// ToldUntil is the end of the silence that receivers were told of; empty when they were told of none or of its end.
	// +optional
	ToldUntil *metav1.Time `json:"toldUntil,omitempty"`
	// Message says what is wrong.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// FeedbackVerdict is what a person says of an incident. What is said of its cause is spec.cause.
// +kubebuilder:validation:Enum=Mattered;Noise
type FeedbackVerdict string

const (
	// FeedbackMattered says that it was right to tell of the incident.
	FeedbackMattered FeedbackVerdict = "Mattered"
	// FeedbackNoise says that nobody needed to hear of it.
	FeedbackNoise FeedbackVerdict = "Noise"
)

// Feedback is what a person says of an incident. A person's later word replaces the earlier one.
type Feedback struct {
	// Verdict is what is said.
	Verdict FeedbackVerdict `json:"verdict"`
	// By is who says it.
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by"`
	// At is when.
	At metav1.Time `json:"at"`
	// Comment is what else there is to say.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Comment string `json:"comment,omitempty"`
}

// PersonAction is something that a person did by a button.
type PersonAction struct {
	// ID of the press; the same press is taken once, by whichever replica and however often it arrives.
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
	// Action such as acknowledge.
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action"`
	// By is who pressed.
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by"`
	// At is when.
	At metav1.Time `json:"at"`
}
