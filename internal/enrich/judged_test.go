package enrich

import (
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
