package controllers_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/loki"
)

// The storage of a StatefulSet can't be changed in place. It is made anew, and its pods are not removed with it.
func TestAStatefulSetIsMadeAnewWhereItsStorageChanges(t *testing.T) {
	b := newBench(t, loki.Component{}).start()
	kb := b.kubebot(b.ns, "main")
	first := &appsv1.StatefulSet{}
	b.get(first, b.ns, "main-loki")
	for _, size := range []string{"1Gi", "2Gi"} {
		b.update(kb, func(kb *v1alpha1.KubeBot) {
			q := quantity(size)
			kb.Spec.Logs.Loki.Storage = v1alpha1.StorageSpec{Size: &q}
		})
		b.eventually("a StatefulSet with claims of "+size, func() error {
			set := &appsv1.StatefulSet{}
			if err := b.client.Get(t.Context(), client.ObjectKey{Namespace: b.ns, Name: "main-loki"}, set); err != nil {
				return err
			}
			if set.DeletionTimestamp != nil {
				// No garbage collector runs here: its part of an orphaning is to take the finalizer off.
				if len(set.Finalizers) != 1 || set.Finalizers[0] != metav1.FinalizerOrphanDependents {
					t.Fatalf("the StatefulSet goes with its pods: %v", set.Finalizers)
				}
				set.Finalizers = nil
				return client.IgnoreNotFound(b.client.Update(t.Context(), set))
			}
			if len(set.Spec.VolumeClaimTemplates) != 1 || set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String() != size {
				return fmt.Errorf("the claims are %v", set.Spec.VolumeClaimTemplates)
			}
			return nil
		})
	}
	b.quiet()
}
