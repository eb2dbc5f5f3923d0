package watch

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/naming"
)

func TestJobThatTriesAConfigurationHasNoEnd(t *testing.T) {
	for component, want := range map[string]int{naming.ComponentTrial: 0, "training": 1, "": 1} {
		job := &batchv1.Job{}
		job.Spec.Template.Labels = map[string]string{naming.LabelComponent: component}
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}
		if got := len(trimJob(job).Status.Conditions); got != want {
			t.Errorf("component %q: %d conditions are kept, want %d", component, got, want)
		}
	}
}
