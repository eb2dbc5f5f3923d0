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
	if err := checkStorage(field, s, limit); err != nil {
		return Storage{}, err
	}
	if s.Size == nil {
		empty := emptyDir(s, limit)
		return Storage{Spec: &monitoringv1.StorageSpec{EmptyDir: empty}, Bytes: empty.SizeLimit.Value()}, nil
	}
	return Storage{
		Spec: &monitoringv1.StorageSpec{VolumeClaimTemplate: monitoringv1.EmbeddedPersistentVolumeClaim{
			EmbeddedObjectMetadata: monitoringv1.EmbeddedObjectMetadata{Labels: naming.Labels(kb, componentName)},
			Spec:                   claim(s),
		}},
		Claims: retention(s),
		Bytes:  s.Size.Value(),
	}, nil
}

// Volume is where the pods of a StatefulSet of KubeBot's own keep their data.
type Volume struct {
	// Volumes of the pod; none when a claim is made for each replica.
	Volumes []corev1.Volume
	// Templates of the StatefulSet's volume claims; none for an emptyDir.
	Templates []corev1.PersistentVolumeClaim
	// Claims says what becomes of the volume claims; nil for an emptyDir.
	Claims *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy
	// Bytes that fit in.
	Bytes int64
}

// NewVolume is NewStorage for a StatefulSet of KubeBot's own; the volume is called data.
func NewVolume(kb *v1alpha1.KubeBot, componentName, field string, s v1alpha1.StorageSpec, limit string) (Volume, error) {
	if err := checkStorage(field, s, limit); err != nil {
		return Volume{}, err
	}
	if s.Size == nil {
		empty := emptyDir(s, limit)
		return Volume{
			Volumes: []corev1.Volume{{Name: DataVolume, VolumeSource: corev1.VolumeSource{EmptyDir: empty}}},
			Bytes:   empty.SizeLimit.Value(),
		}, nil
	}
	return Volume{
		Templates: []corev1.PersistentVolumeClaim{{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
			ObjectMeta: metav1.ObjectMeta{Name: DataVolume, Labels: naming.Labels(kb, componentName)},
			Spec:       claim(s),
		}},
		Claims: retention(s),
		Bytes:  s.Size.Value(),
	}, nil
}

// DataVolume is the name of the volume that NewVolume gives.
const DataVolume = "data"

// checkStorage refuses sizes that leave no room.
func checkStorage(field string, s v1alpha1.StorageSpec, limit string) error {
	for _, given := range []struct {
		name string
		size *resource.Quantity
	}{{"size", s.Size}, {"ephemeralLimit", s.EphemeralLimit}} {
		if given.size != nil && given.size.Sign() <= 0 {
			return &component.InvalidError{
				Field:   field + "." + given.name,
				Message: fmt.Sprintf("%s leaves no room: give a size above zero, such as %s, or leave it out", given.size, limit),
			}
		}
	}
	return nil
}

func emptyDir(s v1alpha1.StorageSpec, limit string) *corev1.EmptyDirVolumeSource {
	size := resource.MustParse(limit)
	if s.EphemeralLimit != nil {
		size = s.EphemeralLimit.DeepCopy()
	}
	return &corev1.EmptyDirVolumeSource{SizeLimit: &size}
}

func claim(s v1alpha1.StorageSpec) corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		StorageClassName: s.StorageClassName,
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: s.Size.DeepCopy()},
		},
	}
}

// retention of the claims. Fewer replicas keep theirs: only the end of the component may end the data.
func retention(s v1alpha1.StorageSpec) *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	policy := appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	if s.WhenDeleted == v1alpha1.WhenDeletedDelete {
		policy = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	}
	return &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: policy, WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
	}
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
