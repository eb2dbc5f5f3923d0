package watch

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func ended(code int32, reason string, since time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, FinishedAt: ago(since)}}
}

func running(since time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(since)}}
}

func pod(name string, ready bool, restarts int32, state, last corev1.ContainerState) *corev1.Pod {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "shop:2"}}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "app", RestartCount: restarts, State: state, LastTerminationState: last}}}}
}

func unschedulable(since time.Duration) *corev1.Pod {
	p := pod("p", false, 0, corev1.ContainerState{}, corev1.ContainerState{})
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available", LastTransitionTime: ago(since)})
	return p
}

func TestJudge(t *testing.T) {
	none := corev1.ContainerState{}
	healthy := pod("q", true, 0, running(time.Hour), none)
	deleted := pod("p", false, 9, waiting("CrashLoopBackOff", ""), none)
	deleted.DeletionTimestamp = &metav1.Time{Time: noon}
	sum := func(first, last time.Duration) map[string]EventSum {
		return map[string]EventSum{alert.VolumeMountFailed: {First: noon.Add(-first), Last: noon.Add(-last), Message: "no such volume"}}
	}
	uncreated := map[string]EventSum{alert.PodCreateFailed: {First: noon.Add(-2 * time.Minute), Last: noon.Add(-time.Minute), Message: "exceeded quota"}}
	older, newer := pod("p", false, 0, none, none), pod("p", false, 0, none, none)
	older.CreationTimestamp, newer.CreationTimestamp = ago(time.Hour), ago(time.Second)
	for name, c := range map[string]struct {
		kind string
		w    Workload
		want map[string]v1alpha1.Severity
		next time.Duration // from noon; 0 for never
	}{
		"a healthy workload":          {w: Workload{Pods: []*corev1.Pod{healthy}}},
		"a first crash is a warning":  {w: Workload{Pods: []*corev1.Pod{pod("p", false, 0, ended(1, "Error", 0), none)}}, want: map[string]v1alpha1.Severity{alert.PodCrashed: "warning"}},
		"a first crash heals in time": {w: Workload{Pods: []*corev1.Pod{pod("p", true, 1, running(20*time.Second), ended(1, "Error", 21*time.Second))}}, want: map[string]v1alpha1.Severity{alert.PodCrashed: "warning"}, next: 40 * time.Second},
		"a first crash has healed":    {w: Workload{Pods: []*corev1.Pod{pod("p", true, 1, running(crashHold), ended(1, "Error", 2*time.Minute))}}},
		"a back-off without a ready replica is critical": {w: Workload{Pods: []*corev1.Pod{pod("p", false, 1, waiting("CrashLoopBackOff", "back-off 10s"), ended(1, "Error", 0))}},
			want: map[string]v1alpha1.Severity{alert.PodCrashLooping: "critical"}},
		"a back-off beside a ready replica is a warning": {w: Workload{Pods: []*corev1.Pod{healthy, pod("p", false, 3, waiting("CrashLoopBackOff", ""), ended(1, "Error", 0))}},
			want: map[string]v1alpha1.Severity{alert.PodCrashLooping: "warning"}},
		"a loop is held while the container runs for a while": {w: Workload{Pods: []*corev1.Pod{pod("p", true, 7, running(time.Minute), ended(1, "Error", 2*time.Minute))}},
			want: map[string]v1alpha1.Severity{alert.PodCrashLooping: "warning"}, next: 4 * time.Minute},
		"a loop ends":                               {w: Workload{Pods: []*corev1.Pod{pod("p", true, 7, running(loopHold), ended(1, "Error", 6*time.Minute))}}},
		"an end without an error":                   {w: Workload{Pods: []*corev1.Pod{pod("p", false, 0, ended(0, "Completed", 0), none)}}},
		"a kill for memory":                         {w: Workload{Pods: []*corev1.Pod{healthy, pod("p", false, 2, running(0), ended(137, "OOMKilled", time.Second))}}, want: map[string]v1alpha1.Severity{alert.OOMKilled: "warning", alert.PodCrashLooping: "warning"}, next: loopHold},
		"an image that can't be pulled":             {w: Workload{Pods: []*corev1.Pod{pod("p", false, 0, waiting("ErrImagePull", "not found"), none)}}, want: map[string]v1alpha1.Severity{alert.ImagePullFailed: "critical"}},
		"a config error":                            {w: Workload{Pods: []*corev1.Pod{pod("p", false, 0, waiting("CreateContainerConfigError", "secret not found"), none)}}, want: map[string]v1alpha1.Severity{alert.ContainerConfigError: "critical"}},
		"a container that is being made":            {w: Workload{Pods: []*corev1.Pod{pod("p", false, 0, waiting("ContainerCreating", ""), none)}}},
		"a pod that is being deleted":               {w: Workload{Pods: []*corev1.Pod{deleted}}},
		"a Job's pods may fail":                     {kind: "Job", w: Workload{Pods: []*corev1.Pod{never(pod("p", false, 0, ended(1, "Error", 0), none))}}},
		"a Job that failed":                         {kind: "Job", w: Workload{Failed: "deadline", FailedSince: noon}, want: map[string]v1alpha1.Severity{alert.JobFailed: "warning"}},
		"a pod of its own is not serving":           {kind: "Pod", w: Workload{Pods: []*corev1.Pod{pod("p", false, 1, waiting("CrashLoopBackOff", ""), none)}}, want: map[string]v1alpha1.Severity{alert.PodCrashLooping: "warning"}},
		"an evicted pod that was replaced":          {w: Workload{Pods: []*corev1.Pod{healthy, evicted(pod("p", false, 0, ended(137, "Error", 0), none))}}},
		"an evicted pod, for a while":               {w: Workload{Pods: []*corev1.Pod{healthy, fromNode(evicted(pod("p", false, 0, ended(137, "Error", 0), none)), "Evicted", time.Minute)}}, want: map[string]v1alpha1.Severity{alert.PodEvicted: "warning"}, next: evictedHold - time.Minute},
		"an evicted pod that was over its limit":    {w: Workload{Pods: []*corev1.Pod{healthy, overLimit(evicted(pod("p", false, 0, ended(137, "Error", 2*time.Minute), none)))}}, want: map[string]v1alpha1.Severity{alert.PodEvicted: "warning"}, next: evictedHold - 2*time.Minute},
		"an eviction of old":                        {w: Workload{Pods: []*corev1.Pod{healthy, fromNode(evicted(pod("p", false, 0, ended(137, "Error", 0), none)), "Evicted", evictedHold)}}},
		"a node that was shut down lately":          {w: Workload{Pods: []*corev1.Pod{healthy, fromNode(evicted(pod("p", false, 0, ended(143, "Error", 0), none)), "Terminated", time.Minute)}}},
		"a pod of a node that was shut down":        {w: Workload{Pods: []*corev1.Pod{evicted(pod("p", false, 4, ended(143, "Error", 0), none))}}},
		"an evicted pod of a Job":                   {kind: "Job", w: Workload{Pods: []*corev1.Pod{onFailure(evicted(pod("p", false, 0, ended(137, "Error", 0), none)))}}},
		"an evicted pod that nobody replaces":       {kind: "Pod", w: Workload{Pods: []*corev1.Pod{alone(evicted(pod("p", false, 0, ended(137, "Error", 0), none)))}}, want: map[string]v1alpha1.Severity{alert.PodCrashed: "warning"}},
		"a crash beside an evicted pod":             {w: Workload{Pods: []*corev1.Pod{evicted(pod("p", false, 0, ended(137, "Error", 0), none)), pod("r", false, 1, waiting("CrashLoopBackOff", ""), ended(1, "Error", 0))}}, want: map[string]v1alpha1.Severity{alert.PodCrashLooping: "critical"}},
		"a volume that came, beside an evicted pod": {w: Workload{Pods: []*corev1.Pod{healthy, evicted(pod("p", false, 0, none, none))}, Events: sum(time.Minute, 0)}},
		"a stuck rollout":                           {w: Workload{Stuck: "deadline exceeded", StuckSince: noon, Pods: []*corev1.Pod{healthy}}, want: map[string]v1alpha1.Severity{alert.RolloutStuck: "warning"}},
		"a pod that waits for a node for a moment":  {w: Workload{Pods: []*corev1.Pod{unschedulable(time.Minute)}}, next: time.Minute},
		"a pod that waits for a node for long":      {w: Workload{Pods: []*corev1.Pod{unschedulable(schedulingPatience)}}, want: map[string]v1alpha1.Severity{alert.PodUnschedulable: "critical"}},
		"a volume that was late":                    {w: Workload{Pods: []*corev1.Pod{pod("p", false, 0, none, none)}, Events: sum(10*time.Second, 0)}},
		"a volume that does not come":               {w: Workload{Pods: []*corev1.Pod{pod("p", false, 0, none, none)}, Events: sum(time.Minute, 0)}, want: map[string]v1alpha1.Severity{alert.VolumeMountFailed: "critical"}, next: eventHold},
		"a volume that came at last":                {w: Workload{Pods: []*corev1.Pod{healthy}, Events: sum(time.Minute, 0)}},
		"pods that can't be created":                {w: Workload{Pods: []*corev1.Pod{older}, Events: uncreated}, want: map[string]v1alpha1.Severity{alert.PodCreateFailed: "critical"}, next: eventHold - time.Minute},
		"pods that could be created in the end":     {w: Workload{Pods: []*corev1.Pod{newer}, Events: uncreated}},
		"a volume event of old":                     {w: Workload{Pods: []*corev1.Pod{pod("p", false, 0, none, none)}, Events: sum(time.Hour, eventHold)}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.kind == "" {
				c.kind = "Deployment"
			}
			for i, p := range c.w.Pods {
				c.w.Pods[i] = trimPod(p.DeepCopy())
			}
			c.w.Subject = v1alpha1.Subject{Kind: c.kind, Namespace: "shop", Name: "checkout"}
			found, next := Judge(c.w, noon)
			got := map[string]v1alpha1.Severity{}
			for _, f := range found {
				got[f.Name] = f.Severity
				assert.Contains(t, f.Summary, c.kind+" shop/checkout")
			}
			if c.want == nil {
				c.want = map[string]v1alpha1.Severity{}
			}
			assert.Equal(t, c.want, got)
			if c.next == 0 {
				assert.True(t, next.IsZero(), "%s", next)
			} else {
				assert.Equal(t, c.next, next.Sub(noon))
			}
		})
	}
}

