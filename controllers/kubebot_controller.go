// Package controllers turns KubeBots into objects and a status, and keeps the number of Incidents bounded.
package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/apply"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/gather"
	"github.com/kubebot/kubebot/internal/status"
)

const (
	// observeReady is how often a KubeBot that is ready is looked at.
	observeReady = 30 * time.Second
	// observeUnready is how often one is looked at that is not.
	observeUnready = 5 * time.Second
	// observeStalled is how often one is looked at that deploys nothing; a change that ends that is watched.
	observeStalled = 5 * time.Minute
	// answerWithin is the deadline of the questions to the components.
	answerWithin = 3 * time.Second
	// tellAfter is how long a failure that may pass by itself, such as one of the network, is only logged. Then the status
	// tells it: it has lasted longer than a restart of the API server takes.
	tellAfter = time.Minute
	// soon is when a KubeBot is looked at again whose status was written by somebody else meanwhile.
	soon = time.Second
	// workers reconcile KubeBots at the same time, so that one that is asking does not hold up the others.
	workers = 4
)

// KubeBotReconciler makes the cluster have what a KubeBot says, and the KubeBot say what the cluster has.
type KubeBotReconciler struct {
	// Client reads KubeBots from the manager's cache and writes.
	Client client.Client
	// Direct reads from the API server.
	Direct client.Reader
	// Scheme knows the types that components build.
	Scheme *runtime.Scheme
	// Caches hold the managed objects.
	Caches *gather.Caches
	// Gatherer reads what components need.
	Gatherer *gather.Gatherer
	// Asker asks components.
	Asker gather.Asker
	// Components of the stack, in the order of the status.
	Components []component.Component
	// Served are the namespaces whose KubeBots are served.
	Served []string
	// Recorder writes events.
	Recorder events.EventRecorder
	// Metrics count what was done.
	Metrics *Metrics
	// Now is the clock.
	Now func() time.Time

	applier *apply.Applier
	pruner  *apply.Pruner
	watcher *watcher
	failing failures
}

// SetupWithManager makes the manager call the reconciler.
func (r *KubeBotReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.applier = apply.New(r.Caches, r.Client, r.Now)
	r.pruner = apply.NewPruner(r.Direct, r.Client, r.applier)
	skip := true
	c, err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.KubeBot{}, builder.WithPredicates(specChanged())).
		Watches(&v1alpha1.KubeBot{}, r.neighbours()).
		Named("kubebot").
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, SkipNameValidation: &skip}).
		Build(r)
	if err != nil {
		return fmt.Errorf("make the KubeBot controller: %w", err)
	}
	r.watcher = newWatcher(c, r.Caches)
	return mgr.Add(manager.RunnableFunc(r.sweepOrphans))
}

// neighbours reconciles every other KubeBot when one comes or goes: the oldest is the active one.
func (r *KubeBotReconciler) neighbours() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { r.enqueueOthers(ctx, e.Object, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { r.enqueueOthers(ctx, e.Object, q) },
	}
}

func (r *KubeBotReconciler) enqueueOthers(ctx context.Context, changed client.Object, q queue) {
	list := &v1alpha1.KubeBotList{}
	if err := r.Client.List(ctx, list); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Failed to list KubeBots")
		return
	}
	for i := range list.Items {
		if key := client.ObjectKeyFromObject(&list.Items[i]); key != client.ObjectKeyFromObject(changed) {
			q.Add(reconcile.Request{NamespacedName: key})
		}
	}
}

// specChanged leaves out the changes that KubeBot makes itself: status and finalizers.
func specChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return !e.ObjectNew.GetDeletionTimestamp().Equal(e.ObjectOld.GetDeletionTimestamp())
		},
		CreateFunc:  func(event.CreateEvent) bool { return true },
		DeleteFunc:  func(event.DeleteEvent) bool { return true },
		GenericFunc: func(event.GenericEvent) bool { return true },
	})
}

// Reconcile does one pass over a KubeBot.
func (r *KubeBotReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	kb := &v1alpha1.KubeBot{}
	if err := r.Client.Get(ctx, req.NamespacedName, kb); err != nil {
		if apierrors.IsNotFound(err) {
			r.Metrics.reset()
			r.failing.stands(req.NamespacedName, false, r.Now())
			return ctrl.Result{}, r.removeOutside(ctx, req.NamespacedName, nil)
		}
		return ctrl.Result{}, fmt.Errorf("get KubeBot %s: %w", req, err)
	}
	s := &scope{kb: kb, patcher: status.NewPatcher(r.Client, kb), previous: *kb.Status.DeepCopy()}

	if kb.DeletionTimestamp != nil {
		return r.reconcileDelete(ctx, s)
	}
	phases := []phase{r.admit, r.gather, r.build, r.record, r.apply, r.prune, r.observe, r.restart}
	if kb.Spec.Suspend {
		phases = []phase{r.admit, r.gather, r.build, r.observe}
	}
	for _, run := range phases {
		if s.err = run(ctx, s); s.err != nil {
			break
		}
	}
	return r.finish(ctx, s)
}

