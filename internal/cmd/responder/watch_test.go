package responder

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// deploy makes a Deployment with its ReplicaSet and one pod, as the controllers would.
func (r *rig) deploy(t *testing.T, name string) *corev1.Pod {
	labels := map[string]string{"app": name, "pod-template-hash": "1"}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "shop:2"}}}}
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: r.namespace, Name: name, Labels: labels}
	}
	d := &appsv1.Deployment{ObjectMeta: meta(name), Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template}}
	require.NoError(t, api.Create(t.Context(), d))
	set := &appsv1.ReplicaSet{ObjectMeta: meta(name + "-1"), Spec: appsv1.ReplicaSetSpec{Selector: d.Spec.Selector, Template: template}}
	set.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
	require.NoError(t, api.Create(t.Context(), set))
	pod := &corev1.Pod{ObjectMeta: meta(name + "-1-x"), Spec: template.Spec}
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}
	require.NoError(t, api.Create(t.Context(), pod))
	t.Cleanup(func() { // the responders of other tests see it too
		require.NoError(t, client.IgnoreNotFound(api.Delete(context.Background(), pod, client.GracePeriodSeconds(0))))
	})
	return pod
}

// state puts the pod's container into a state, as the kubelet would.
func state(t *testing.T, pod *corev1.Pod, ready bool, restarts int32, now, last corev1.ContainerState) {
	condition := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}
	if ready {
		condition.Status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{condition}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: "shop:2", RestartCount: restarts, State: now, LastTerminationState: last}}
	require.NoError(t, api.Status().Update(t.Context(), pod))
}

func TestCrashLoopIsSeenByTheWatchAndJoinedByTheRule(t *testing.T) {
	r := newRig(t, nil)
	p := r.start("a")
	r.start("b")
	pod := r.deploy(t, "checkout")
	failed := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", FinishedAt: metav1.Now()}}
	state(t, pod, false, 0, failed, corev1.ContainerState{})
	require.Eventually(t, func() bool { return len(r.incidents()) == 1 }, 10*time.Second, 10*time.Millisecond)
	assert.Empty(t, r.sink.messages(), "one crash may heal itself")

	state(t, pod, false, 1, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}, failed)
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, v1alpha1.TransitionOpened, r.sink.messages()[0].Transition)
	assert.Equal(t, "Deployment "+r.namespace+"/checkout", r.sink.messages()[0].Incident.Spec.Subject.Display)

	rule := down("checkout", "firing")
	rule.Labels["alertname"], rule.Labels["namespace"] = "PodCrashLooping", r.namespace
	require.Equal(t, http.StatusOK, p.post(token, body(t, rule)))
	require.Len(t, r.incidents(), 1, "the rule's alert joins")
	time.Sleep(time.Second)
	assert.Len(t, r.sink.messages(), 1, "and tells nothing new")

	require.NoError(t, api.Delete(t.Context(), pod))
	rule.Status = "resolved"
	require.Equal(t, http.StatusOK, p.post(token, body(t, rule)))
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 2 }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, v1alpha1.TransitionResolved, r.sink.messages()[1].Transition)
}

func TestWhatHealedWhileNobodyWatchedEndsAtTheStart(t *testing.T) {
	r := newRig(t, nil)
	first := r.start("a")
	pod := r.deploy(t, "checkout")
	state(t, pod, false, 1, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}}, corev1.ContainerState{})
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 10*time.Second, 10*time.Millisecond)
	first.stop()
	inc := r.incidents()[0]
	assert.Equal(t, "Pods of Deployment "+r.namespace+"/checkout can't pull their image shop:2, and no replica is ready", inc.Status.Cause)

	state(t, pod, true, 1, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}, corev1.ContainerState{})
	r.start("b")
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 2 }, 60*time.Second, 10*time.Millisecond)
	assert.Equal(t, v1alpha1.TransitionResolved, r.sink.messages()[1].Transition)
	require.Len(t, r.incidents(), 1)
}

func TestRestartRepeatsNothing(t *testing.T) {
	r := newRig(t, nil)
	first := r.start("a")
	pod := r.deploy(t, "checkout")
	state(t, pod, false, 1, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}, corev1.ContainerState{})
	require.Eventually(t, func() bool {
		list := r.incidents()
		return len(list) == 1 && list[0].Status.Receivers == "oncall:Delivered"
	}, 10*time.Second, 10*time.Millisecond)
	first.stop()
	before := r.incidents()[0].ResourceVersion
	r.start("b")
	time.Sleep(3 * time.Second) // another replica takes up to 2 s before it touches what it did not write
	assert.Len(t, r.sink.messages(), 1)
	assert.Equal(t, before, r.incidents()[0].ResourceVersion)
}