func never(p *corev1.Pod) *corev1.Pod {
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	return p
}

// evicted makes what is left of a ReplicaSet's pod that was evicted, or whose node was shut down.
func evicted(p *corev1.Pod) *corev1.Pod {
	p.Status.Phase, p.Spec.RestartPolicy = corev1.PodFailed, corev1.RestartPolicyAlways
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "checkout-5d8", Controller: new(true)}}
	return p
}

// fromNode makes it what the kubelet says of a pod that it ended for a reason.
func fromNode(p *corev1.Pod, reason string, since time.Duration) *corev1.Pod {
	p.Status.Reason, p.Status.Message = reason, "Usage of EmptyDir volume \"data\" exceeds the limit \"64Mi\". "
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "TerminationByKubelet", LastTransitionTime: ago(since)})
	return p
}

// overLimit makes it what the kubelet says of a pod that was over its own limit of disk.
func overLimit(p *corev1.Pod) *corev1.Pod {
	p.Status.Reason, p.Status.Message = "Evicted", "Usage of EmptyDir volume \"data\" exceeds the limit \"64Mi\". "
	return p
}

func onFailure(p *corev1.Pod) *corev1.Pod {
	p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	return p
}

func alone(p *corev1.Pod) *corev1.Pod {
	p.OwnerReferences = nil
	return p
}

