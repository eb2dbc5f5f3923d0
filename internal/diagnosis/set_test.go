package diagnosis

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPlainCommandsCarryTheSamePatch(t *testing.T) {
	job := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "nightly"}}
	job.Spec.JobTemplate.Spec.Template.Spec = corev1.PodSpec{InitContainers: []corev1.Container{{Name: "wait"}}, Containers: []corev1.Container{{Name: "app"}}}
	w, _ := WorkloadOf(job)
	for command, test := range map[string]struct {
		patch Patch
		body  string
	}{
		"kubectl -n shop set image cronjob/nightly app=app:2": {
			w.SetImage("app", "app:2"), `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"image":"app:2","name":"app"}]}}}}}}`},
		"kubectl -n shop set resources cronjob/nightly -c wait --limits=memory=1Gi": {
			w.SetResource("wait", "limits", "memory", "1Gi"), `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"initContainers":[{"name":"wait","resources":{"limits":{"memory":"1Gi"}}}]}}}}}}`},
		"kubectl -n shop set resources cronjob/nightly -c app --limits=cpu=1,memory=1Gi --requests=cpu=500m": {
			w.SetResources("app", corev1.ResourceRequirements{
				Limits:   corev1.ResourceList{"memory": resource.MustParse("1Gi"), "cpu": resource.MustParse("1")},
				Requests: corev1.ResourceList{"cpu": resource.MustParse("500m")},
			}), `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"app","resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}}}]}}}}}}`},
		"kubectl -n shop set env cronjob/nightly -c app 'A=b c'": {
			w.SetEnv("app", "A", "b c"), `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"env":[{"name":"A","value":"b c"}],"name":"app"}]}}}}}}`},
		"kubectl -n shop scale cronjob/nightly --replicas=2": {Scale(w.Object, 2), `{"spec":{"replicas":2}}`},
		"kubectl -n shop rollout resume cronjob/nightly":     {Resume(w.Object), `{"spec":{"paused":null}}`},
	} {
		if got := test.patch.Command(); got != command {
			t.Errorf("got the command %s, want %s", got, command)
		}
		if test.patch.Body != test.body || test.patch.Object != w.Object {
			t.Errorf("%s: got %s of %s, want %s", command, test.patch.Body, test.patch.Object, test.body)
		}
	}
}
