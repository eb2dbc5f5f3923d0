package training

import (
	"fmt"
	"math"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

// Questions implements component.Component.
func (Component) Questions(component.Input) []component.Question { return nil }

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	if !analyses(kb) {
		return observe.Disabled("the training", "spec.analysis.rootCause")
	}
	documents := map[string]string{}
	if c, ok := observe.Find[corev1.ConfigMap](seen, "ConfigMap", endpoints.WeightsConfigMap); ok {
		documents = c.Data
	}
	if documents == nil {
		documents = map[string]string{}
	}
	documents[weights.PinnedKey] = kb.Spec.Analysis.Weights.Version
	chosen, err := weights.Choose(documents, detectors.All())
	if err != nil {
		return observe.NotReady(v1alpha1.ReasonWeightsUnusable, err.Error())
	}
	index, err := weights.ParseIndex(documents[weights.IndexKey])
	if err != nil {
		index = weights.Index{}
	}
	health := judge(in, seen, chosen, index)
	health.Analysis = statusOf(chosen, index)
	return health
}

// judge says whether the refits happen, and by which weights the analysis ranks.
func judge(in component.Input, seen component.Observed, chosen weights.Choice, index weights.Index) component.Health {
	kb := in.KubeBot
	if chosen.Problem != "" {
		return observe.NotReady(v1alpha1.ReasonWeightsUnusable,
			chosen.Problem+": the built-in weights are used; see status.analysis.versions and spec.analysis.weights.version")
	}
	if !managed(kb) {
		return observe.Disabled("the training", field+".mode")
	}
	job, ok := observe.Find[batchv1.CronJob](seen, "CronJob", jobName(kb))
	if !ok {
		return observe.NotReady(v1alpha1.ReasonProgressing, "the CronJob of the training does not exist yet")
	}
	if failed(job, seen.Now) {
		return observe.NotReady(v1alpha1.ReasonTrainingFailed, observe.With(
			"the last refit of the analysis did not come to an end, and the weights in use stay; the log of the job's pod says why", seen.Pods))
	}
	message := "the analysis is refitted on schedule"
	if index.Last == nil {
		message += "; no refit yet"
	} else {
		message += "; the last refit: " + index.Last.Reason
	}
	return observe.Ready(message + "; " + reads(kb))
}

// failed tells that the last run that began has had its time and did not succeed.
func failed(job *batchv1.CronJob, now time.Time) bool {
	began, done := job.Status.LastScheduleTime, job.Status.LastSuccessfulTime
	if began == nil || done != nil && !done.Before(began) || len(job.Status.Active) > 0 {
		return false
	}
	return now.Sub(began.Time) > time.Minute
}

// reads says where the telemetry of judged Incidents comes from.
func reads(kb *v1alpha1.KubeBot) string {
	from := "it reads Prometheus, Loki and Jaeger, as far as they are there"
	a := kb.Spec.Analysis.Archive
	switch {
	case !a.Mode.Managed():
		return from
	case a.ObjectStorage != nil:
		return from + "; not the archive, which is in a bucket"
	case a.Storage.Size == nil:
		return from + "; not the archive, whose emptyDir only its own pod can read: spec.analysis.archive.storage.size lets the training read it"
	}
	return from + ", and the archive for what they no longer hold"
}

// statusOf is what the KubeBot's status says of the weights.
func statusOf(chosen weights.Choice, index weights.Index) *v1alpha1.AnalysisStatus {
	out := &v1alpha1.AnalysisStatus{Weights: chosen.Name}
	for _, v := range index.Versions[:min(len(index.Versions), weights.MaxVersions)] {
		out.Versions = append(out.Versions, v1alpha1.WeightsVersion{
			Version: int32(v.Number), AdoptedAt: metav1.NewTime(v.At), Incidents: int32(v.Usable), HeldBack: int32(v.HeldBack),
			RightPercentBefore: percent(v.Before), RightPercentAfter: percent(v.After),
		})
	}
	if l := index.Last; l != nil {
		out.LastTraining = &v1alpha1.TrainingOutcome{
			At: metav1.NewTime(l.At), Adopted: l.Adopted, Message: cut(l.Reason), Judged: int32(l.Judged), Usable: int32(l.Usable),
			HeldBack: int32(l.HeldBack), RightPercentBefore: percent(l.Before), RightPercentAfter: percent(l.After),
		}
	}
	return out
}

func percent(share float64) int32 { return int32(math.Round(100 * share)) }

// cut keeps a reason within the bound of the API type.
func cut(s string) string { return fmt.Sprintf("%.500s", s) }
