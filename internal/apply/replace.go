package apply

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/status"
)

var statefulSetKind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")

// replaceable tells whether the API server refused a change of a StatefulSet because it touches what no StatefulSet can
// change: its claims, the name of its Service, how its pods are managed.
func replaceable(err error, desired, live *unstructured.Unstructured) bool {
	if live == nil || !apierrors.IsInvalid(err) || desired.GroupVersionKind() != statefulSetKind {
		return false
	}
	var want, have appsv1.StatefulSet
	if runtime.DefaultUnstructuredConverter.FromUnstructured(desired.Object, &want) != nil ||
		runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &have) != nil {
		return false
	}
	if want.Spec.ServiceName != have.Spec.ServiceName || want.Spec.PodManagementPolicy != have.Spec.PodManagementPolicy ||
		len(want.Spec.VolumeClaimTemplates) != len(have.Spec.VolumeClaimTemplates) {
		return true
	}
	for i, template := range want.Spec.VolumeClaimTemplates {
		old := have.Spec.VolumeClaimTemplates[i]
		size, class := template.Spec.Resources.Requests, template.Spec.StorageClassName
		if template.Name != old.Name || !size.Storage().Equal(*old.Spec.Resources.Requests.Storage()) ||
			class != nil && (old.Spec.StorageClassName == nil || *class != *old.Spec.StorageClassName) {
			return true
		}
	}
	return false
}

// replace removes a StatefulSet and leaves its pods, which the next one takes over and renews one after another. The
// WaitError says when to make it.
func (a *Applier) replace(ctx context.Context, key objectKey, live *unstructured.Unstructured) error {
	uid := live.GetUID()
	err := a.writer.Delete(ctx, live, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationOrphan))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove %s %s, which can't be changed in place: %w", key.kind.Kind, key.ObjectKey, err)
	}
	a.forget(key)
	return &status.WaitError{After: time.Second,
		Message: fmt.Sprintf("%s %s can't be changed in place; it is made anew, and its pods stay until then", key.kind.Kind, key.Name)}
}
