package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/apply"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/gather"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/status"
)

// outsideKinds are the kinds of node agents: what KubeBots may have outside their namespaces.
var outsideKinds = []schema.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "DaemonSet"},
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "Service"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
}

// phase is one step of a pass. It sets facts in the scope; an error ends the pass. What concerns one component alone
// is a fact of its part and no error.
type phase func(ctx context.Context, s *scope) error

// scope is all that one pass knows.
type scope struct {
	kb       *v1alpha1.KubeBot
	patcher  *status.Patcher
	previous v1alpha1.KubeBotStatus
	input    component.Input
	secret   *unstructured.Unstructured
	claims   []corev1.PersistentVolumeClaim
	parts    []*part
	volumes  []metav1.Condition
	changed  bool
	pruneErr error
	err      error
}

// part is what one pass knows of a component.
type part struct {
	component component.Component
	built     []client.Object
	desired   []*unstructured.Unstructured
	missing   []schema.GroupVersionKind
	err       error
	observed  component.Observed
	health    component.Health
}

// inventory returns an entry for every object that is wanted.
func (s *scope) inventory() []v1alpha1.ObjectRef {
	var refs []v1alpha1.ObjectRef
	if s.secret != nil {
		refs = append(refs, apply.Ref(s.secret.GroupVersionKind(), s.secret))
	}
	for _, p := range s.parts {
		for _, u := range p.desired {
			refs = append(refs, apply.Ref(u.GroupVersionKind(), u))
		}
	}
	return apply.Union(nil, refs)
}

// admit stalls a KubeBot that must not deploy anything.
func (r *KubeBotReconciler) admit(ctx context.Context, s *scope) error {
	if !r.served(s.kb.Namespace) {
		if err := r.leave(ctx, s); err != nil {
			return err
		}
		return &status.StallError{Reason: v1alpha1.ReasonNamespaceNotServed, Message: fmt.Sprintf(
			"Namespace %s is not served: add it to the value namespaces of the chart (helm upgrade --reset-then-reuse-values --set "+
				"'namespaces={%s}'), or move the KubeBot to one of: %s",
			s.kb.Namespace, strings.Join(append(slices.Clone(r.Served), s.kb.Namespace), ","), strings.Join(r.Served, ", "))}
	}
	list := &v1alpha1.KubeBotList{}
	if err := r.Client.List(ctx, list); err != nil {
		return fmt.Errorf("list KubeBots: %w", err)
	}
	holder := oldest(list.Items, r.served)
	if holder == nil || holder.UID == s.kb.UID {
		return nil
	}
	if err := r.prune(ctx, s); err != nil {
		return err
	}
	return &status.StallError{Reason: v1alpha1.ReasonClusterScopeTaken, Message: fmt.Sprintf(
		"KubeBot %s/%s is older and active in this cluster; this one deploys nothing and takes over when that one is deleted",
		holder.Namespace, holder.Name)}
}

// leave removes what a KubeBot has outside its namespace, which is no longer served, and its finalizer: the next KubeBot's
// node agents need the ports of its own, and a later manager may know nothing of it. What is inside goes with the KubeBot.
func (r *KubeBotReconciler) leave(ctx context.Context, s *scope) error {
	kb := s.kb
	outside := apply.Outside(kb.Status.Inventory, kb.Namespace)
	if len(outside) == 0 && !controllerutil.ContainsFinalizer(kb, naming.Finalizer) {
		return nil
	}
	if err := r.removeOutside(ctx, client.ObjectKeyFromObject(kb), outside); err != nil {
		return err
	}
	kb.Status.Inventory = apply.Without(kb.Status.Inventory, outside)
	return r.setFinalizer(ctx, s, false)
}

// oldest returns the KubeBot that is active: of those that are served the first made, then the first by name.
func oldest(items []v1alpha1.KubeBot, served func(string) bool) *v1alpha1.KubeBot {
	var first *v1alpha1.KubeBot
	for i := range items {
		kb := &items[i]
		if served(kb.Namespace) && (first == nil || older(kb, first) < 0) {
			first = kb
		}
	}
	return first
}

func older(a, b *v1alpha1.KubeBot) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name))
}

