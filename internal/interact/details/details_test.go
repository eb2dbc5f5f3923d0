package details

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
)

func facts() *diagnosis.Facts {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f := &diagnosis.Facts{Now: now, Subject: diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "checkout"}}
	f.Workload = diagnosis.Workload{Object: f.Subject, Desired: 2, Ready: 1, Updated: 2, Conditions: []diagnosis.Condition{{Type: "Available", Status: "False", Message: "too few"}}}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "checkout-1"}, Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app"}}}}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", RestartCount: 4,
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}}}}
	well := *pod.DeepCopy()
	well.Name, well.Status.ContainerStatuses = "checkout-0", nil
	well.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	f.Pods = []corev1.Pod{well, pod}
	event := func(kind, name, message string) corev1.Event {
		return corev1.Event{Type: corev1.EventTypeWarning, Reason: "BackOff", Message: message, LastTimestamp: metav1.NewTime(now),
			InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name}}
	}
	f.Events = []corev1.Event{event("Pod", "checkout-1", "restarting, password=hunter2"), event("Pod", "cart-1", "another's")}
	f.Logs = []diagnosis.Log{{Pod: "checkout-1", Container: "app", Previous: true, Lines: []diagnosis.Line{{Text: "token=xoxb-1234567890-abcdef start"}, {Text: "last line"}}}}
	f.Unread = []diagnosis.Unread{{Kind: "Node", Name: "n1", Reason: "forbidden"}}
	return f
}

func TestFactsAreToldInTroubledFirstOrderWithoutSecrets(t *testing.T) {
	text := Text(facts())
	for _, want := range []string{
		"Deployment checkout: 1 of 2 pods ready", "Available is False: too few", "app waits: CrashLoopBackOff back-off", "app ended: OOMKilled, exit code 137",
		"4 restarts", "on n1", "event BackOff of Pod checkout-1", "Log of the last run of app in checkout-1", "last line", "Not read: Node n1 (forbidden)",
	} {
		assert.Contains(t, text, want)
	}
	assert.Less(t, strings.Index(text, "Pod checkout-1"), strings.Index(text, "Pod checkout-0"))
	for _, secret := range []string{"hunter2", "xoxb-1234567890", "another's"} {
		assert.NotContains(t, text, secret)
	}
}

func TestMuchIsCut(t *testing.T) {
	f := facts()
	for range 100 {
		f.Pods = append(f.Pods, f.Pods[0])
		f.Events = append(f.Events, f.Events[0])
		f.Logs[0].Lines = append(f.Logs[0].Lines, diagnosis.Line{Text: strings.Repeat("x", 1000)})
	}
	text := Text(f)
	assert.Contains(t, text, "more pods")
	assert.Less(t, len(text), 9000)
}

func TestWhatTheClusterHoldsIsRead(t *testing.T) {
	labels := map[string]string{"app": "checkout"}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "checkout"},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}}}}
	teller := Teller{Kube: fake.NewClientset(deployment)}
	inc := &v1alpha1.Incident{}
	inc.Spec.Subject = v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout"}
	assert.Contains(t, teller.Tell(context.Background(), inc), "Deployment checkout: 0 of 1 pods ready")
	inc.Spec.Subject.Name = "gone"
	assert.Contains(t, teller.Tell(context.Background(), inc), "can't be read")
	inc.Spec.Subject.Kind = "Alert"
	assert.Empty(t, teller.Tell(context.Background(), inc))
}
