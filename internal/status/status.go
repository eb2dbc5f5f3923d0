// Package status holds what every status of KubeBot's resources has in common: conditions that keep their transition
// times, a patcher that writes only what changed, and the errors that say how a reconciliation ended.
package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/truncate"
)

// MaxMessage is the length in bytes to which a condition's message is cut.
const MaxMessage = 1024

// StallError means that nothing goes on until a person acts.
type StallError struct {
	// Reason is one of the condition reasons of the API.
	Reason string
	// Message says what is wrong and what to do.
	Message string
}

// Error implements error.
func (e *StallError) Error() string { return e.Reason + ": " + e.Message }

// WaitError means that the next try comes after a while, without counting as a failure.
type WaitError struct {
	// After is how long to wait.
	After time.Duration
	// Message says what is waited for.
	Message string
}

// Error implements error.
func (e *WaitError) Error() string { return e.Message }

// AsStall returns the StallError in err, or nil.
func AsStall(err error) *StallError {
	var stall *StallError
	if errors.As(err, &stall) {
		return stall
	}
	return nil
}

// AsWait returns the WaitError in err, or nil.
func AsWait(err error) *WaitError {
	var wait *WaitError
	if errors.As(err, &wait) {
		return wait
	}
	return nil
}

// Conditions returns wanted with the transition time of each condition taken from had where its status is the same,
// and set to now where it is not. The order is that of wanted.
func Conditions(had, wanted []metav1.Condition, generation int64, now time.Time) []metav1.Condition {
	out := make([]metav1.Condition, 0, len(wanted))
	for _, c := range wanted {
		c.ObservedGeneration = generation
		c.Message = Cut(c.Message)
		c.LastTransitionTime = metav1.NewTime(now)
		if old := meta.FindStatusCondition(had, c.Type); old != nil && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		out = append(out, c)
	}
	return out
}

// Cut shortens a message to MaxMessage bytes without splitting a character.
func Cut(message string) string {
	if len(message) <= MaxMessage {
		return message
	}
	return truncate.Ellipsis(message, MaxMessage-len("…"))
}

// Patcher writes the status of a KubeBot, and only what changed since the last write.
type Patcher struct {
	writer client.StatusClient
	base   *v1alpha1.KubeBot
}

// NewPatcher returns a Patcher that takes kb as what the API server holds.
func NewPatcher(writer client.StatusClient, kb *v1alpha1.KubeBot) *Patcher {
	return &Patcher{writer: writer, base: kb.DeepCopy()}
}

// Patch writes kb's status if it differs from what was written last, and tells whether it wrote. A KubeBot that is
// gone is no error.
func (p *Patcher) Patch(ctx context.Context, kb *v1alpha1.KubeBot) (bool, error) {
	return p.patch(ctx, kb, client.MergeFrom(p.base))
}

// PatchFresh does what Patch does, but if the KubeBot was changed since it was read, it writes nothing and gives a
// conflict: for a status that repeats what was read.
func (p *Patcher) PatchFresh(ctx context.Context, kb *v1alpha1.KubeBot) (bool, error) {
	return p.patch(ctx, kb, client.MergeFromWithOptions(p.base, client.MergeFromWithOptimisticLock{}))
}

// Moved takes the version of the KubeBot that an own write of something else has made.
func (p *Patcher) Moved(resourceVersion string) { p.base.ResourceVersion = resourceVersion }

func (p *Patcher) patch(ctx context.Context, kb *v1alpha1.KubeBot, patch client.Patch) (bool, error) {
	if equality.Semantic.DeepEqual(p.base.Status, kb.Status) {
		return false, nil
	}
	wanted := p.base.DeepCopy()
	kb.Status.DeepCopyInto(&wanted.Status)
	err := p.writer.Status().Patch(ctx, wanted, patch)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("patch status of KubeBot %s/%s: %w", kb.Namespace, kb.Name, err)
	}
	kb.Status.DeepCopyInto(&p.base.Status)
	p.base.ResourceVersion = wanted.ResourceVersion
	return err == nil, nil
}