// finish writes the status, once, and says when to look again.
func (r *KubeBotReconciler) finish(ctx context.Context, s *scope) (ctrl.Result, error) {
	mayPass := s.err != nil && status.AsStall(s.err) == nil && status.AsWait(s.err) == nil && !lasting(s.err)
	if stands := r.failing.stands(client.ObjectKeyFromObject(s.kb), mayPass, r.Now()); mayPass && stands < tellAfter {
		return ctrl.Result{}, s.err
	}
	summary := summarize(s.seen(r.Now()))
	summary.DeepCopyInto(&s.kb.Status)
	write := s.patcher.Patch
	if s.err != nil {
		write = s.patcher.PatchFresh // what is kept was read from the cache, which may not have the last pass yet
	}
	wrote, err := write(ctx, s.kb)
	if apierrors.IsConflict(err) {
		if s.err != nil {
			ctrl.LoggerFrom(ctx).Info("A pass ended early, and the KubeBot was changed meanwhile", "reason", s.err.Error())
		}
		return ctrl.Result{RequeueAfter: soon}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if wrote {
		r.tell(s)
	}
	r.Metrics.observe(s.kb)
	return s.next()
}

// failures remembers since when the passes over each KubeBot fail.
type failures struct {
	mu    sync.Mutex
	since map[client.ObjectKey]time.Time
}

// stands takes how a pass ended, and returns for how long every pass has failed; 0 when this one did not.
func (f *failures) stands(key client.ObjectKey, failed bool, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !failed {
		delete(f.since, key)
		return 0
	}
	if f.since == nil {
		f.since = map[client.ObjectKey]time.Time{}
	}
	if f.since[key].IsZero() {
		f.since[key] = now
	}
	return now.Sub(f.since[key])
}

// tell writes an event for each transition.
func (r *KubeBotReconciler) tell(s *scope) {
	for _, n := range news(s.previous.Conditions, s.kb.Status.Conditions) {
		r.Recorder.Eventf(s.kb, nil, n.kind, n.reason, "Reconcile", "%s", status.Cut(n.message))
	}
}

// reconcileDelete removes what is outside the KubeBot's namespace; owner references take care of what is inside.
func (r *KubeBotReconciler) reconcileDelete(ctx context.Context, s *scope) (ctrl.Result, error) {
	key := client.ObjectKeyFromObject(s.kb)
	if err := r.removeOutside(ctx, key, apply.Outside(s.kb.Status.Inventory, s.kb.Namespace)); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.setFinalizer(ctx, s, false)
}

// removeOutside removes a KubeBot's objects outside its namespace: those in the inventory, and those that its labels
// find. A namespace of nodes that is gone, or going, takes its objects along and its roles, so nothing is left to do.
func (r *KubeBotReconciler) removeOutside(ctx context.Context, key client.ObjectKey, refs []v1alpha1.ObjectRef) error {
	namespace := r.Gatherer.Install.NodesNamespace
	if namespace == key.Namespace {
		return nil
	}
	err := r.pruner.Sweep(ctx, key, namespace, outsideKinds)
	for _, ref := range refs {
		if err == nil {
			_, err = r.pruneRef(ctx, key, ref, func(string) bool { return false })
		}
	}
	if err == nil {
		return nil
	}
	going, check := r.pruner.NamespaceGoing(ctx, namespace)
	if check == nil && going {
		return nil
	}
	return err
}

// sweepOrphans removes, when the manager starts to lead, what KubeBots left outside their namespaces that went while
// no manager ran.
func (r *KubeBotReconciler) sweepOrphans(ctx context.Context) error {
	log := ctrl.LoggerFrom(ctx)
	owners, err := r.pruner.Owners(ctx, r.Gatherer.Install.NodesNamespace, outsideKinds)
	if err != nil {
		log.Info("Skipped the search for objects of KubeBots that are gone", "reason", err.Error())
		return nil
	}
	for key := range owners {
		err := r.Direct.Get(ctx, key, &v1alpha1.KubeBot{})
		if !apierrors.IsNotFound(err) {
			continue
		}
		log.Info("Removing objects of a KubeBot that is gone", "KubeBot", klog.KRef(key.Namespace, key.Name))
		if err := r.removeOutside(ctx, key, nil); err != nil {
			log.Error(err, "Failed to remove objects of a KubeBot that is gone", "KubeBot", klog.KRef(key.Namespace, key.Name))
		}
	}
	return nil
}

// served tells whether a namespace is one of those that the chart was told to serve.
func (r *KubeBotReconciler) served(namespace string) bool {
	return slices.Contains(r.Served, namespace)
}
