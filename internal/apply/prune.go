package apply

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// Pruner removes what KubeBot applied and no longer wants. It reads past the cache: what is to be removed is often of
// a kind that is no longer watched.
type Pruner struct {
	reader  client.Reader
	writer  client.Client
	applier *Applier

	mu      sync.Mutex
	refused map[types.UID]refusal
}

// NewPruner returns a Pruner that reads from the API server with reader.
func NewPruner(reader client.Reader, writer client.Client, applier *Applier) *Pruner {
	return &Pruner{reader: reader, writer: writer, applier: applier, refused: map[types.UID]refusal{}}
}

// Prune removes one object of a KubeBot by its inventory entry, unless keep, which gets the object's component, says
// otherwise; it tells whether the entry may be forgotten. An object that does not carry the KubeBot's labels is
// somebody else's and stays. A kind that the cluster no longer has is gone with all its objects.
func (p *Pruner) Prune(ctx context.Context, owner client.ObjectKey, ref v1alpha1.ObjectRef, keep func(component string) bool) (bool, error) {
	gvk := Kind(ref)
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(gvk)
	err := p.reader.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, live)
	if gone(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s %s/%s to remove it: %w", ref.Kind, ref.Namespace, ref.Name, err)
	}
	labels := live.GetLabels()
	if labels[naming.LabelName] != owner.Name || labels[naming.LabelNamespace] != owner.Namespace {
		return true, nil
	}
	if keep(labels[naming.LabelComponent]) {
		return false, nil
	}
	return true, p.remove(ctx, live)
}

// Sweep removes every object of a KubeBot of the given kinds in a namespace, by its labels. A namespace that is gone
// or going takes its objects along.
func (p *Pruner) Sweep(ctx context.Context, owner client.ObjectKey, namespace string, kinds []schema.GroupVersionKind) error {
	for _, gvk := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		err := p.reader.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{
			naming.LabelName: owner.Name, naming.LabelNamespace: owner.Namespace,
		})
		if gone(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("list %ss in %s to remove them: %w", gvk.Kind, namespace, err)
		}
		for i := range list.Items {
			if err := p.remove(ctx, &list.Items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Owners returns the KubeBots whose labels objects of the given kinds carry in a namespace.
func (p *Pruner) Owners(ctx context.Context, namespace string, kinds []schema.GroupVersionKind) (map[client.ObjectKey]bool, error) {
	owners := map[client.ObjectKey]bool{}
	for _, gvk := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		err := p.reader.List(ctx, list, client.InNamespace(namespace), client.HasLabels{naming.LabelName, naming.LabelNamespace})
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list %ss in %s by label: %w", gvk.Kind, namespace, err)
		}
		for i := range list.Items {
			labels := list.Items[i].Labels
			owners[client.ObjectKey{Namespace: labels[naming.LabelNamespace], Name: labels[naming.LabelName]}] = true
		}
	}
	return owners, nil
}

// NamespaceGoing tells whether a namespace is gone or being removed.
func (p *Pruner) NamespaceGoing(ctx context.Context, name string) (bool, error) {
	namespace := &corev1.Namespace{}
	err := p.reader.Get(ctx, client.ObjectKey{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read namespace %s: %w", name, err)
	}
	return namespace.DeletionTimestamp != nil, nil
}

func (p *Pruner) remove(ctx context.Context, live *unstructured.Unstructured) error {
	p.applier.forget(objectKey{live.GroupVersionKind(), client.ObjectKeyFromObject(live)})
	if live.GetDeletionTimestamp() != nil {
		return nil
	}
	uid := live.GetUID()
	err := p.writer.Delete(ctx, live, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &uid})
	if gone(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s %s/%s: %w", live.GetKind(), live.GetNamespace(), live.GetName(), err)
	}
	return nil
}

func gone(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }
