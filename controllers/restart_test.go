package controllers_test

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// No kubelet and no Deployment controller run here: the test says what they would.
func (b *bench) available(name string, since time.Duration) {
	b.t.Helper()
	d := &appsv1.Deployment{}
	b.get(d, b.ns, name)
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
		Conditions: []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Now().Add(-since)),
		}},
	}
	if err := b.client.Status().Update(b.t.Context(), d); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) restarted(name string) (stamp string) {
	b.t.Helper()
	d := &appsv1.Deployment{}
	b.get(d, b.ns, name)
	return d.Spec.Template.Annotations[naming.AnnotationRestarted]
}

func TestWhatRunsAndNoLongerWorksIsRestarted(t *testing.T) {
	c := web()
	c.health = func(in component.Input, _ component.Observed) component.Health {
		return component.Health{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoProof, Message: "mute",
			Restarts: []component.Restart{{Deployment: naming.Object(in.KubeBot, "web"), After: time.Minute, Why: "it is mute"}},
		}
	}
	b := newBench(t, c).start()
	b.kubebot(b.ns, "main")
	b.get(&appsv1.Deployment{}, b.ns, "main-web")
	b.available("main-web", time.Second)
	b.quiet()
	if stamp := b.restarted("main-web"); stamp != "" {
		t.Fatalf("one that has just begun was restarted at %s", stamp)
	}
	b.available("main-web", time.Hour)
	b.eventually("a restart", func() error {
		if b.restarted("main-web") == "" {
			return fmt.Errorf("not restarted")
		}
		return nil
	})
	b.eventually("an event that says so", func() error {
		list := &eventsv1.EventList{}
		if err := b.client.List(t.Context(), list, client.InNamespace(b.ns)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Reason == v1alpha1.ReasonRestarted && contains(e.Note, "it is mute") {
				return nil
			}
		}
		return fmt.Errorf("have %d others", len(list.Items))
	})
	stamp := b.restarted("main-web")
	b.quietFor(6 * time.Second) // longer than the pause between two looks
	if again := b.restarted("main-web"); again != stamp {
		t.Errorf("restarted again at %q before the first restart was through", again)
	}
}
