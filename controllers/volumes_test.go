package controllers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// bound makes a claim of 1Gi as it is once its volume is there.
func (b *bench) bound(component, name, class string) *corev1.PersistentVolumeClaim {
	b.t.Helper()
	pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name, Labels: map[string]string{
		naming.LabelName: "main", naming.LabelNamespace: b.ns, naming.LabelComponent: component,
	}}}
	pvc.Spec.StorageClassName, pvc.Spec.VolumeName = &class, "pv-"+name
	pvc.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	pvc.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: quantity("1Gi")}
	b.create(pvc)
	b.holds(pvc, "1Gi")
	return pvc
}

// holds is the part of the controllers that bind and enlarge volumes.
func (b *bench) holds(pvc *corev1.PersistentVolumeClaim, size string) {
	b.t.Helper()
	b.get(pvc, pvc.Namespace, pvc.Name)
	pvc.Status.Phase, pvc.Status.Capacity = corev1.ClaimBound, corev1.ResourceList{corev1.ResourceStorage: quantity(size)}
	if err := b.client.Status().Update(b.t.Context(), pvc); err != nil {
		b.t.Fatal(err)
	}
}

func TestVolumesGrowWithTheSpecWhereTheirClassAllowsIt(t *testing.T) {
	shows := &fake{name: "shows", build: func(in component.Input) ([]client.Object, error) {
		return []client.Object{&corev1.ConfigMap{
			ObjectMeta: objectMeta(in, in.KubeBot.Namespace, "shows", "shows"),
			Data:       map[string]string{"room": fmt.Sprint(in.Room("prometheus", 2<<30)>>30, in.Room("loki", 3<<30)>>30)},
		}}, nil
	}}
	b := newBench(t, shows)
	for class, expands := range map[string]bool{"grows": true, "fixed": false} {
		b.create(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: b.ns + class}, Provisioner: "x.example.com", AllowVolumeExpansion: &expands})
	}
	used, left := b.bound("prometheus", "data-0", b.ns+"grows"), b.bound("prometheus", "data-1", b.ns+"grows")
	fixed := b.bound("loki", "logs-0", b.ns+"fixed")
	b.start()
	kb := b.ready(b.kubebot(b.ns, "main", func(kb *v1alpha1.KubeBot) {
		two, three := quantity("2Gi"), quantity("3Gi")
		kb.Spec.Metrics.Prometheus.Storage.Size, kb.Spec.Logs.Loki.Storage.Size = &two, &three
	}))
	asks := func(pvc *corev1.PersistentVolumeClaim, want string) {
		t.Helper()
		b.eventually(pvc.Name+" to ask for "+want, func() error {
			b.get(pvc, b.ns, pvc.Name)
			if got := pvc.Spec.Resources.Requests.Storage().String(); got != want {
				return fmt.Errorf("it asks for %s", got)
			}
			return nil
		})
	}
	room := func(want string) {
		t.Helper()
		b.eventually("room of "+want, func() error {
			config := &corev1.ConfigMap{}
			b.get(config, b.ns, "main-shows")
			if config.Data["room"] != want {
				return fmt.Errorf("room of %s", config.Data["room"])
			}
			return nil
		})
	}
	asks(used, "2Gi")
	asks(left, "1Gi")
	asks(fixed, "1Gi")
	room("1 1")
	live := b.condition(kb, v1alpha1.ConditionVolumeSmallerThanSpec, metav1.ConditionTrue, v1alpha1.ReasonNotExpandable)
	message := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionVolumeSmallerThanSpec).Message
	for _, want := range []string{"logs-0 has 1Gi of 3Gi and can't be enlarged: ", "storageclass", "data-0 has 1Gi of 2Gi and is being enlarged"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message %q does not say %q", message, want)
		}
	}
	b.ready(kb)

	b.holds(used, "2Gi")
	again := func() { b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName += "x" }) }
	again()
	room("2 1")
	b.writes.Take()
	again()
	b.ready(kb)
	for _, write := range b.writes.Take() {
		if strings.Contains(write, "/persistentvolumeclaims/") {
			t.Errorf("asks again for what was refused a moment ago: %s", write)
		}
	}
	expands := true
	class := &storagev1.StorageClass{}
	b.get(class, "", b.ns+"fixed")
	class.AllowVolumeExpansion = &expands
	if err := b.client.Update(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	b.clock.forward(11 * time.Minute)
	again()
	asks(fixed, "3Gi")
	b.holds(fixed, "3Gi")
	again()
	room("2 3")
	b.eventually("nothing to tell", func() error {
		b.get(live, b.ns, "main")
		if c := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionVolumeSmallerThanSpec); c != nil {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
}
