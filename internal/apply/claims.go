package apply

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// Claims are the volume claims of one component. Kubernetes makes them from a StatefulSet, KubeBot's own or one that the
// Prometheus Operator makes, and nobody removes them.
type Claims struct {
	// Labels of the claims: those that the component gives the template of its claims.
	Labels map[string]string
	// WhenDeleted says whether they stay.
	WhenDeleted v1alpha1.WhenDeleted
	// SwitchedOff means that KubeBot does not run the component any more.
	SwitchedOff bool
}

// ClaimsOf returns the volume claims of the components that keep data.
func ClaimsOf(kb *v1alpha1.KubeBot) []Claims {
	claims := func(name string, mode v1alpha1.Mode, storage v1alpha1.StorageSpec) Claims {
		return Claims{
			Labels: map[string]string{
				naming.LabelName: kb.Name, naming.LabelNamespace: kb.Namespace, naming.LabelComponent: name,
			},
			WhenDeleted: storage.WhenDeleted,
			SwitchedOff: mode == v1alpha1.ModeDisabled || mode == v1alpha1.ModeExternal,
		}
	}
	s := kb.Spec
	return []Claims{
		claims("prometheus", s.Metrics.Prometheus.Mode, s.Metrics.Prometheus.Storage),
		claims("alertmanager", s.Metrics.Alertmanager.Mode, s.Metrics.Alertmanager.Storage),
		claims("loki", s.Logs.Loki.Mode, s.Logs.Loki.Storage),
		claims("jaeger", s.Traces.Jaeger.Mode, s.Traces.Jaeger.Storage),
		claims("collector", v1alpha1.Mode(s.Traces.Collector.Mode), s.Traces.Collector.Storage),
		claims("archive", v1alpha1.Mode(s.Analysis.Archive.Mode), s.Analysis.Archive.Storage),
		claims("grafana", s.Dashboards.Grafana.Mode, s.Dashboards.Grafana.Storage),
	}
}

// Claims does to the volume claims what the spec says. With Delete they are removed when their component is switched
// off, and owned by the KubeBot until then, so that they go with it even when no manager runs; with Retain they belong
// to nobody.
func (p *Pruner) Claims(ctx context.Context, kb *v1alpha1.KubeBot, claims Claims) error {
	list := &corev1.PersistentVolumeClaimList{}
	err := p.reader.List(ctx, list, client.InNamespace(kb.Namespace), client.MatchingLabels(claims.Labels))
	if err != nil {
		return fmt.Errorf("list volume claims in %s: %w", kb.Namespace, err)
	}
	for i := range list.Items {
		if err := p.claim(ctx, kb, claims, &list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pruner) claim(ctx context.Context, kb *v1alpha1.KubeBot, claims Claims, pvc *corev1.PersistentVolumeClaim) error {
	owned := slices.ContainsFunc(pvc.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == kb.UID })
	goes := claims.WhenDeleted == v1alpha1.WhenDeletedDelete
	switch {
	case pvc.DeletionTimestamp != nil:
		return nil
	case goes && claims.SwitchedOff:
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
		u.SetOwnerReferences([]metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "KubeBot", Name: kb.Name, UID: kb.UID,
		}})
	}
	err := p.writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(naming.FieldManager), client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("set the owner of volume claim %s: %w", pvc.Name, err)
	}
	return nil
}
