package watch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/mask"
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
			tracked.events[PodCreateFailed] = EventSum{First: noon.Add(-time.Minute), Last: noon, Message: "exceeded quota"}
			found, _, _ := w.look(key)
			assert.Len(t, found, 1, "before the deletion")
			w.deleted(toolscache.DeletedFinalStateUnknown{Obj: object})
			found, _, _ = w.look(key)
			assert.Empty(t, found, "after the deletion")
		})
	}
}

func TestSecretsInWhatIsWatchedAreMasked(t *testing.T) {
	a := alertOf(Finding{Name: ContainerConfigError, Severity: v1alpha1.SeverityWarning, Summary: "Container app waits: token=hunter2hunter2",
		Description: `exec: "/app --password=hunter2hunter2"`}, nil, nil)
	for name, text := range a.Annotations {
		assert.NotContains(t, text, "hunter2", name)
		assert.Contains(t, text, mask.Hidden, name)
	}
}
