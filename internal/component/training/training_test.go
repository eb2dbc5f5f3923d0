package training

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/archive"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/rca/weights"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func TestBuildMatchesGoldenFiles(t *testing.T) {
	golden.Components(t, Component{})
}

var now = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

// ran is a CronJob whose last run began and ended well so long ago; zero for never.
func ran(began, ended time.Duration) client.Object {
	job := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "main-training"}}
	if began > 0 {
		job.Status.LastScheduleTime = &metav1.Time{Time: now.Add(-began)}
	}
	if ended > 0 {
		job.Status.LastSuccessfulTime = &metav1.Time{Time: now.Add(-ended)}
	}
	return job
}

// adopted holds one version of the weights.
func adopted(model string) client.Object {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: endpoints.WeightsConfigMap}, Data: map[string]string{
		weights.IndexKey: `{"versions":[{"number":3,"at":"2026-02-01T03:17:00Z","usable":24,"heldBack":20,"before":0.6,"after":0.755}],
			"last":{"at":"2026-03-01T03:17:00Z","judged":30,"usable":26,"heldBack":10,"before":0.8,"after":0.7,"reason":"Not better on held-back Incidents"}}`,
		weights.Key(3): model,
	}}
}

const model = `{"version":1,"weights":{"cpu.rise":3}}`

func TestHealth(t *testing.T) {
	busy := ran(10*time.Minute, 24*time.Hour).(*batchv1.CronJob)
	busy.Status.Active = []corev1.ObjectReference{{Name: "x"}}
	for name, c := range map[string]struct {
		change       func(*v1alpha1.AnalysisSpec)
		live         []client.Object
		status       metav1.ConditionStatus
		reason, part string
		weights      string
	}{
		"nothing yet":          {nil, nil, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "does not exist yet", weights.BuiltIn},
		"waits for the night":  {nil, []client.Object{ran(0, 0)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "no refit yet", weights.BuiltIn},
		"runs":                 {nil, []client.Object{busy}, metav1.ConditionTrue, v1alpha1.ReasonReady, "on schedule", weights.BuiltIn},
		"well":                 {nil, []client.Object{ran(time.Hour, 59*time.Minute), adopted(model)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "the last refit: Not better", "3"},
		"the last run failed":  {nil, []client.Object{ran(time.Hour, 25*time.Hour), adopted(model)}, metav1.ConditionFalse, v1alpha1.ReasonTrainingFailed, "did not come to an end", "3"},
		"never ended well":     {nil, []client.Object{ran(time.Hour, 0)}, metav1.ConditionFalse, v1alpha1.ReasonTrainingFailed, "did not come to an end", weights.BuiltIn},
		"rolled back":          {func(s *v1alpha1.AnalysisSpec) { s.Weights.Version = "BuiltIn" }, []client.Object{ran(0, 0), adopted(model)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "on schedule", weights.BuiltIn},
		"rolled back too far":  {func(s *v1alpha1.AnalysisSpec) { s.Weights.Version = "1" }, []client.Object{ran(0, 0), adopted(model)}, metav1.ConditionFalse, v1alpha1.ReasonWeightsUnusable, "Version 1 of the weights is not kept", weights.BuiltIn},
		"weights of another":   {nil, []client.Object{ran(0, 0), adopted(`{"version":1,"weights":{"gone.away":1}}`)}, metav1.ConditionFalse, v1alpha1.ReasonWeightsUnusable, "does not fit", weights.BuiltIn},
		"switched off":         {func(s *v1alpha1.AnalysisSpec) { s.Training.Mode = "Disabled" }, []client.Object{adopted(model)}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "spec.analysis.training.mode", "3"},
		"nothing is analysed":  {func(s *v1alpha1.AnalysisSpec) { s.RootCause = v1alpha1.SwitchDisabled }, nil, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "spec.analysis.rootCause", ""},
		"archive in a bucket":  {func(s *v1alpha1.AnalysisSpec) { s.Archive.ObjectStorage = &v1alpha1.ObjectStorage{Bucket: "b"} }, []client.Object{ran(0, 0)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "in a bucket", weights.BuiltIn},
		"archive in its pod":   {nil, []client.Object{ran(0, 0)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "only its own pod can read", weights.BuiltIn},
		"archive on a volume":  {func(s *v1alpha1.AnalysisSpec) { s.Archive.Storage.Size = new(resource.MustParse("1Gi")) }, []client.Object{ran(0, 0)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "and the archive", weights.BuiltIn},
		"archive switched off": {func(s *v1alpha1.AnalysisSpec) { s.Archive.Mode = "Disabled" }, []client.Object{ran(0, 0)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "as far as they are there", weights.BuiltIn},
	} {
		t.Run(name, func(t *testing.T) {
			kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
			if c.change != nil {
				c.change(&kb.Spec.Analysis)
			}
			got := Component{}.Health(golden.Input(kb), component.Observed{Now: now, Objects: c.live})
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
				t.Errorf("Health = %s %s %q, want %s %s and a message with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
			}
			if got.Analysis != nil && got.Analysis.Weights != c.weights || got.Analysis == nil && c.weights != "" {
				t.Errorf("status %+v, want the weights %q", got.Analysis, c.weights)
			}
		})
	}
}

func TestStatusTellsFigures(t *testing.T) {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	got := Component{}.Health(golden.Input(kb), component.Observed{Now: now, Objects: []client.Object{ran(0, 0), adopted(model)}}).Analysis
	if v := got.Versions; len(v) != 1 || v[0].Version != 3 || v[0].Incidents != 24 || v[0].HeldBack != 20 || v[0].RightPercentBefore != 60 || v[0].RightPercentAfter != 76 {
		t.Errorf("versions %+v", v)
	}
	if l := got.LastTraining; l == nil || l.Adopted || l.Judged != 30 || l.Usable != 26 || l.RightPercentAfter != 70 {
		t.Errorf("last refit %+v", l)
	}
}

// The claim that the job mounts is the one that the archive's StatefulSet makes.
func TestTheJobMountsTheClaimOfTheArchive(t *testing.T) {
	in := golden.Load(t, "testdata/volume/in.yaml")
	objects, err := archive.Component{}.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.GetObjectKind().GroupVersionKind().Kind == "StatefulSet" && archive.Claim(in.KubeBot) != "data-"+o.GetName()+"-0" {
			t.Errorf("claim %s of StatefulSet %s", archive.Claim(in.KubeBot), o.GetName())
		}
	}
}
