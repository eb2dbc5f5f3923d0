// Package cronjob finds CronJobs that make no Jobs: suspended, missed too often, held back by a Job that still runs.
package cronjob

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds CronJobs that do not run.
var Detector = diagnosis.Detector{Name: "cronjob", Doc: "CronJobs that are suspended, missed their times or are held back", Detect: detect}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i := range f.CronJobs {
		c := &f.CronJobs[i]
		base := diagnosis.Finding{
			Kind: diagnosis.KindConfig, Score: diagnosis.ScoreCertain,
			Object: diagnosis.Object{APIVersion: "batch/v1", Kind: "CronJob", Namespace: c.Namespace, Name: c.Name},
		}
		if c.Spec.Suspend != nil && *c.Spec.Suspend {
			base.Field, base.Value = "spec.suspend", "true"
			base.Sentence = fmt.Sprintf("CronJob %s is suspended (spec.suspend), so it makes no Jobs", c.Name)
			base.Fix = diagnosis.FixBy("Let the CronJob run.", []diagnosis.Patch{{Object: base.Object, Type: "merge", Body: `{"spec":{"suspend":false}}`}})
			out = append(out, base)
			continue
		}
		out = append(out, told(f, c, base)...)
	}
	return out
}

// told explains the newest warning that still holds: none is left once a Job was made.
func told(f *diagnosis.Facts, c *batchv1.CronJob, base diagnosis.Finding) []diagnosis.Finding {
	events := f.EventsOf("CronJob", c.Name, string(c.UID))
	made := slices.IndexFunc(events, func(e corev1.Event) bool { return e.Reason == "SuccessfulCreate" })
	for _, e := range events {
		if made >= 0 && !diagnosis.EventTime(&e).After(diagnosis.EventTime(&events[made])) {
			return nil
		}
		if corrected(c, &e) {
			continue
		}
		x := base
		x.Evidence = []string{diagnosis.EventEvidence(&e)}
		switch e.Reason {
		case "TooManyMissedTimes", "FailedNeedsStart":
			x.Field, x.Value, x.Score = "spec.startingDeadlineSeconds", "", diagnosis.ScoreStrong
			x.Sentence = fmt.Sprintf("CronJob %s has missed too many start times and is not started any more", c.Name)
			x.Fix = diagnosis.FixBy("Set a starting deadline, so that only the last times count.",
				[]diagnosis.Patch{{Object: x.Object, Type: "merge", Body: `{"spec":{"startingDeadlineSeconds":200}}`}})
		case "UnparseableSchedule", "UnparsableSchedule", "InvalidSchedule":
			x.Field, x.Value = "spec.schedule", c.Spec.Schedule
			x.Sentence = fmt.Sprintf("CronJob %s has a schedule that can't be read: %q (spec.schedule)", c.Name, c.Spec.Schedule)
			x.Fix = diagnosis.Fix{Explanation: "Write the schedule in five fields, such as 0 3 * * *.",
				Commands: []string{diagnosis.Kubectl(c.Namespace, "edit", "cronjob", c.Name)}}
		case "MissSchedule":
			x.Field, x.Score = "spec.startingDeadlineSeconds", diagnosis.ScoreLikely
			if c.Spec.StartingDeadlineSeconds != nil {
				x.Value = fmt.Sprint(*c.Spec.StartingDeadlineSeconds)
			}
			x.Sentence = fmt.Sprintf("CronJob %s missed a start time by more than its deadline (spec.startingDeadlineSeconds=%s)", c.Name, x.Value)
			x.Fix = diagnosis.Fix{Explanation: "Give it a longer starting deadline, and see whether the controller manager was down.",
				Commands: []string{diagnosis.Kubectl(c.Namespace, "describe", "cronjob", c.Name)}}
		case "JobAlreadyActive":
			x.Field, x.Value, x.Score = "spec.concurrencyPolicy", string(c.Spec.ConcurrencyPolicy), diagnosis.ScoreLikely
			x.Sentence = fmt.Sprintf("CronJob %s starts no Job while the one before still runs (spec.concurrencyPolicy is %s)",
				c.Name, c.Spec.ConcurrencyPolicy)
			x.Fix = diagnosis.Fix{Explanation: "See why the Job does not end.", Commands: []string{diagnosis.Kubectl(c.Namespace, "get", "jobs")}}
		default:
			continue
		}
		return []diagnosis.Finding{x}
	}
	return nil
}

// enoughToMiss is the shortest starting deadline, in seconds, within which more than 100 times a minute apart can be missed.
const enoughToMiss = 100 * 60

// corrected tells whether an event speaks of another specification than the present one.
func corrected(c *batchv1.CronJob, e *corev1.Event) bool {
	deadline := c.Spec.StartingDeadlineSeconds
	switch e.Reason {
	case "UnparseableSchedule", "UnparsableSchedule", "InvalidSchedule":
		return !strings.Contains(e.Message, strconv.Quote(c.Spec.Schedule)) && !strings.Contains(e.Message, ": "+c.Spec.Schedule+" : ")
	case "TooManyMissedTimes", "FailedNeedsStart":
		return deadline != nil && *deadline < enoughToMiss
	case "MissSchedule":
		return deadline == nil
	case "JobAlreadyActive":
		return c.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent
	}
	return false
}
