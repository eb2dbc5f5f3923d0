// Package store keeps what was learned in one ConfigMap, beside the KubeBot. Its name is fixed, so that the responder's
// role names it and gives no right on any other; the key names the KubeBot.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/naming"
)

// Name of the ConfigMap.
const Name = "kubebot-learned"

// Key of a KubeBot's document in the ConfigMap's data.
func Key(kubeBot string) string { return kubeBot + ".json" }

// maxConflicts is how often a change starts again because another writer was faster.
const maxConflicts = 10

// ErrNotHolder is the error of a replica that wants to write and does not hold the lease.
var ErrNotHolder = errors.New("another replica holds the lease and writes what is learned")

// ErrUnreadable is part of the error for a document that is there and can't be read.
var ErrUnreadable = errors.New("the document can't be read")

// Client is the part of a client that is needed: a ConfigMap is read, made and updated.
type Client interface {
	Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
	Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error
}

// Holder tells whether this process may write: the responder's replica that holds the lease.
type Holder interface{ Holds() bool }

// Store reads and writes the state of one KubeBot. Readers that must not see an old state need a client without a cache.
type Store struct {
	Client    Client
	Namespace string
	KubeBot   string
	// Owner is put on the ConfigMap, so that it goes with the KubeBot; it must not be a controller. Nil for none.
	Owner *metav1.OwnerReference
}

// Load reads the state; without a ConfigMap that is the state that knows nothing. A document that can't be read is an
// error: nothing is learned over it, until a person resets or mends it.
func (s Store) Load(ctx context.Context) (learn.State, error) {
	_, state, err := s.read(ctx)
	return state, err
}

// Learn adds judgements, in one write, and returns the new state. Where nothing changes nothing is written. It fails with
// ErrNotHolder where this process does not hold the lease.
func (s Store) Learn(ctx context.Context, holder Holder, feedback []learn.Feedback) (learn.State, error) {
	if !holder.Holds() {
		return learn.State{}, ErrNotHolder
	}
	return s.Change(ctx, func(state learn.State) (learn.State, bool, error) {
		changed := false
		for _, f := range feedback {
			next, learned := state.Learn(f)
			state, changed = next, changed || learned
		}
		return state, changed, nil
	})
}

// Change reads the state, lets change make another of it, and writes that if change says so and nobody wrote in
// between; else it starts again. It returns the state that is stored afterwards. People's commands change it so too,
// whoever holds the lease.
func (s Store) Change(ctx context.Context, change func(learn.State) (learn.State, bool, error)) (learn.State, error) {
	for range maxConflicts {
		object, state, err := s.read(ctx)
		if err != nil {
			return learn.State{}, err
		}
		next, changed, err := change(state)
		if err != nil || !changed {
			return state, err
		}
		err = s.write(ctx, object, next)
		if err == nil {
			return next, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return learn.State{}, err
		}
	}
	return learn.State{}, fmt.Errorf("write ConfigMap %s: others wrote it %d times in a row", Name, maxConflicts)
}

// Replace writes a state over whatever is there, even if that can't be read. It gets a revision above the stored one.
func (s Store) Replace(ctx context.Context, state learn.State) (learn.State, error) {
	for range maxConflicts {
		object, stored, err := s.read(ctx)
		if err != nil && object == nil {
			return learn.State{}, err
		}
		state.Revision = max(state.Revision, stored.Revision) + 1
		err = s.write(ctx, object, state)
		if err == nil {
			return state, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return learn.State{}, err
		}
	}
	return learn.State{}, fmt.Errorf("write ConfigMap %s: others wrote it %d times in a row", Name, maxConflicts)
}

// read returns the ConfigMap, without a resource version where there is none yet, and the state in it. Where the state
// can't be read, the ConfigMap comes with the error.
func (s Store) read(ctx context.Context) (*corev1.ConfigMap, learn.State, error) {
	object := &corev1.ConfigMap{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: Name}, object)
	if apierrors.IsNotFound(err) {
		return s.empty(), learn.State{Version: learn.Version}, nil
	}
	if err != nil {
		return nil, learn.State{}, fmt.Errorf("read ConfigMap %s: %w", Name, err)
	}
	text, ok := object.Data[Key(s.KubeBot)]
	if !ok {
		return object, learn.State{Version: learn.Version}, nil
	}
	state, err := learn.Parse([]byte(text))
	if err != nil {
		return object, learn.State{}, fmt.Errorf("ConfigMap %s, key %s: %w: %w", Name, Key(s.KubeBot), ErrUnreadable, err)
	}
	return object, state, nil
}

func (s Store) empty() *corev1.ConfigMap {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: Name, Namespace: s.Namespace,
		Labels: map[string]string{naming.LabelName: s.KubeBot, naming.LabelNamespace: s.Namespace},
	}}
	return object
}

// own makes the ConfigMap go with its last KubeBot.
func (s Store) own(object *corev1.ConfigMap) {
	if s.Owner == nil || slices.ContainsFunc(object.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == s.Owner.UID }) {
		return
	}
	object.OwnerReferences = append(object.OwnerReferences, *s.Owner)
}

func (s Store) write(ctx context.Context, object *corev1.ConfigMap, state learn.State) error {
	text, err := state.Encode()
	if err != nil {
		return err
	}
	if object.Data == nil {
		object.Data = map[string]string{}
	}
	object.Data[Key(s.KubeBot)] = string(text)
	s.own(object)
	if object.ResourceVersion == "" {
		err = s.Client.Create(ctx, object)
	} else {
		err = s.Client.Update(ctx, object)
	}
	if err != nil {
		return fmt.Errorf("write ConfigMap %s: %w", object.Name, err)
	}
	return nil
}
