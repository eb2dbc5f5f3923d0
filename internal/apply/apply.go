package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/status"
)

// Result is what Apply did.
type Result string

// Results of Apply.
const (
	// Unchanged: the live object is as wanted; nothing was written.
	Unchanged Result = "unchanged"
	// Created: the object did not exist.
	Created Result = "created"
	// Configured: the object differed.
	Configured Result = "configured"
)

// settle is how long a cached object that has not changed since a write counts as not yet caught up with it.
const settle = 5 * time.Second

// Reader reads the live state of managed objects.
type Reader interface {
	// Object returns the object of a kind, or an error for which apierrors.IsNotFound holds. It may come from a cache.
	Object(ctx context.Context, gvk schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error)
}

// Applier applies the objects of KubeBots.
type Applier struct {
	reader Reader
	writer client.Client
	now    func() time.Time

	mu   sync.Mutex
	done map[objectKey]write
}

type objectKey struct {
	kind schema.GroupVersionKind
	client.ObjectKey
}

// write remembers what was applied last, so that neither a cache that lags nor a value that the API server writes in
// another form leads to the same write again.
type write struct {
	hash    string
	fields  string
	before  string
	instant time.Time
	// answer is the object as the API server answered, until the cache has caught up.
	answer *unstructured.Unstructured
}

// New returns an Applier that reads live objects with reader and writes with writer.
func New(reader Reader, writer client.Client, now func() time.Time) *Applier {
	return &Applier{reader: reader, writer: writer, now: now, done: map[objectKey]write{}}
}

// Apply makes the live object have every field of desired, which Desired made, and writes only if it has not. It
// takes over fields that others have set. A WaitError means that a predecessor of the object is being removed, a TakenError
// that the object is not the KubeBot's.
func (a *Applier) Apply(ctx context.Context, kb *v1alpha1.KubeBot, desired *unstructured.Unstructured) (Result, error) {
	gvk := desired.GroupVersionKind()
	key := objectKey{gvk, client.ObjectKeyFromObject(desired)}
	hash, err := naming.Hash(desired.Object)
	if err != nil {
		return "", err
	}
	live, err := a.reader.Object(ctx, gvk, key.ObjectKey)
	if apierrors.IsNotFound(err) {
		live, err = nil, nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s %s: %w", gvk.Kind, key.ObjectKey, err)
	}
	if live != nil {
		if err := claimable(kb, live); err != nil {
			return "", err
		}
	}
	if a.settled(key, hash, desired, live) {
		return Unchanged, nil
	}
	return a.write(ctx, key, hash, desired, live)
}

func (a *Applier) write(ctx context.Context, key objectKey, hash string, desired, live *unstructured.Unstructured) (Result, error) {
	applied := desired.DeepCopy()
	err := a.writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied),
		client.FieldOwner(naming.FieldManager), client.ForceOwnership)
	if replaceable(err, desired, live) {
		return "", a.replace(ctx, key, live)
	}
	if err != nil {
		return "", fmt.Errorf("apply %s %s: %w", key.kind.Kind, key.ObjectKey, err)
	}
	a.remember(key, write{hash: hash, fields: ownFields(applied), before: version(live), instant: a.now(), answer: applied})
	if live == nil {
		return Created, nil
	}
	return Configured, nil
}

// Object implements Reader with the cache's object or, where the cache does not have the last write yet, with what the API
// server answered to it: otherwise a workload would look as if it had been rolled out before that begins.
func (a *Applier) Object(ctx context.Context, gvk schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	live, err := a.reader.Object(ctx, gvk, key)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	seen := live
	if err != nil {
		seen = nil
	}
	a.mu.Lock()
	last := a.done[objectKey{gvk, key}]
	a.mu.Unlock()
	if last.answer != nil && a.ahead(last, seen) {
		return last.answer.DeepCopy(), nil
	}
	return live, err
}

// ahead tells whether the cache does not have a write yet.
func (a *Applier) ahead(last write, live *unstructured.Unstructured) bool {
	return !last.instant.IsZero() && last.before == version(live) && a.now().Sub(last.instant) < settle
}

// settled tells that nothing needs to be written.
func (a *Applier) settled(key objectKey, hash string, desired, live *unstructured.Unstructured) bool {
	a.mu.Lock()
	last, known := a.done[key]
	a.mu.Unlock()
	known = known && last.hash == hash
	if known && !last.instant.IsZero() {
		if a.ahead(last, live) {
			return true
		}
		last.instant, last.answer = time.Time{}, nil // the cache has caught up: what differs from now on is drift
		a.remember(key, last)
	}
	if live == nil {
		return false
	}
	if !Drifted(desired, live) {
		return true
	}
	// The API server answered the same apply with just these fields. Anybody who changes the value of one of them
	// takes it away from KubeBot, so none has changed.
	return known && last.fields != "" && last.fields == ownFields(live)
}

func (a *Applier) remember(key objectKey, w write) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done[key] = w
}

func (a *Applier) forget(key objectKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.done, key)
}

func version(live *unstructured.Unstructured) string {
	if live == nil {
		return ""
	}
	return live.GetResourceVersion()
}

func ownFields(live *unstructured.Unstructured) string {
	if entry := ownEntry(live); entry != nil {
		return string(live.GetUID()) + entry.FieldsV1.GetRawString()
	}
	return ""
}

// TakenError means that an object of the wanted name belongs to somebody else, until a person acts.
type TakenError struct {
	// Message says which object, whose it is, and what to do.
	Message string
}

// Error implements error.
func (e *TakenError) Error() string { return e.Message }

// AsTaken returns the TakenError in err, or nil.
func AsTaken(err error) *TakenError {
	var taken *TakenError
	if errors.As(err, &taken) {
		return taken
	}
	return nil
}

// claimable refuses, with a TakenError, an object that another KubeBot or another controller owns.
func claimable(kb *v1alpha1.KubeBot, live *unstructured.Unstructured) error {
	what := fmt.Sprintf("%s %s/%s", live.GetKind(), live.GetNamespace(), live.GetName())
	if live.GetDeletionTimestamp() != nil {
		return &status.WaitError{After: time.Second, Message: what + " is being removed; it is made anew when it is gone"}
	}
	if owner := metav1.GetControllerOf(live); owner != nil && owner.UID != kb.UID {
		if owner.Kind == "KubeBot" && owner.Name == kb.Name && live.GetNamespace() == kb.Namespace {
			return &status.WaitError{After: time.Second, Message: what + " of an earlier KubeBot of this name is being removed"}
		}
		return &TakenError{fmt.Sprintf("%s belongs to %s %s: rename the KubeBot or remove that object", what, owner.Kind, owner.Name)}
	}
	labels := live.GetLabels()
	name, namespace := labels[naming.LabelName], labels[naming.LabelNamespace]
	if name != "" && (name != kb.Name || namespace != kb.Namespace) {
		return &TakenError{fmt.Sprintf("%s belongs to KubeBot %s/%s: rename one of the two KubeBots", what, namespace, name)}
	}
	return nil
}

// Message says an error without what differs from try to try, such as ports of broken connections.
func Message(err error) string {
	var answer apierrors.APIStatus
	if wait := status.AsWait(err); wait != nil {
		return wait.Message
	}
	if errors.As(err, &answer) && answer.Status().Reason != metav1.StatusReasonUnknown {
		return err.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "the API server did not answer in time"
	}
	var unreachable interface{ Timeout() bool }
	if errors.As(err, &unreachable) {
		return "the API server can't be reached"
	}
	return err.Error()
}
