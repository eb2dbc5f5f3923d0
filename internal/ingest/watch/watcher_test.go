package watch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/mask"
	"github.com/kubebot/kubebot/internal/pipeline"
)

func TestDeletedWorkloadEndsItsEvents(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "checkout"}
	for kind, object := range map[string]client.Object{
		"Deployment":  &appsv1.Deployment{ObjectMeta: meta},
		"StatefulSet": &appsv1.StatefulSet{ObjectMeta: meta},
		"DaemonSet":   &appsv1.DaemonSet{ObjectMeta: meta},
	} {
		t.Run(kind, func(t *testing.T) {
			w := New(Options{Now: func() time.Time { return noon }})
			key, tracked := w.track(v1alpha1.Subject{APIVersion: "apps/v1", Kind: kind, Namespace: "shop", Name: "checkout"})
			tracked.events[alert.PodCreateFailed] = EventSum{First: noon.Add(-time.Minute), Last: noon, Message: "exceeded quota"}
			found, _, _ := w.look(key)
			assert.Len(t, found, 1, "before the deletion")
			w.deleted(toolscache.DeletedFinalStateUnknown{Obj: object})
			found, _, _ = w.look(key)
			assert.Empty(t, found, "after the deletion")
		})
	}
}

// The controller of a StatefulSet deletes a pod that failed at once, and makes one of the same name.
func TestAnEvictionIsToldThoughThePodIsGone(t *testing.T) {
	now := noon
	w := New(Options{Now: func() time.Time { return now }, Topology: &Topology{Reader: fake.NewClientBuilder().Build()}})
	of := func(p *corev1.Pod, uid types.UID) *corev1.Pod {
		p.UID = uid
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", Controller: new(true)}}
		return p
	}
	full := of(overLimit(evicted(pod("db-0", false, 0, ended(137, "Error", time.Minute), corev1.ContainerState{}))), "1")
	w.changed(full)
	w.deleted(full)
	w.changed(of(pod("db-0", true, 0, running(time.Second), corev1.ContainerState{}), "2"))
	key := pipeline.WorkloadGroup(v1alpha1.Subject{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: "shop", Name: "db"}).Key
	found, _, next := w.look(key)
	require.Len(t, found, 1)
	assert.Equal(t, alert.PodEvicted, found[0].Name)
	now = next
	found, _, _ = w.look(key)
	assert.Empty(t, found, "after a while")
}

// A ReplicaSet that the cache does not have yet is the workload at first.
func TestAnEvictionIsToldOfOneWorkload(t *testing.T) {
	topology := &Topology{Reader: fake.NewClientBuilder().Build()}
	w := New(Options{Now: func() time.Time { return noon }, Topology: topology})
	full := overLimit(evicted(pod("checkout-5d8-a", false, 0, ended(137, "Error", time.Minute), corev1.ContainerState{})))
	w.changed(full)
	topology.Reader = fake.NewClientBuilder().WithObjects(&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "checkout-5d8",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "checkout", Controller: new(true)}}}}).Build()
	w.changed(full)
	told := map[string]int{}
	for key := range w.workloads {
		found, _, _ := w.look(key)
		told[key] = len(found)
	}
	key := pipeline.WorkloadGroup(v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout"}).Key
	assert.Equal(t, map[string]int{key: 1}, told)
}

func TestDisabledAlertsAreNotToldAndEnd(t *testing.T) {
	db := v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "db"}
	cart := db
	cart.Name = "cart"
	index := pipeline.NewIndex("uid")
	var got []alert.Alert
	w := New(Options{Index: index, Disabled: []string{alert.RolloutStuck}, Now: func() time.Time { return noon }, Store: func(_ context.Context, alerts []alert.Alert) error {
		got = append(got, alerts...)
		return nil
	}})
	fresh, both := w.track(db)
	both.stuck, both.since = "deadline exceeded", noon
	both.events[alert.PodCreateFailed] = EventSum{First: noon.Add(-time.Minute), Last: noon, Message: "exceeded quota"}
	require.NoError(t, w.judge(t.Context(), fresh))
	require.Len(t, got, 1)
	assert.Equal(t, alert.PodCreateFailed, got[0].Name(), "what is not named is told")
	assert.Equal(t, "https://github.com/kubebot/kubebot/blob/main/docs/runbooks.md#podcreatefailed", got[0].Annotations[alert.AnnotationRunbook])

	fired, stuck := w.track(cart)
	stuck.stuck, stuck.since = "deadline exceeded", noon
	record := v1alpha1.IncidentAlert{Fingerprint: "1", Name: alert.RolloutStuck, Source: v1alpha1.AlertSourceWatch, State: v1alpha1.AlertFiring}
	index.Put(&v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: pipeline.IncidentName("uid", fired, 1)},
		Spec: v1alpha1.IncidentSpec{GroupKey: fired, Number: 1, OpeningAlerts: []v1alpha1.IncidentAlert{record}}})
	require.NoError(t, w.judge(t.Context(), fired))
	require.Len(t, got, 2)
	assert.False(t, got[1].Firing(), "what fired before it was disabled ends")
}

func TestSecretsInWhatIsWatchedAreMasked(t *testing.T) {
	a := alertOf(Finding{Name: alert.ContainerConfigError, Severity: v1alpha1.SeverityWarning, Summary: "Container app waits: token=hunter2hunter2",
		Description: `exec: "/app --password=hunter2hunter2"`}, nil, nil)
	for _, name := range []string{alert.AnnotationSummary, alert.AnnotationDescription} {
		text := a.Annotations[name]
		assert.NotContains(t, text, "hunter2", name)
		assert.Contains(t, text, mask.Hidden, name)
	}
}

func TestDeletedIncidentIsToldAgainWhileItsTroubleStands(t *testing.T) {
	checkout := v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout"}
	for name, c := range map[string]struct {
		stuck string
		stop  time.Duration // after the deletion
		want  []string
	}{
		"a rollout that is still stuck": {"deadline exceeded", time.Minute, []string{alert.RolloutStuck}},
		"one that went on":              {"", time.Minute, nil},
		"a KubeBot that goes with it":   {"deadline exceeded", 10 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				w := New(Options{Index: pipeline.NewIndex("uid"), Now: time.Now, Log: logr.Discard(), Store: func(_ context.Context, alerts []alert.Alert) error {
					for _, a := range alerts {
						got = append(got, a.Name())
					}
					return nil
				}})
				key, tracked := w.track(checkout)
				tracked.stuck, tracked.since = c.stuck, time.Now()
				w.Deleted(&v1alpha1.Incident{Spec: v1alpha1.IncidentSpec{GroupKey: key}})
				ctx, cancel := context.WithTimeout(t.Context(), c.stop)
				defer cancel()
				require.NoError(t, w.Run(ctx))
				assert.Equal(t, c.want, got)
			})
		})
	}
}
