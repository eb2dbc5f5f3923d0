package diagnosis

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OfPastTry tells whether a pod is one of a Job that completed nevertheless, or of an earlier Job whose failure a later one
// has outdated. Such pods stay to be read, and say nothing of how the workload is now. A pod that was asked about counts.
func (f *Facts) OfPastTry(p *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil || owner.Kind != "Job" || f.Subject.Kind == "Pod" && f.Subject.Name == p.Name {
		return false
	}
	job := find(f.Jobs, owner.Name)
	return job != nil && f.past(job)
}

// past tells whether a Job completed, or failed before a later one ended. A Job that was asked about counts until it
// completes, and one that runs counts beside later ones.
func (f *Facts) past(job *batchv1.Job) bool {
	switch {
	case completed(job):
		return true
	case !ended(job) || f.Subject.Kind == "Job" && f.Subject.Name == job.Name:
		return false
	}
	for i := range f.Jobs {
		if later := &f.Jobs[i]; ended(later) && job.CreationTimestamp.Before(&later.CreationTimestamp) {
			return true
		}
	}
	return false
}

func completed(job *batchv1.Job) bool { return job.Status.CompletionTime != nil }

func ended(job *batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return completed(job)
}
