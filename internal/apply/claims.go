package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// keeping says what becomes of the volume claims of one component. Kubernetes makes them from a StatefulSet, KubeBot's own
// or one that the Prometheus Operator makes, and nobody removes them.
type keeping struct {
	// whenDeleted says whether they stay.
	whenDeleted v1alpha1.WhenDeleted
	// switchedOff means that KubeBot does not run the component any more.
	switchedOff bool
	// size that each shall have; nil for an emptyDir.
	size *resource.Quantity
	// replicas of the component. Those that there were more once have left claims that nobody uses.
	replicas int32
}

// keepings of the components that keep data, by name.
func keepings(kb *v1alpha1.KubeBot) map[string]keeping {
	of := func(mode v1alpha1.Mode, storage v1alpha1.StorageSpec, replicas int32) keeping {
		off := mode == v1alpha1.ModeDisabled || mode == v1alpha1.ModeExternal
		return keeping{whenDeleted: storage.WhenDeleted, switchedOff: off, size: storage.Size, replicas: replicas}
	}
	s := kb.Spec
	m := s.Metrics
	return map[string]keeping{
		"prometheus":   of(m.Prometheus.Mode, m.Prometheus.Storage, ptr.Deref(m.Prometheus.Replicas, 1)),
		"alertmanager": of(m.Alertmanager.Mode, m.Alertmanager.Storage, ptr.Deref(m.Alertmanager.Replicas, 1)),
		"loki":         of(s.Logs.Loki.Mode, s.Logs.Loki.Storage, 1),
		"jaeger":       of(s.Traces.Jaeger.Mode, s.Traces.Jaeger.Storage, 1),
		"collector": of(v1alpha1.Mode(s.Traces.Collector.Mode), s.Traces.Collector.Storage,
			ptr.Deref(s.Traces.Collector.Samplers, v1alpha1.DefaultSamplers)),
		"archive": of(v1alpha1.Mode(s.Analysis.Archive.Mode), s.Analysis.Archive.Storage, 1),
		"grafana": of(s.Dashboards.Grafana.Mode, s.Dashboards.Grafana.Storage, 1),
	}
}

// ListClaims returns the volume claims of a KubeBot, by the labels of their components.
func (p *Pruner) ListClaims(ctx context.Context, kb *v1alpha1.KubeBot) ([]corev1.PersistentVolumeClaim, error) {
	list := &corev1.PersistentVolumeClaimList{}
	labels := client.MatchingLabels{naming.LabelName: kb.Name, naming.LabelNamespace: kb.Namespace}
	if err := p.reader.List(ctx, list, client.InNamespace(kb.Namespace), labels); err != nil {
		return nil, fmt.Errorf("list volume claims in %s: %w", kb.Namespace, err)
	}
	return list.Items, nil
}

// Claims does to the volume claims of a KubeBot, known by the labels of their components, what its spec says. With Delete
// they are removed when their component is switched off, and owned by the KubeBot until then, so that they go with it even
// when no manager runs; with Retain they belong to nobody. Those that are smaller than the spec says grow, where their
// storage class allows that; see Undersized. What fails for one does not stop the others.
func (p *Pruner) Claims(ctx context.Context, kb *v1alpha1.KubeBot, claims []corev1.PersistentVolumeClaim) error {
	kept := keepings(kb)
	var errs []error
	for i := range claims {
		pvc := &claims[i]
		if k, ok := kept[pvc.Labels[naming.LabelComponent]]; ok {
			errs = append(errs, p.claim(ctx, kb, k, pvc), p.grow(ctx, k, pvc))
		}
	}
	return errors.Join(errs...)
}

func (p *Pruner) claim(ctx context.Context, kb *v1alpha1.KubeBot, k keeping, pvc *corev1.PersistentVolumeClaim) error {
	owned := slices.ContainsFunc(pvc.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == kb.UID })
	goes := k.whenDeleted == v1alpha1.WhenDeletedDelete
	switch {
	case pvc.DeletionTimestamp != nil:
		return nil
	case goes && k.switchedOff:
		err := p.writer.Delete(ctx, pvc, client.Preconditions{UID: &pvc.UID})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("remove volume claim %s: %w", pvc.Name, err)
		}
		return nil
	case goes != owned:
		return p.own(ctx, kb, pvc, goes)
	}
	return nil
}

// own makes the KubeBot an owner of a volume claim, or ends that. It is not the controller, which may be the
// StatefulSet; with two owners a claim also outlives a StatefulSet that is made anew. The UID keeps the apply from
// making a claim.
func (p *Pruner) own(ctx context.Context, kb *v1alpha1.KubeBot, pvc *corev1.PersistentVolumeClaim, own bool) error {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"))
	u.SetNamespace(pvc.Namespace)
	u.SetName(pvc.Name)
	u.SetUID(pvc.UID)
	if own {
		u.SetOwnerReferences([]metav1.OwnerReference{naming.Owner(kb.Name, string(kb.UID))})
	}
	err := p.writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(naming.FieldManager), client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("set the owner of volume claim %s: %w", pvc.Name, err)
	}
	return nil
}
