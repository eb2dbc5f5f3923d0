package enrich

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/rca"
)

func TestJudgedCause(t *testing.T) {
	inc := func(j *v1alpha1.CauseJudgement) *v1alpha1.Incident {
		return &v1alpha1.Incident{Spec: v1alpha1.IncidentSpec{Cause: j}, Status: v1alpha1.IncidentStatus{Causes: []v1alpha1.Cause{
			{Object: v1alpha1.CauseObject{Kind: "Deployment", Name: "cart"}, Kind: "cpu"},
			{Object: v1alpha1.CauseObject{Kind: "ConfigMap", Name: "settings"}, Workload: "web", Kind: "config"}}}}
	}
	for name, c := range map[string]struct {
		inc  *v1alpha1.Incident
		want Judgement
	}{
		"no Incident":               {nil, Judgement{}},
		"nothing said":              {inc(nil), Judgement{}},
		"the first":                 {inc(&v1alpha1.CauseJudgement{Confirm: new(int32(1))}), Judgement{Workload: "cart", Kind: "cpu"}},
		"one of another object":     {inc(&v1alpha1.CauseJudgement{Confirm: new(int32(2))}), Judgement{Workload: "web", Kind: "config"}},
		"one that is not there now": {inc(&v1alpha1.CauseJudgement{Confirm: new(int32(3))}), Judgement{}},
		"corrected":                 {inc(&v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: "db", Kind: "disk"}}), Judgement{Workload: "db", Kind: "disk"}},
		"rejected":                  {inc(&v1alpha1.CauseJudgement{Reject: new(int32(1))}), Judgement{Workload: "cart", Kind: "cpu", Wrong: true}},
	} {
		if got, ok := Judged(c.inc); got != c.want || ok != (c.want.Workload != "") {
			t.Errorf("%s: got %+v %t, want %+v", name, got, ok, c.want)
		}
	}
}

func TestAnExampleNamesTheCauseAsTelemetryDoes(t *testing.T) {
	inc := &v1alpha1.Incident{Spec: v1alpha1.IncidentSpec{Cause: &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: "db", Kind: "disk"}}}}
	a := Answer{Snapshot: &rca.Snapshot{}, Services: map[string]string{"db": "postgres"}}
	if e, ok := a.Example(inc); !ok || e.Workload != "postgres" || e.Kind != "disk" || e.Wrong {
		t.Errorf("got %+v %t", e, ok)
	}
	if _, ok := (Answer{}).Example(inc); ok {
		t.Error("an example without telemetry")
	}
	if _, ok := a.Example(&v1alpha1.Incident{}); ok {
		t.Error("an example that nobody judged")
	}
}

func TestThePastIsAskedAsItWasThen(t *testing.T) {
	inc := &v1alpha1.Incident{Status: v1alpha1.IncidentStatus{StartedAt: &metav1.Time{Time: noon}}}
	at := func(after time.Duration) *v1alpha1.Analysis {
		return &v1alpha1.Analysis{FinishedAt: &metav1.MicroTime{Time: noon.Add(after)}}
	}
	for name, c := range map[string]struct {
		analysis *v1alpha1.Analysis
		want     time.Duration
	}{
		"never analysed":      {nil, 30 * time.Minute},
		"after three minutes": {at(3 * time.Minute), 3 * time.Minute},
		"at once":             {at(time.Second), time.Minute},
		"very late":           {at(time.Hour), 30 * time.Minute},
	} {
		inc.Status.Analysis = c.analysis
		if q := Past(inc, noon.Add(24*time.Hour)); q.Now != noon.Add(c.want) || q.Alarm != noon {
			t.Errorf("%s: alarm %s, until %s", name, q.Alarm, q.Now)
		}
	}
}

func TestThePastIsAskedOfWhatWasLookedAtThen(t *testing.T) {
	inc := &v1alpha1.Incident{Status: v1alpha1.IncidentStatus{StartedAt: &metav1.Time{Time: noon.Add(-48 * time.Hour)}}}
	inc.Status.Analysis = &v1alpha1.Analysis{Since: &metav1.Time{Time: noon}, FinishedAt: &metav1.MicroTime{Time: noon.Add(3 * time.Minute)}}
	if q := Past(inc, noon.Add(24*time.Hour)); q.Now != noon.Add(3*time.Minute) || q.Alarm != noon {
		t.Errorf("alarm %s, until %s", q.Alarm, q.Now)
	}
}

func TestARecordingHoldsWhatTheStoresGive(t *testing.T) {
	a := Analyst{Sources: []Source{store{"well", func(context.Context) (Telemetry, error) { return oneSpan(), nil }}}}
	if got := a.Record(t.Context(), asked); got.Snapshot == nil || len(got.Sources) != 1 {
		t.Errorf("got %+v", got)
	}
	if got := (&Analyst{}).Record(t.Context(), asked); got.Snapshot != nil {
		t.Errorf("a snapshot of nothing: %+v", got)
	}
}
