package responder

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/naming"
)

// Times of the lease, those of the manager's: what only one replica does stands still for so long when that one dies.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// lease elects the replica that learns.
type lease struct {
	client          client.Client
	namespace, name string
	kubeBot         string
	owner           metav1.OwnerReference
	elector         *leaderelection.LeaderElector
	log             logr.Logger
	held            atomic.Bool
	began           atomic.Pointer[time.Time]
}

// newLease returns the Lease <kubebot>-responder as a replica of a name sees it.
func (p *process) newLease(direct client.Client, replica string) (*lease, error) {
	settings := rest.CopyConfig(p.REST)
	settings.Timeout = renewDeadline / 2
	leases, err := coordinationclient.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make the client of the lease: %w", err)
	}
	l := &lease{
		client: direct, namespace: p.config.Namespace, name: p.config.KubeBot + "-responder", kubeBot: p.config.KubeBot,
		owner: owner(p.config), log: p.Log.WithName("lease"),
	}
	l.elector, err = leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: l.name}, Client: leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: replica},
		},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true, Name: l.name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { l.held.Store(true) },
			OnStoppedLeading: func() { l.held.Store(false) },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make the lease: %w", err)
	}
	return l, nil
}

// Holds tells whether this replica holds the lease.
func (l *lease) Holds() bool { return l.held.Load() }

// Run takes part in the election until the context ends.
func (l *lease) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := l.make(ctx); err != nil && ctx.Err() == nil {
			l.log.Error(err, "Lease was not made")
		} else {
			l.elector.Run(ctx) // returns when the lease is lost
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryPeriod):
		}
	}
	return nil
}

// Began returns when the Lease was made, which the first replica of the KubeBot's first responder did; zero while that is not
// known.
func (l *lease) Began() time.Time {
	if at := l.began.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// make makes the Lease so that it goes with the KubeBot, unless it is there.
func (l *lease) make(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewDeadline)
	defer cancel()
	made := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: l.namespace, Name: l.name, OwnerReferences: []metav1.OwnerReference{l.owner},
		Labels: map[string]string{naming.LabelName: l.kubeBot, naming.LabelNamespace: l.namespace},
	}}
	err := l.client.Create(ctx, made)
	if apierrors.IsAlreadyExists(err) {
		err = l.client.Get(ctx, client.ObjectKeyFromObject(made), made)
	}
	if err != nil {
		return fmt.Errorf("make Lease %s: %w", l.name, err)
	}
	l.began.CompareAndSwap(nil, &made.CreationTimestamp.Time)
	return nil
}