// gather reads what components need, and decides on the generated Secret.
func (r *KubeBotReconciler) gather(ctx context.Context, s *scope) error {
	var err error
	if s.input, err = r.Gatherer.Input(ctx, s.kb); err != nil {
		return err
	}
	if err := r.watcher.forgetMissing(ctx, s.input.Cluster.Kinds); err != nil {
		return err
	}
	if s.input.Trials, err = r.Caches.Trials(ctx, s.kb, r.Now()); err != nil {
		return err
	}
	if s.claims, err = r.pruner.ListClaims(ctx, s.kb); err != nil {
		return err
	}
	s.input.Capacity = apply.Capacity(s.kb, s.claims)
	if s.kb.Spec.Suspend {
		return nil
	}
	host := endpoints.ResponderHost(s.kb)
	data, step, err := credentials.Next(s.input.Credentials, []string{host, host + ".cluster.local"}, r.Now())
	if err != nil {
		return fmt.Errorf("make credentials: %w", err)
	}
	s.input.Credentials = data
	s.secret, err = apply.Desired(s.kb, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: naming.Object(s.kb, credentials.SecretSuffix), Namespace: s.kb.Namespace,
			Labels: naming.Labels(s.kb, credentials.SecretSuffix),
		},
		Type: corev1.SecretTypeOpaque,
		Data: data,
	}, r.Scheme, "")
	if err == nil && step != credentials.StepNone {
		r.Metrics.credentials(step)
		ctrl.LoggerFrom(ctx).Info("Renewing the generated credentials", "step", step)
	}
	return err
}

// build asks each component for its objects.
func (r *KubeBotReconciler) build(ctx context.Context, s *scope) error {
	namespaceUID, err := r.Gatherer.NamespaceUID(ctx, s.kb.Namespace)
	if err != nil {
		return err
	}
	for _, c := range r.Components {
		p := &part{component: c}
		s.parts = append(s.parts, p)
		objects, err := c.Build(s.input)
		if err != nil {
			p.err = fmt.Errorf("build %s: %w", c.Name(), err)
			continue
		}
		if err := r.take(s, p, objects, namespaceUID); err != nil {
			p.err, p.built, p.desired = fmt.Errorf("build %s: %w", c.Name(), err), nil, nil
		}
	}
	return nil
}

// take sorts the objects of a component: what the cluster can hold, and what it has no kind for.
func (r *KubeBotReconciler) take(s *scope, p *part, objects []client.Object, namespaceUID string) error {
	for _, obj := range objects {
		u, err := apply.Desired(s.kb, obj, r.Scheme, namespaceUID)
		if err != nil {
			return err
		}
		gvk := u.GroupVersionKind()
		if s.input.Cluster.Kinds[gvk] {
			p.built, p.desired = append(p.built, obj), append(p.desired, u)
		} else if !slices.Contains(p.missing, gvk) {
			p.missing = append(p.missing, gvk)
		}
	}
	return nil
}

// record writes what will be applied into the inventory, and the finalizer, before it is applied.
func (r *KubeBotReconciler) record(ctx context.Context, s *scope) error {
	s.kb.Status.Inventory = apply.Union(s.kb.Status.Inventory, s.inventory())
	if len(apply.Outside(s.kb.Status.Inventory, s.kb.Namespace)) > 0 && r.finalizes(s.kb) {
		if err := r.setFinalizer(ctx, s, true); err != nil {
			return err
		}
	}
	_, err := s.patcher.Patch(ctx, s.kb)
	return err
}

// finalizes tells whether a KubeBot gets the finalizer. In the manager's own namespace it does not: when that namespace
// is deleted the manager goes with it, and nobody would be left to take the finalizer off. There, objects outside go
// with the namespace, which owns them, or by their labels when the manager sees that the KubeBot is gone.
func (r *KubeBotReconciler) finalizes(kb *v1alpha1.KubeBot) bool {
	return kb.Namespace != r.Gatherer.Install.ReleaseNamespace
}

