package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TransitionKind is a change of an incident that receivers are told of.
// +kubebuilder:validation:Enum=Opened;Updated;Resolved;Reopened
type TransitionKind string

const (
	// TransitionOpened tells of a new incident.
	TransitionOpened TransitionKind = "Opened"
	// TransitionUpdated tells that it became worse or wider, or was acknowledged.
	TransitionUpdated TransitionKind = "Updated"
	// TransitionResolved tells that it is over.
	TransitionResolved TransitionKind = "Resolved"
	// TransitionReopened tells that it came back before it was closed.
	TransitionReopened TransitionKind = "Reopened"
)

// TransitionDetail is what a transition holds that some receivers treat in a way of its own.
// +kubebuilder:validation:Enum=BecameCritical;Acknowledged
type TransitionDetail string

const (
	// DetailBecameCritical tells that an incident that was not critical is: as loud as its return.
	DetailBecameCritical TransitionDetail = "BecameCritical"
	// DetailAcknowledged tells that a person began to look after it.
	DetailAcknowledged TransitionDetail = "Acknowledged"
)

// TransitionRecord is a change of an incident that receivers are told of.
type TransitionRecord struct {
	// Kind of the change.
	Kind TransitionKind `json:"kind"`
	// Sequence counts the changes of the incident, from 1.
	Sequence int64 `json:"sequence"`
	// Text says the change in a sentence, for the thread.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Text string `json:"text,omitempty"`
	// Details are what the change holds that some receivers treat in a way of its own.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	Details []TransitionDetail `json:"details,omitempty"`
	// At is when the change was recorded.
	At metav1.Time `json:"at"`
}

// DeliveryState is where a delivery stands.
// +kubebuilder:validation:Enum=Pending;Claimed;Delivered;Unknown;Failed;Superseded
type DeliveryState string

const (
	// DeliveryPending waits for its first or next attempt.
	DeliveryPending DeliveryState = "Pending"
	// DeliveryClaimed is being sent by the replica in holder, until the claim ends.
	DeliveryClaimed DeliveryState = "Claimed"
	// DeliveryDelivered was accepted by the receiver.
	DeliveryDelivered DeliveryState = "Delivered"
	// DeliveryUnknown was sent, and no answer tells whether it was accepted.
	DeliveryUnknown DeliveryState = "Unknown"
	// DeliveryFailed was refused for good; the attempts say why. A change of the receiver's settings tries again.
	DeliveryFailed DeliveryState = "Failed"
	// DeliverySuperseded was not sent because a later change of the incident says more.
	DeliverySuperseded DeliveryState = "Superseded"
)

// Delivery is one change of an incident for one receiver.
type Delivery struct {
	// Key identifies the delivery for ever: as Slack message metadata and as Idempotency-Key.
	// +kubebuilder:validation:MaxLength=64
	Key string `json:"key"`
	// Receiver is its name; one of an AlertRoute is <namespace>/<AlertRoute>/<name>.
	// +kubebuilder:validation:MaxLength=170
	Receiver string `json:"receiver"`
	// Transition that is told.
	Transition TransitionKind `json:"transition"`
	// Sequence of the transition.
	Sequence int64 `json:"sequence"`
	// Digest is the key of the digest in which this is told, together with other incidents; empty for a message of its own.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest,omitempty"`
	// Text says the change in a sentence.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Text string `json:"text,omitempty"`
	// Details of the transition, and of earlier ones that the receiver was not told of.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	Details []TransitionDetail `json:"details,omitempty"`
	// At is when the change was recorded, or when the wait for it to last ended; every attempt tells this time, so that a
	// repeat is the same.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
	// State of the delivery.
	State DeliveryState `json:"state"`
	// Holder is the replica that has claimed the delivery.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Holder string `json:"holder,omitempty"`
	// Until is when the claim ends.
	// +optional
	Until *metav1.MicroTime `json:"until,omitempty"`
	// NextAttempt is not before this time.
	// +optional
	NextAttempt *metav1.MicroTime `json:"nextAttempt,omitempty"`
	// AttemptCount is how often it was tried.
	// +optional
	AttemptCount int64 `json:"attemptCount,omitempty"`
	// Attempts are the last 5 attempts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=5
	Attempts []Attempt `json:"attempts,omitempty"`
	// DeliveredAt is when the receiver accepted it.
	// +optional
	DeliveredAt *metav1.MicroTime `json:"deliveredAt,omitempty"`
	// Channel is the Slack channel ID of the message.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Channel string `json:"channel,omitempty"`
	// MessageID is the Slack timestamp of the head message.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	MessageID string `json:"messageID,omitempty"`
	// PossibleDuplicate means that the receiver may hold a second copy, and why.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	PossibleDuplicate string `json:"possibleDuplicate,omitempty"`
	// BodySHA256 is the hash of the webhook body that was sent first, so that a repeat is the same.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	BodySHA256 string `json:"bodySHA256,omitempty"`
}

// Attempt is one try to deliver.
type Attempt struct {
	// At is when it was tried.
	At metav1.MicroTime `json:"at"`
	// Result in a word, such as Delivered, RateLimited or Timeout.
	// +kubebuilder:validation:MaxLength=63
	Result string `json:"result"`
	// Message tells more; it never holds a secret.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}
