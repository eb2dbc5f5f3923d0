// Package notify says what a sink is: a way to deliver one change of an incident to one receiver. Sinks are in the
// folders below; each is one delivery attempt with a deadline, no queue and no retry of its own, except where the
// service's protocol asks for it.
package notify

import (
	"context"
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Message is one change of an incident for one receiver. Everything in Incident is data from the cluster: a sink
// escapes it.
type Message struct {
	// Key identifies the delivery for ever.
	Key string
	// Transition is the change, Sequence its number in the incident, Text the change in a sentence.
	Transition v1alpha1.TransitionKind
	Sequence   int64
	Text       string
	// Details are what the change holds that a sink may treat in a way of its own.
	Details []v1alpha1.TransitionDetail
	// Incident as it stands. Of a digest it is a summary, made up for sinks that know no digest: its title says how many
	// incidents there are and its cause names the worst.
	Incident *v1alpha1.Incident
	// Digest are the incidents that the message tells of together, the worst first; nil for a message about one.
	Digest []*v1alpha1.Incident
	// Head is the message that is to be edited and threaded on; zero when the receiver holds none.
	Head Ref
	// Thread is a message under which a first message is put instead of at the channel's top level; zero for none.
	Thread Ref
	// MayHaveArrived means that an earlier attempt had no answer: look before sending again.
	MayHaveArrived bool
	// At is when the change was recorded; a sink uses it, never the clock, so that a repeat has the same body.
	At time.Time
	// BodySHA256 is the hash of the body that was sent before under this key, empty at the first attempt.
	BodySHA256 string
}

// Tells says whether the change holds a detail.
func (m Message) Tells(detail v1alpha1.TransitionDetail) bool {
	return slices.Contains(m.Details, detail)
}

// Loud tells whether a change of an incident that the receiver knows is to be noticed like a new one: it is back, or it
// was not critical before.
func (m Message) Loud() bool {
	return m.Transition == v1alpha1.TransitionReopened || m.Transition == v1alpha1.TransitionUpdated && m.Tells(v1alpha1.DetailBecameCritical)
}

// TransitionDigest is the transition of a message that tells of several incidents.
const TransitionDigest v1alpha1.TransitionKind = "Digest"

// Ref names a message that a receiver holds.
type Ref struct {
	// Channel and ID, as the receiver names them (Slack: channel ID and timestamp).
	Channel, ID string
}

// DigestEditor is a Sink whose digests can be edited: a message with Head and Digest replaces what Head names, and nobody is
// notified of that.
type DigestEditor interface {
	Sink
	// EditsDigests does nothing; it tells such sinks from others.
	EditsDigests()
}

// Outcome is how an attempt ended.
type Outcome string

const (
	// Delivered: the receiver accepted the message.
	Delivered Outcome = "Delivered"
	// Retry: the receiver surely did not take it; try again.
	Retry Outcome = "Retry"
	// Unknown: no answer tells whether the receiver took it.
	Unknown Outcome = "Unknown"
	// Refused: the receiver will not take it until a person changes something; tried again slowly.
	Refused Outcome = "Refused"
)

// Result tells of an attempt. Word and Detail never hold a secret or the URL of a webhook.
type Result struct {
	Outcome Outcome
	// Word names the result, such as Delivered, RateLimited, Timeout, ChannelNotFound, SecretMissing.
	Word string
	// Detail says what was wrong and what to do.
	Detail string
	// OnlyThis: what was refused is this message; others may be taken. Without it a refusal holds for the receiver.
	OnlyThis bool
	// RetryAfter is how long the receiver asked to wait, 0 if it did not.
	RetryAfter time.Duration
	// Head is the message as the receiver holds it now.
	Head Ref
	// PossibleDuplicate says why the receiver may hold a second copy; empty if it can't.
	PossibleDuplicate string
	// BodySHA256 is the hash of the body that was sent, for sinks that repeat bodies.
	BodySHA256 string
}

// Sink delivers to one receiver.
type Sink interface {
	// Send makes one attempt. It returns before the context's deadline.
	Send(ctx context.Context, msg Message) Result
	// Check looks, without sending anything that people see, whether the receiver has what it needs. Reason is empty when well, else a reason
	// of the condition ReceiversReady, with a message that says what to do.
	Check(ctx context.Context) (reason, message string)
}