func (r *KubeBotReconciler) setFinalizer(ctx context.Context, s *scope, want bool) error {
	kb := s.kb
	wanted := kb.DeepCopy()
	changed := false
	if want {
		changed = controllerutil.AddFinalizer(wanted, naming.Finalizer)
	} else {
		changed = controllerutil.RemoveFinalizer(wanted, naming.Finalizer)
	}
	if !changed {
		return nil
	}
	err := r.Client.Patch(ctx, wanted, client.MergeFromWithOptions(kb, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("change the finalizers of KubeBot %s/%s: %w", kb.Namespace, kb.Name, err)
	}
	kb.Finalizers, kb.ResourceVersion = wanted.Finalizers, wanted.ResourceVersion
	s.patcher.Moved(wanted.ResourceVersion)
	return nil
}

// apply writes what differs.
func (r *KubeBotReconciler) apply(ctx context.Context, s *scope) error {
	result, err := r.applier.Apply(ctx, s.kb, s.secret)
	r.Metrics.applied(result, err)
	if err != nil {
		return err
	}
	for _, p := range s.parts {
		for _, u := range p.desired {
			err := r.applyOne(ctx, s, u)
			if err != nil && u.GroupVersionKind() == component.InstrumentationKind && isAPIError(err) {
				// What is somebody else's, and not needed, keeps nothing from being ready. Each pass tries again.
				ctrl.LoggerFrom(ctx).Info("The OpenTelemetry Operator does not take the Instrumentation", "reason", err.Error())
				continue
			}
			if err != nil && (p.err == nil || status.AsWait(p.err) != nil) {
				p.err = err
			}
			if p.err != nil && !isAPIError(p.err) {
				break
			}
		}
		if p.err != nil && status.AsWait(p.err) == nil && asInvalid(p.err) == nil {
			ctrl.LoggerFrom(ctx).Error(p.err, "Failed to apply a component", "component", p.component.Name())
		}
	}
	return nil
}

func (r *KubeBotReconciler) applyOne(ctx context.Context, s *scope, u *unstructured.Unstructured) error {
	if err := r.watcher.kind(u.GroupVersionKind(), u.GetNamespace()); err != nil {
		return err
	}
	result, err := r.applier.Apply(ctx, s.kb, u)
	r.Metrics.applied(result, err)
	if result == apply.Created || result == apply.Configured {
		s.changed = true
		ctrl.LoggerFrom(ctx).Info("Applied an object", "kind", u.GetKind(), "object", client.ObjectKeyFromObject(u), "result", result)
	}
	return err
}

// prune removes what the inventory names and no component wants any more. What belongs to a component that could not
// be built, configuration that pods still mount, without which they could not restart a container, what is of a kind that
// the API server does not list, and what could not be removed, stays in the inventory.
func (r *KubeBotReconciler) prune(ctx context.Context, s *scope) error {
	wanted := s.inventory()
	failed := map[string]bool{}
	for _, p := range s.parts {
		failed[p.component.Name()] = p.err != nil
	}
	left := slices.Clone(wanted)
	mounted, err := r.Caches.Mounted(ctx, s.kb, r.podNamespaces(s.kb)...)
	s.pruneErr = errors.Join(s.pruneErr, err)
	for _, ref := range apply.Without(s.kb.Status.Inventory, wanted) {
		if ref.Kind == "ConfigMap" && (err != nil || mounted[client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}]) {
			left = append(left, ref)
			continue
		}
		// An API server that has just started serves resources before it lists them; that nobody wants one of these means nothing.
		unlisted := s.parts != nil && !s.input.Cluster.Kinds[apply.Kind(ref)]
		done, err := r.pruneRef(ctx, client.ObjectKeyFromObject(s.kb), ref, func(name string) bool { return unlisted || failed[name] })
		r.Metrics.pruned(done, err)
		s.pruneErr = errors.Join(s.pruneErr, err)
		s.changed = s.changed || done
		if !done || err != nil {
			left = append(left, ref)
		}
	}
	s.kb.Status.Inventory = apply.Union(nil, left)
	if len(apply.Outside(left, s.kb.Namespace)) == 0 {
		if err := r.setFinalizer(ctx, s, false); err != nil {
			return err
		}
	}
	if s.parts != nil {
		s.pruneErr = errors.Join(s.pruneErr, r.pruner.Claims(ctx, s.kb, s.claims))
	}
	return nil
}

