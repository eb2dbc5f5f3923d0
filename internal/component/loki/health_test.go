package loki

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// live is the StatefulSet with so many available pods.
func live(available int32) []client.Object {
	return []client.Object{&appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "main-loki", Namespace: "kubebot"},
		Spec:       appsv1.StatefulSetSpec{Replicas: new(int32(1))},
		Status:     appsv1.StatefulSetStatus{UpdatedReplicas: 1, AvailableReplicas: available},
	}}
}

func answer(status int) map[string]component.Answer {
	return map[string]component.Answer{keyReady: {Status: status}}
}

func TestHealth(t *testing.T) {
	external := v1alpha1.LokiSpec{Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalLoki{ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: "https://loki.example.com/"}}}
	waiting := []corev1.Pod{{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "loki", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError"}},
	}}}}}
	for name, c := range map[string]struct {
		spec   v1alpha1.LokiSpec
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"switched off":          {v1alpha1.LokiSpec{Mode: v1alpha1.ModeDisabled}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "spec.logs.loki.mode"},
		"not applied yet":       {v1alpha1.LokiSpec{}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "does not exist"},
		"a Secret is missing":   {v1alpha1.LokiSpec{}, component.Observed{Objects: live(0), Pods: waiting}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "loki: CreateContainerConfigError"},
		"answers":               {v1alpha1.LokiSpec{}, component.Observed{Objects: live(1), Answers: answer(200)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "answers"},
		"runs and does not":     {v1alpha1.LokiSpec{}, component.Observed{Objects: live(1), Answers: answer(0)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "does not answer"},
		"runs and is not ready": {v1alpha1.LokiSpec{}, component.Observed{Objects: live(1), Answers: answer(503)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "503"},
		"external is well":      {external, component.Observed{Answers: answer(200)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "external"},
		"external is away":      {external, component.Observed{Answers: answer(0)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "external.url"},
	} {
		t.Run(name, func(t *testing.T) {
			h := Component{}.Health(input(c.spec), c.seen)
			if h.Status != c.status || h.Reason != c.reason || !strings.Contains(h.Message, c.part) {
				t.Errorf("%s %s %q; want %s %s with %q", h.Status, h.Reason, h.Message, c.status, c.reason, c.part)
			}
		})
	}
}

func TestOnlyAnEmptyDirIsCalledEphemeral(t *testing.T) {
	volume := v1alpha1.StorageSpec{Size: new(resource.MustParse("5Gi"))}
	for spec, want := range map[*v1alpha1.LokiSpec]int{
		{}: 1,
		// What is not in the bucket yet is in the pod's volume.
		{ObjectStorage: &v1alpha1.ObjectStorage{Bucket: "logs"}}:                  1,
		{ObjectStorage: &v1alpha1.ObjectStorage{Bucket: "logs"}, Storage: volume}: 0,
		{Storage: volume}:             0,
		{Mode: v1alpha1.ModeDisabled}: 0,
	} {
		if got := (Component{}).Health(input(*spec), component.Observed{}).Extra; len(got) != want {
			t.Errorf("%+v: further conditions are %v", spec, got)
		}
	}
}

func TestAnEvictionIsToldWithTheSizeThatItComesAt(t *testing.T) {
	in := input(v1alpha1.LokiSpec{Storage: v1alpha1.StorageSpec{EphemeralLimit: new(resource.MustParse("3Gi"))}})
	questions := Component{}.Questions(in)
	if len(questions) != 2 || !strings.Contains(questions[1].URL, "emptydir_evicted") {
		t.Fatalf("Questions = %v", questions)
	}
	for result, evicted := range map[string]bool{"": false, `{"metric":{},"value":[1,"1"]}`: true} {
		seen := component.Observed{Objects: live(1), Answers: answer(200)}
		seen.Answers[questions[1].Key] = component.Answer{Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[` + result + `]}}`)}
		extra := Component{}.Health(in, seen).Extra
		if len(extra) != 1 || !strings.Contains(extra[0].Message, "above 3Gi the pod is evicted") || strings.Contains(extra[0].Message, "was probably evicted") != evicted {
			t.Errorf("evicted %v: %+v", evicted, extra)
		}
	}
	in.KubeBot.Spec.Metrics.Prometheus.Mode = v1alpha1.ModeDisabled
	if questions := (Component{}).Questions(in); len(questions) != 1 {
		t.Errorf("without a managed Prometheus: %v", questions)
	}
}

// The manager's question is answered by the real program, which takes OTLP and finds it by the labels that queries use.
func TestARealLokiIsReadyAndFindsWhatItTookByOTLP(t *testing.T) {
	program := golden.Program(t, "loki")
	base := startLoki(t, program, v1alpha1.LokiSpec{})
	in := input(v1alpha1.LokiSpec{})
	path := strings.TrimPrefix(Component{}.Questions(in)[0].URL, "http://main-loki.kubebot.svc:3100")
	h := Component{}.Health(in, component.Observed{Objects: live(1), Answers: map[string]component.Answer{keyReady: golden.Ask(t, base+path)}})
	if h.Status != metav1.ConditionTrue {
		t.Fatalf("%s %q; want ready", h.Reason, h.Message)
	}
	long := strings.Repeat("x", 300<<10)
	push(t, base, "checkout", "a first line", "and one that is too long: "+long)
	found := query(t, base, `{service_name="checkout", k8s_namespace_name="shop", k8s_container_name="app"} | trace_id="0102030405060708090a0b0c0d0e0f10" | k8s_pod_name="checkout-1"`)
	if len(found) != 2 {
		t.Fatalf("found %d lines by labels and structured metadata; want 2", len(found))
	}
	for _, line := range found {
		if line != "a first line" && len(line) != 256<<10 {
			t.Errorf("a line of %d bytes; want the long one cut to 256 KiB", len(line))
		}
	}
}
