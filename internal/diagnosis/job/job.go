// Package job finds Jobs that gave up: too many failures, or no end by their deadline.
package job

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds Jobs that failed.
var Detector = diagnosis.Detector{Name: "job", Doc: "Jobs that failed: backoff limit, deadline, suspended", Detect: detect}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	newest := newestOf(f)
	for i := range f.Jobs {
		if j := &f.Jobs[i]; j.Name == newest {
			out = append(out, check(f, j)...)
		}
	}
	return out
}

// newestOf is the name of the newest Job: earlier ones of a CronJob tell of earlier days.
func newestOf(f *diagnosis.Facts) string {
	var newest *batchv1.Job
	for i := range f.Jobs {
		if newest == nil || newest.CreationTimestamp.Before(&f.Jobs[i].CreationTimestamp) {
			newest = &f.Jobs[i]
		}
	}
	if newest == nil {
		return ""
	}
	return newest.Name
}

func check(f *diagnosis.Facts, j *batchv1.Job) []diagnosis.Finding {
	out := diagnosis.Finding{Object: diagnosis.Object{APIVersion: "batch/v1", Kind: "Job", Namespace: j.Namespace, Name: j.Name}}
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		out.Kind, out.Score, out.Field, out.Value = diagnosis.KindConfig, diagnosis.ScoreCertain, "spec.suspend", "true"
		out.Sentence = fmt.Sprintf("Job %s is suspended (spec.suspend), so it makes no pods", j.Name)
		out.Fix = diagnosis.FixBy("Let the Job run.", []diagnosis.Patch{{Object: out.Object, Type: "merge", Body: `{"spec":{"suspend":false}}`}})
		return []diagnosis.Finding{out}
	}
	for _, c := range j.Status.Conditions {
		if c.Type != batchv1.JobFailed || c.Status != corev1.ConditionTrue {
			continue
		}
		out.Evidence = []string{fmt.Sprintf("condition Failed: %s: %s", c.Reason, c.Message)}
		switch c.Reason {
		case "DeadlineExceeded":
			seconds := int64(0)
			if j.Spec.ActiveDeadlineSeconds != nil {
				seconds = *j.Spec.ActiveDeadlineSeconds
			}
			out.Kind, out.Score, out.Field, out.Value = diagnosis.KindConfig, diagnosis.ScoreStrong, "spec.activeDeadlineSeconds", fmt.Sprint(seconds)
			out.Sentence = fmt.Sprintf("Job %s did not end within its deadline of %d s (spec.activeDeadlineSeconds) and was stopped", j.Name, seconds)
			out.Fix = diagnosis.Fix{
				Explanation: "Give the Job more time if its work needs it, and make it anew: a Job that failed is not run again. See first that it does not hang.",
				Commands:    []string{diagnosis.Kubectl(j.Namespace, "get", "job", j.Name, "-o", "yaml")},
			}
		default:
			out.Kind, out.Score, out.Symptom = diagnosis.KindUnknown, diagnosis.ScoreSymptom, true
			out.Field, out.Value = "spec.backoffLimit", fmt.Sprint(value(j.Spec.BackoffLimit))
			out.Sentence = fmt.Sprintf("Job %s gave up after %s (spec.backoffLimit is %d)",
				j.Name, diagnosis.Plural(int(j.Status.Failed), "failed pod"), value(j.Spec.BackoffLimit))
			out.Fix = diagnosis.Fix{Explanation: "Repair why its pods fail, then make the Job anew: a Job that failed is not run again.",
				Commands: []string{diagnosis.Kubectl(j.Namespace, "logs", "job/"+j.Name, "--tail=50")}}
		}
		return []diagnosis.Finding{out}
	}
	return nil
}

func value(p *int32) int32 {
	if p == nil {
		return 6 // Kubernetes' default
	}
	return *p
}