// pruneRef removes one object by its inventory entry. In a namespace that was that of the node agents once the manager has
// no rights any more, not even to see that it is gone: the entry is forgotten. The namespace was the chart's and is removed
// by it, and what is in it belongs to the KubeBot's namespace and goes with that at the latest.
func (r *KubeBotReconciler) pruneRef(ctx context.Context, owner client.ObjectKey, ref v1alpha1.ObjectRef, keep func(string) bool) (bool, error) {
	done, err := r.pruner.Prune(ctx, owner, ref, keep)
	if apierrors.IsForbidden(err) && ref.Namespace != owner.Namespace && ref.Namespace != r.Gatherer.Install.NodesNamespace {
		return true, nil
	}
	return done, err
}

// observe sees what became of each component, all at the same time, and then judges each.
func (r *KubeBotReconciler) observe(ctx context.Context, s *scope) error {
	for _, namespace := range r.podNamespaces(s.kb) {
		if err := r.watcher.pods(namespace); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	for _, p := range s.parts {
		if p.err == nil && len(p.missing) == 0 {
			p.observed.Now = r.Now()
			wg.Go(func() { p.err = r.look(ctx, s, p) })
		}
	}
	wg.Wait()
	s.volumes = r.pruner.Undersized(s.kb, s.claims)
	for _, p := range s.parts {
		if p.err == nil && len(p.missing) == 0 {
			p.health = p.component.Health(s.input, p.observed)
		}
	}
	return nil
}

// restart gives new pods to what runs and no longer works.
func (r *KubeBotReconciler) restart(ctx context.Context, s *scope) error {
	for _, p := range s.parts {
		for _, wanted := range p.health.Restarts {
			done, err := r.applier.Restart(ctx, s.kb, wanted)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Failed to restart a Deployment", "deployment", wanted.Deployment)
				continue
			}
			if done {
				ctrl.LoggerFrom(ctx).Info("Restarted a Deployment", "deployment", wanted.Deployment, "why", wanted.Why)
				r.Recorder.Eventf(s.kb, nil, corev1.EventTypeWarning, v1alpha1.ReasonRestarted, "Restart",
					"Deployment %s was restarted: %s", wanted.Deployment, wanted.Why)
			}
		}
	}
	return nil
}

func (r *KubeBotReconciler) look(ctx context.Context, s *scope, p *part) error {
	seen := &p.observed
	if previous := meta.FindStatusCondition(s.previous.Conditions, p.component.ConditionType()); previous != nil {
		seen.Previous = previous.DeepCopy()
	}
	var err error
	if seen.Objects, err = gather.Objects(ctx, r.applier, p.built, p.desired); err != nil {
		return err
	}
	if seen.Pods, err = r.Caches.Pods(ctx, s.kb, p.component.Name(), r.podNamespaces(s.kb)...); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	seen.Answers = r.Caches.Answers(asking, r.Asker, s.input, p.component.Questions(s.input))
	return nil
}

func (r *KubeBotReconciler) podNamespaces(kb *v1alpha1.KubeBot) []string {
	return slices.Compact([]string{kb.Namespace, r.Gatherer.Install.NodesNamespace})
}

// next says when to look again.
func (s *scope) next() (ctrl.Result, error) {
	if stall := status.AsStall(s.err); stall != nil {
		return ctrl.Result{RequeueAfter: observeStalled}, nil
	}
	if wait := status.AsWait(s.err); wait != nil {
		return ctrl.Result{RequeueAfter: wait.After}, nil
	}
	if apply.AsTaken(s.err) != nil {
		return ctrl.Result{RequeueAfter: observeReady}, nil // what others own is not watched
	}
	if s.err != nil {
		return ctrl.Result{}, s.err
	}
	if ready := meta.FindStatusCondition(s.kb.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status == metav1.ConditionTrue {
		return ctrl.Result{RequeueAfter: observeReady}, nil
	}
	return ctrl.Result{RequeueAfter: observeUnready}, nil
}

// lasting tells that an error will come back until a person acts, so that the status should say it at once.
func lasting(err error) bool {
	return apply.AsTaken(err) != nil || apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

// isAPIError tells that the API server refused one object, so that the next may still be tried.
func isAPIError(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) || status.AsWait(err) != nil
}

func asInvalid(err error) *component.InvalidError {
	var invalid *component.InvalidError
	if errors.As(err, &invalid) {
		return invalid
	}
	return nil
}
