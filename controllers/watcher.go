package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubebot/kubebot/internal/gather"
	"github.com/kubebot/kubebot/internal/naming"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// watcher starts to watch a kind in a namespace when the first object of it is applied there, so that a kind that the
// cluster does not have yet disturbs nothing.
type watcher struct {
	controller controller.Controller
	caches     *gather.Caches

	mu      sync.Mutex
	watched map[watchKey]bool
}

type watchKey struct {
	kind      schema.GroupVersionKind
	namespace string
}

func newWatcher(c controller.Controller, caches *gather.Caches) *watcher {
	return &watcher{controller: c, caches: caches, watched: map[watchKey]bool{}}
}

// pods watches the pods of KubeBots in a namespace.
func (w *watcher) pods(namespace string) error {
	return w.watch(corev1.SchemeGroupVersion.WithKind("Pod"), namespace, &corev1.Pod{})
}

// kind watches a kind in a namespace. Secrets are not watched: nobody lists them.
func (w *watcher) kind(gvk schema.GroupVersionKind, namespace string) error {
	if gvk.Kind == "Secret" && gvk.Group == "" {
		return nil
	}
	return w.watch(gvk, namespace, ofKind(gvk))
}

func (w *watcher) watch(gvk schema.GroupVersionKind, namespace string, obj client.Object) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := watchKey{gvk, namespace}
	if w.watched[key] {
		return nil
	}
	changes, err := w.caches.Source(namespace, obj, handler.EnqueueRequestsFromMapFunc(ownerOf))
	if err != nil {
		return err
	}
	if err := w.controller.Watch(changes); err != nil {
		return fmt.Errorf("watch %ss in %s: %w", gvk.Kind, namespace, err)
	}
	w.watched[key] = true
	return nil
}

// forgetMissing ends the watches of kinds that the cluster no longer has, so that they start anew when they come back.
func (w *watcher) forgetMissing(ctx context.Context, kinds map[schema.GroupVersionKind]bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.watched {
		if kinds[key.kind] {
			continue
		}
		if err := w.caches.Forget(ctx, key.namespace, ofKind(key.kind)); err != nil {
			return fmt.Errorf("end the watch of %ss in %s: %w", key.kind.Kind, key.namespace, err)
		}
		delete(w.watched, key)
	}
	return nil
}

func ofKind(gvk schema.GroupVersionKind) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	return u
}

// ownerOf returns the KubeBot that a managed object belongs to, by its labels or else by its owner.
func ownerOf(_ context.Context, obj client.Object) []reconcile.Request {
	labels := obj.GetLabels()
	key := types.NamespacedName{Namespace: labels[naming.LabelNamespace], Name: labels[naming.LabelName]}
	if owner := metav1.GetControllerOf(obj); key.Name == "" && owner != nil && owner.Kind == "KubeBot" {
		key = types.NamespacedName{Namespace: obj.GetNamespace(), Name: owner.Name}
	}
	if key.Name == "" || key.Namespace == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: key}}
}
