// Package job finds Jobs that gave up: too many failures, or no end by their deadline.
package job

import (
	"fmt"
	"regexp"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

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
			gaveUp(&out, j, c)
		}
		return []diagnosis.Finding{out}
	}
	return nil
}

// ruled is what the controller says of a pod that a rule of the pod failure policy fails the Job for.
var ruled = regexp.MustCompile(
	`^(?:Container (\S+) for pod \S+ failed with exit code (\d+)|Pod \S+ has condition (\S+)) matching FailJob rule at index (\d+)$`,
)

// gaveUp explains a Job that the controller ended for the failures of its pods.
func gaveUp(out *diagnosis.Finding, j *batchv1.Job, c batchv1.JobCondition) {
	out.Kind, out.Score, out.Symptom = diagnosis.KindUnknown, diagnosis.ScoreSymptom, true
	out.Fix = diagnosis.Fix{Explanation: "Repair why its pods fail, then make the Job anew: a Job that failed is not run again.",
		Commands: []string{diagnosis.Kubectl(j.Namespace, "logs", "job/"+j.Name, "--tail=50")}}
	indexes := "some indexes"
	if s := ptr.Deref(j.Status.FailedIndexes, ""); strings.ContainsAny(s, ",-") {
		indexes = "indexes " + diagnosis.Shorten(s, 60)
	} else if s != "" {
		indexes = "index " + s
	}
	switch c.Reason {
	case batchv1.JobReasonPodFailurePolicy:
		byPolicy(out, j, c.Message)
	case batchv1.JobReasonMaxFailedIndexesExceeded:
		most := ptr.Deref(j.Spec.MaxFailedIndexes, 0)
		out.Field, out.Value = "spec.maxFailedIndexes", fmt.Sprint(most)
		out.Sentence = fmt.Sprintf("Job %s gave up, because %s failed, more than it allows (spec.maxFailedIndexes is %d)",
			j.Name, indexes, most)
	case batchv1.JobReasonFailedIndexes:
		limit := ptr.Deref(j.Spec.BackoffLimitPerIndex, 0)
		out.Field, out.Value = "spec.backoffLimitPerIndex", fmt.Sprint(limit)
		out.Sentence = fmt.Sprintf("Job %s ran to its end, but %s failed (spec.backoffLimitPerIndex is %d)", j.Name, indexes, limit)
	default:
		limit := ptr.Deref(j.Spec.BackoffLimit, 6) // Kubernetes' default
		out.Field, out.Value = "spec.backoffLimit", fmt.Sprint(limit)
		out.Sentence = fmt.Sprintf("Job %s gave up after %s (spec.backoffLimit is %d)",
			j.Name, diagnosis.Plural(int(j.Status.Failed), "failed pod"), limit)
	}
}

// byPolicy explains a Job that its pod failure policy ended.
func byPolicy(out *diagnosis.Finding, j *batchv1.Job, message string) {
	out.Field, out.Value = "spec.podFailurePolicy", string(batchv1.PodFailurePolicyActionFailJob)
	m := ruled.FindStringSubmatch(message)
	if m == nil {
		out.Sentence = fmt.Sprintf("Job %s gave up by its pod failure policy (spec.podFailurePolicy): %s",
			j.Name, strings.TrimRight(diagnosis.Shorten(message, 200), ". "))
		return
	}
	what := fmt.Sprintf("container %s of a pod ended with code %s", m[1], m[2])
	if m[3] != "" {
		what = fmt.Sprintf("a pod has condition %s", m[3])
	}
	out.Field += ".rules[" + m[4] + "].action"
	out.Sentence = fmt.Sprintf("Job %s gave up after %s, because %s, for which spec.podFailurePolicy.rules[%s] says %s",
		j.Name, diagnosis.Plural(int(j.Status.Failed), "failed pod"), what, m[4], out.Value)
}
