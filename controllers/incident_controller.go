package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/gather"
)

const (
	// keepClosed is how long a closed Incident is kept.
	keepClosed = 30 * 24 * time.Hour
	// maxClosed is how many closed Incidents of a KubeBot are kept.
	maxClosed = 2000
	// lookAgain bounds how long the next look waits.
	lookAgain = 6 * time.Hour

	removedByAge   = "age"
	removedByCount = "count"
)

// IncidentReconciler keeps the number of closed Incidents bounded. Open ones are never removed.
type IncidentReconciler struct {
	// Client deletes Incidents.
	Client client.Client
	// Caches hold the Incidents.
	Caches *gather.Caches
	// Served are the namespaces that are looked at.
	Served []string
	// Metrics count what was removed.
	Metrics *Metrics
	// Now is the clock.
	Now func() time.Time
}

// SetupWithManager makes the manager call the reconciler. A request names a KubeBot.
func (r *IncidentReconciler) SetupWithManager(mgr ctrl.Manager) error {
	skip := true
	c, err := controller.New("incident", mgr, controller.Options{Reconciler: r, SkipNameValidation: &skip})
	if err != nil {
		return fmt.Errorf("make the Incident controller: %w", err)
	}
	byKubeBot := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []reconcile.Request {
		in, ok := obj.(*v1alpha1.Incident)
		if !ok {
			return nil
		}
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: in.Namespace, Name: in.Spec.KubeBot}}}
	})
	for _, namespace := range r.Served {
		watch, err := r.Caches.Source(namespace, &v1alpha1.Incident{}, byKubeBot)
		if err != nil {
			return err
		}
		if err := c.Watch(watch); err != nil {
			return fmt.Errorf("watch Incidents in %s: %w", namespace, err)
		}
	}
	return nil
}

// Reconcile removes the closed Incidents of a KubeBot that are too old or too many.
func (r *IncidentReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	cached, err := r.Caches.In(req.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	list := &v1alpha1.IncidentList{}
	if err := cached.List(ctx, list, client.InNamespace(req.Namespace)); err != nil {
		return ctrl.Result{}, fmt.Errorf("list Incidents in %s: %w", req.Namespace, err)
	}
	mine := slices.DeleteFunc(list.Items, func(in v1alpha1.Incident) bool { return in.Spec.KubeBot != req.Name })
	expired, next := expire(mine, r.Now())
	for _, e := range expired {
		err := r.Client.Delete(ctx, e.incident, client.Preconditions{UID: &e.incident.UID, ResourceVersion: &e.incident.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, fmt.Errorf("remove Incident %s: %w", e.incident.Name, err)
		}
		r.Metrics.incidents.WithLabelValues(e.reason).Inc()
		ctrl.LoggerFrom(ctx).Info("Removed a closed Incident", "Incident", klog.KObj(e.incident), "reason", e.reason)
	}
	return ctrl.Result{RequeueAfter: next}, nil
}

// expiry is an Incident that is removed, and why.
type expiry struct {
	incident *v1alpha1.Incident
	reason   string
}

// expire returns the closed Incidents that are to be removed, the oldest first, and how long the next look may wait.
func expire(incidents []v1alpha1.Incident, now time.Time) ([]expiry, time.Duration) {
	var closed []*v1alpha1.Incident
	for i := range incidents {
		in := &incidents[i]
		if in.Status.State == v1alpha1.IncidentClosed && in.DeletionTimestamp == nil {
			closed = append(closed, in)
		}
	}
	slices.SortFunc(closed, func(a, b *v1alpha1.Incident) int {
		return cmp.Or(closedAt(a).Compare(closedAt(b)), cmp.Compare(a.Name, b.Name))
	})
	var out []expiry
	tooMany := len(closed) - maxClosed
	for i, in := range closed {
		left := closedAt(in).Add(keepClosed).Sub(now)
		switch {
		case left <= 0:
			out = append(out, expiry{in, removedByAge})
		case i < tooMany:
			out = append(out, expiry{in, removedByCount})
		default:
			return out, min(left, lookAgain)
		}
	}
	return out, lookAgain
}

// closedAt is when an Incident was closed; where that is not recorded, the last that is known of it.
func closedAt(in *v1alpha1.Incident) time.Time {
	switch {
	case in.Status.ClosedAt != nil:
		return in.Status.ClosedAt.Time
	case in.Status.ResolvedAt != nil:
		return in.Status.ResolvedAt.Time
	}
	return in.CreationTimestamp.Time
}
