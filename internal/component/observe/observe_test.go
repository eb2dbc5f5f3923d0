package observe_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
)

func waiting(container, reason string) corev1.Pod {
	return corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
	}}}}
}

func TestPodTroubleNamesNoPodAndNothingTwice(t *testing.T) {
	unschedulable := corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available",
	}}}}
	got := observe.PodTrouble([]corev1.Pod{
		waiting("responder", "ImagePullBackOff"), unschedulable, waiting("responder", "ImagePullBackOff"), waiting("a", "ContainerCreating"),
	})
	if want := "a pod can't be scheduled: Unschedulable, responder: ImagePullBackOff"; got != want {
		t.Errorf("PodTrouble = %q, want %q", got, want)
	}
}

func TestFindReadsTypedAndUntypedObjects(t *testing.T) {
	typed := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "typed"}}
	untyped := &unstructured.Unstructured{Object: map[string]any{
		"kind": "Deployment", "metadata": map[string]any{"name": "untyped"}, "spec": map[string]any{"replicas": int64(3)},
	}}
	seen := component.Observed{Objects: []client.Object{&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "untyped"}}, typed, untyped}}
	if got, ok := observe.Find[appsv1.Deployment](seen, "Deployment", "typed"); !ok || got != typed {
		t.Errorf("typed: %v, %v", got, ok)
	}
	if got, ok := observe.Find[appsv1.Deployment](seen, "Deployment", "untyped"); !ok || *got.Spec.Replicas != 3 {
		t.Errorf("untyped: %v, %v", got, ok)
	}
	if _, ok := observe.Find[appsv1.DaemonSet](seen, "DaemonSet", "typed"); ok {
		t.Error("a Deployment was found as a DaemonSet")
	}
}

func TestReadSaysWhatIsWrongWithAnAnswer(t *testing.T) {
	for want, answer := range map[string]component.Answer{
		"":                             {Status: 200, Body: []byte(`{"a": 1}`)},
		"does not answer":              {Err: "connection refused"},
		"answers with HTTP status 503": {Status: 503, Body: []byte(`{"a": 1}`)},
		"answers with more than 4 MiB": {Status: 200, Body: make([]byte, 4<<20), TooLarge: true},
		"answers with something that is not its format": {Status: 200, Body: []byte("<html>")},
	} {
		var into struct{ A int }
		if got := observe.Read(answer, &into); got != want || (want == "") != (into.A == 1) {
			t.Errorf("Read = %q and %v, want %q", got, into, want)
		}
	}
}

func TestDeploymentTrouble(t *testing.T) {
	deployment := func(generation, observed int64, updated, available int32) component.Observed {
		return component.Observed{Objects: []client.Object{&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "a", Generation: generation}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))},
			Status: appsv1.DeploymentStatus{ObservedGeneration: observed, UpdatedReplicas: updated, AvailableReplicas: available},
		}}}
	}
	for name, c := range map[string]struct {
		seen    component.Observed
		trouble bool
	}{
		"complete":           {deployment(2, 2, 2, 2), false},
		"not acted on":       {deployment(2, 1, 2, 2), true},
		"old pods still run": {deployment(2, 2, 1, 3), true},
		"a pod is not ready": {deployment(2, 2, 2, 1), true},
		"there is none":      {component.Observed{}, true},
	} {
		if got := observe.DeploymentTrouble(c.seen, "a"); (got != "") != c.trouble {
			t.Errorf("%s: DeploymentTrouble = %q", name, got)
		}
	}
}

func FuzzVectorSurvivesEveryAnswer(f *testing.F) {
	f.Add(200, []byte(`{"data":{"result":[{"metric":{"job":"a"},"value":[1,"2"]}]}}`))
	f.Add(200, []byte(`{"data":{"result":{}}}`))
	f.Add(503, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		vector, err := observe.Vector(component.Answer{Status: status, Body: body})
		if status != 200 && (err == nil || vector != nil) {
			t.Errorf("status %d gives %v, %v", status, vector, err)
		}
	})
}
