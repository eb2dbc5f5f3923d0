package pods

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// Storage says where the pods of a StatefulSet of the Prometheus Operator keep their data.
type Storage struct {
	// Spec for the operator's resource.
	Spec *monitoringv1.StorageSpec
	// Claims says what becomes of the volume claims; nil for an emptyDir.
	Claims *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy
	// Bytes that fit in.
	Bytes int64
}

// NewStorage returns a volume claim when the user gives a size, else an emptyDir of the user's limit or limit. Field is
// the path of the settings in the KubeBot. The error is an InvalidError.
func NewStorage(kb *v1alpha1.KubeBot, componentName, field string, s v1alpha1.StorageSpec, limit string) (Storage, error) {
	for name, q := range map[string]*resource.Quantity{"size": s.Size, "ephemeralLimit": s.EphemeralLimit} {
		if q != nil && q.Sign() <= 0 {
			return Storage{}, &component.InvalidError{
				Field:   field + "." + name,
				Message: fmt.Sprintf("%s leaves no room: give a size above zero, such as %s, or leave it out", q, limit),
			}
		}
	}
	if s.Size == nil {
		size := resource.MustParse(limit)
		if s.EphemeralLimit != nil {
			size = s.EphemeralLimit.DeepCopy()
		}
		return Storage{
			Spec:  &monitoringv1.StorageSpec{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}},
			Bytes: size.Value(),
		}, nil
	}
	policy := appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	if s.WhenDeleted == v1alpha1.WhenDeletedDelete {
		policy = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	}
	return Storage{
		Spec: &monitoringv1.StorageSpec{VolumeClaimTemplate: monitoringv1.EmbeddedPersistentVolumeClaim{
			EmbeddedObjectMetadata: monitoringv1.EmbeddedObjectMetadata{Labels: naming.Labels(kb, componentName)},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				StorageClassName: s.StorageClassName,
				Resources: corev1.VolumeResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceStorage: s.Size.DeepCopy()},
				},
			},
		}},
		// Fewer replicas keep their claims: only the end of the component may end the data.
		Claims: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
			WhenDeleted: policy, WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		},
		Bytes: s.Size.Value(),
	}, nil
}

// Ephemeral returns the condition StorageEphemeral of a component that keeps what in an emptyDir, or none. Field is the
// path of its storage settings.
func Ephemeral(s v1alpha1.StorageSpec, what, field string) []metav1.Condition {
	if s.Size != nil {
		return nil
	}
	return []metav1.Condition{{
		Type:    v1alpha1.ConditionStorageEphemeral,
		Status:  metav1.ConditionTrue,
		Reason:  v1alpha1.ReasonEmptyDir,
		Message: fmt.Sprintf("%s are in an emptyDir and go with the pod: set %s.size to keep them on a volume", what, field),
	}}
}
