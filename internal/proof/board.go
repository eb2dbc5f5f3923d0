package proof

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/naming"
)

const (
	// holdFor is how long a replica that says nothing more stays the one that proves.
	holdFor = 30 * time.Second
	// renewEvery is how often it says so, and the others read what it found.
	renewEvery = 10 * time.Second
	// annotationProven and a signal's name is the annotation of the Lease with the time of the signal's last proof, a
	// space and its path.
	annotationProven = "kubebot.io/proven-"
)

// Board is the Lease <kubebot>-proof: who proves, and when each signal was last proven.
type Board struct {
	// Client reads and writes Leases without a cache.
	Client client.Client
	// KubeBot and Namespace name the KubeBot, UID is its UID.
	KubeBot, Namespace, UID string
	Replica                 string
	// Paths of the signals that are proven, by signal: any text without a space that is another when the path is. What is
	// known of other signals and of other paths is forgotten.
	Paths map[string]string
	Now   func() time.Time

	mu    sync.Mutex
	known map[string]time.Time
}

// Known returns when each signal was last proven, by any replica.
func (b *Board) Known() map[string]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.known)
}

// Proven takes what this replica has proven; Hold writes it.
func (b *Board) Proven(signal string, at time.Time) {
	b.merge(map[string]time.Time{signal: at})
}

func (b *Board) merge(times map[string]time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string]time.Time{}
	}
	for signal := range b.Paths {
		if t := times[signal]; t.After(b.known[signal]) {
			b.known[signal] = t
		}
	}
}

// Hold tells whether this replica is the one to prove: because it was, or because the one that was is silent. On the
// way it shares what is known.
func (b *Board) Hold(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	lease, err := b.read(ctx)
	if err != nil {
		return false, err
	}
	b.merge(b.times(lease))
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" && *holder != b.Replica &&
		lease.Spec.RenewTime != nil && b.Now().Sub(lease.Spec.RenewTime.Time) < holdFor {
		return false, nil
	}
	return b.write(ctx, lease, b.Replica)
}

// release lets another replica take over at once.
func (b *Board) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if lease, err := b.read(ctx); err == nil && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity == b.Replica {
		_, _ = b.write(ctx, lease, "") // else the others wait for the end of the hold
	}
}

func (b *Board) name() string { return b.KubeBot + "-proof" }

func (b *Board) read(ctx context.Context) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	err := b.Client.Get(ctx, client.ObjectKey{Namespace: b.Namespace, Name: b.name()}, lease)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read Lease %s: %w", b.name(), err)
	}
	return lease, nil
}

// write stores who proves and what is known, and tells whether another replica was not faster.
func (b *Board) write(ctx context.Context, lease *coordinationv1.Lease, holder string) (bool, error) {
	now := metav1.NewMicroTime(b.Now().Truncate(time.Microsecond))
	seconds := int32(holdFor.Seconds())
	lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &now, LeaseDurationSeconds: &seconds}
	maps.DeleteFunc(lease.Annotations, func(key, _ string) bool { return strings.HasPrefix(key, annotationProven) })
	for signal, t := range b.Known() {
		metav1.SetMetaDataAnnotation(&lease.ObjectMeta, annotationProven+signal, t.UTC().Format(time.RFC3339)+" "+b.Paths[signal])
	}
	var err error
	if lease.ResourceVersion == "" {
		b.own(lease)
		err = b.Client.Create(ctx, lease)
	} else {
		err = b.Client.Update(ctx, lease)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("write Lease %s: %w", b.name(), err)
	}
	return true, nil
}

func (b *Board) own(lease *coordinationv1.Lease) {
	lease.Namespace, lease.Name = b.Namespace, b.name()
	lease.Labels = map[string]string{naming.LabelName: b.KubeBot, naming.LabelNamespace: b.Namespace}
	lease.OwnerReferences = []metav1.OwnerReference{naming.Controller(b.KubeBot, b.UID)}
}

// times reads when signals were proven on the paths that they have now.
func (b *Board) times(lease *coordinationv1.Lease) map[string]time.Time {
	found := map[string]time.Time{}
	for signal, path := range b.Paths {
		at, on, _ := strings.Cut(lease.Annotations[annotationProven+signal], " ")
		if t, err := time.Parse(time.RFC3339, at); err == nil && on == path {
			found[signal] = t
		}
	}
	return found
}