func TestJudgeNamesTheImageThatCannotBePulled(t *testing.T) {
	found, _ := Judge(Workload{Subject: v1alpha1.Subject{Kind: "Deployment", Namespace: "shop", Name: "checkout"},
		Pods: []*corev1.Pod{pod("p", false, 0, waiting("ErrImagePull", "manifest unknown"), corev1.ContainerState{})}}, noon)
	assert.Equal(t, "Pods of Deployment shop/checkout can't pull their image shop:2, and no replica is ready", found[0].Summary)
	assert.Equal(t, "1 pod(s), such as p: Container app waits: ErrImagePull: manifest unknown", found[0].Description)
}

func TestJudgeNode(t *testing.T) {
	node := func(status corev1.ConditionStatus, since time.Duration, cordoned bool) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: corev1.NodeSpec{Unschedulable: cordoned},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, LastTransitionTime: ago(since)}}}}
	}
	full := node(corev1.ConditionTrue, time.Hour, false)
	full.Status.Conditions = append(full.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue, LastTransitionTime: ago(0)})
	for name, c := range map[string]struct {
		node *corev1.Node
		want []string
		next time.Duration
	}{
		"a ready node":        {node(corev1.ConditionTrue, time.Hour, false), nil, 0},
		"a node that joins":   {node(corev1.ConditionFalse, 5*time.Second, false), nil, 15 * time.Second},
		"a node that is lost": {node(corev1.ConditionUnknown, time.Minute, false), []string{alert.NodeNotReady}, 0},
		"a cordoned node":     {node(corev1.ConditionFalse, time.Minute, true), nil, 0},
		"a full disk":         {full, []string{alert.NodePressure}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			found, next := JudgeNode(c.node, noon)
			var got []string
			for _, f := range found {
				got = append(got, f.Name)
			}
			assert.Equal(t, c.want, got)
			if c.next > 0 {
				assert.Equal(t, c.next, next.Sub(noon))
			}
		})
	}
}

// The list is what the runbooks and spec.alerting.defaultRules.disabled go by.
func TestEveryFindingIsListed(t *testing.T) {
	assert.ElementsMatch(t, alert.Watched(), append(slices.Collect(maps.Keys(summaries)), alert.NodeNotReady, alert.NodePressure))
}
