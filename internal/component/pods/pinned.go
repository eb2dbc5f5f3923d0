package pods

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/naming"
)

// Pinned binds the pods of a component to the configuration that they are made for: a ConfigMap that a Deployment,
// StatefulSet or DaemonSet mounts gets the hash of its content into its name and becomes immutable. So another
// configuration rolls the pods, and no pod starts with what the kubelet remembers of the one before: after an outage of
// the API server it remembers that for up to a minute.
func Pinned(objects []client.Object) ([]client.Object, error) {
	for _, o := range objects {
		m, ok := o.(*corev1.ConfigMap)
		if !ok {
			continue
		}
		mounts := mountsOf(m, objects)
		if len(mounts) == 0 {
			continue
		}
		hash, err := naming.Hash(m.Data)
		if err != nil {
			return nil, err
		}
		m.Name, m.Immutable = m.Name+"-"+hash, new(true)
		for _, mount := range mounts {
			mount.Name = m.Name
		}
	}
	return objects, nil
}

// mountsOf returns where pod templates mount a ConfigMap.
func mountsOf(m *corev1.ConfigMap, objects []client.Object) []*corev1.ConfigMapVolumeSource {
	var out []*corev1.ConfigMapVolumeSource
	for _, o := range objects {
		for _, volume := range volumesOf(o) {
			if volume.ConfigMap != nil && volume.ConfigMap.Name == m.Name && o.GetNamespace() == m.Namespace {
				out = append(out, volume.ConfigMap)
			}
		}
	}
	return out
}

func volumesOf(o client.Object) []corev1.Volume {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return o.Spec.Template.Spec.Volumes
	case *appsv1.StatefulSet:
		return o.Spec.Template.Spec.Volumes
	case *appsv1.DaemonSet:
		return o.Spec.Template.Spec.Volumes
	}
	return nil
}
