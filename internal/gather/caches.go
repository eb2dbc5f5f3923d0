// Package gather does every read of a reconciliation: what components need to build their objects, and what is seen of
// them afterwards.
package gather

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// syncTimeout is how long a read waits for a cache that is being filled for the first time.
const syncTimeout = 5 * time.Second

// Caches hold the managed objects of each namespace apart, so that a namespace that goes, or whose role goes, disturbs
// no other. A kind is read in a namespace from the first question for it there.
type Caches struct {
	byNamespace map[string]cache.Cache
	direct      client.Reader

	mu      sync.Mutex
	started bool
}

// NewCaches returns caches for the namespaces. Secrets are not cached: direct reads them by name.
func NewCaches(config *rest.Config, options cache.Options, direct client.Reader, namespaces []string) (*Caches, error) {
	managed, err := labels.NewRequirement(naming.LabelName, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("make the selector of managed objects: %w", err)
	}
	c := &Caches{byNamespace: map[string]cache.Cache{}, direct: direct}
	for _, namespace := range namespaces {
		if c.byNamespace[namespace] != nil {
			continue
		}
		o := options
		o.DefaultNamespaces = map[string]cache.Config{namespace: {}}
		o.ByObject = map[client.Object]cache.ByObject{
			&corev1.Pod{}:        {Label: labels.NewSelector().Add(*managed), Transform: trimPod},
			&batchv1.Job{}:       {Label: labels.NewSelector().Add(*managed)},
			&v1alpha1.Incident{}: {Transform: trimIncident},
		}
		if c.byNamespace[namespace], err = cache.New(config, o); err != nil {
			return nil, fmt.Errorf("make cache of namespace %s: %w", namespace, err)
		}
	}
	return c, nil
}

// Start fills the caches until ctx ends.
func (c *Caches) Start(ctx context.Context) error {
	failed := make(chan error, len(c.byNamespace))
	for namespace, one := range c.byNamespace {
		go func() {
			if err := one.Start(ctx); err != nil {
				failed <- fmt.Errorf("run cache of namespace %s: %w", namespace, err)
			}
		}()
	}
	c.mu.Lock()
	c.started = true
	c.mu.Unlock()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// In returns the cache of a namespace, or an error when KubeBot does not serve it.
func (c *Caches) In(namespace string) (cache.Cache, error) {
	one := c.byNamespace[namespace]
	if one == nil {
		return nil, notServed(namespace)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return nil, fmt.Errorf("cache of namespace %s is not started", namespace)
	}
	return one, nil
}

// NeedLeaderElection lets the caches start before the controllers. They hold nothing until they are asked.
func (c *Caches) NeedLeaderElection() bool { return false }

// Source returns the changes of a kind in a namespace. A controller does not wait for it to be filled, so that one
// namespace without a role holds up none of the others.
func (c *Caches) Source(namespace string, obj client.Object, handle handler.EventHandler) (source.Source, error) {
	one := c.byNamespace[namespace]
	if one == nil {
		return nil, notServed(namespace)
	}
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		return source.Kind(one, obj, handle).Start(ctx, queue)
	}), nil
}

// Forget ends the watch of a kind in a namespace.
func (c *Caches) Forget(ctx context.Context, namespace string, obj client.Object) error {
	one := c.byNamespace[namespace]
	if one == nil {
		return notServed(namespace)
	}
	return one.RemoveInformer(ctx, obj)
}

func notServed(namespace string) error {
	return fmt.Errorf("namespace %q is not served: add it to the chart's value namespaces", namespace)
}

// Object implements apply.Reader.
func (c *Caches) Object(ctx context.Context, gvk schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(gvk)
	if gvk == corev1.SchemeGroupVersion.WithKind("Secret") {
		return live, c.direct.Get(ctx, key, live)
	}
	one, err := c.In(key.Namespace)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	return live, one.Get(ctx, key, live)
}

func (c *Caches) list(ctx context.Context, list client.ObjectList, namespace string, match client.MatchingLabels) error {
	one, err := c.In(namespace)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	return one.List(ctx, list, client.InNamespace(namespace), match)
}

// trimPod drops what nobody looks at: of the volumes, all but ConfigMaps.
func trimPod(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	pod.ManagedFields = nil
	pod.Spec.Volumes = slices.DeleteFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.ConfigMap == nil })
	pod.Spec.Affinity = nil
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].Env = nil
		pod.Spec.Containers[i].VolumeMounts = nil
	}
	return pod, nil
}

// trimIncident keeps of an Incident what retention looks at: thousands of them may hold 256 KiB each.
func trimIncident(obj any) (any, error) {
	in, ok := obj.(*v1alpha1.Incident)
	if !ok {
		return obj, nil
	}
	return &v1alpha1.Incident{
		TypeMeta: in.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: in.Name, Namespace: in.Namespace, UID: in.UID, ResourceVersion: in.ResourceVersion,
			CreationTimestamp: in.CreationTimestamp, DeletionTimestamp: in.DeletionTimestamp,
		},
		Spec: v1alpha1.IncidentSpec{KubeBot: in.Spec.KubeBot},
		Status: v1alpha1.IncidentStatus{
			State: in.Status.State, ResolvedAt: in.Status.ResolvedAt, ClosedAt: in.Status.ClosedAt,
		},
	}, nil
}
