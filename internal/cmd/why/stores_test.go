package why

import (
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/enrich"
)

func TestServicesAreReachedThroughTheProxy(t *testing.T) {
	for address, want := range map[string]string{
		"http://main-loki.kubebot.svc:3100":   "https://api:6443/api/v1/namespaces/kubebot/services/http:main-loki:3100/proxy",
		"https://prometheus.example.com/base": "",
		"http://localhost:9090":               "",
		"://":                                 "",
	} {
		got, ok := throughProxy("https://api:6443/", address)
		if got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t, want %q", address, got, ok, want)
		}
	}
}

func TestNothingToSaveIsAnError(t *testing.T) {
	if err := save(t.TempDir()+"/x.json", enrich.Answer{}, nil); err == nil || !strings.Contains(err.Error(), "--since") {
		t.Errorf("got %v, want what to do", err)
	}
}

func TestCausesHaveTheLinksOfTheIncident(t *testing.T) {
	cause := func(name string, links ...v1alpha1.CauseLink) v1alpha1.Cause {
		return v1alpha1.Cause{Object: v1alpha1.CauseObject{Kind: "Deployment", Name: name}, Links: links}
	}
	board := v1alpha1.CauseLink{Title: "Dashboard", URL: "https://grafana/d/x"}
	causes := []v1alpha1.Cause{cause("cart"), cause("web")}
	linked(causes, []v1alpha1.Cause{cause("db"), cause("web", board)})
	if len(causes[0].Links) != 0 || len(causes[1].Links) != 1 || causes[1].Links[0] != board {
		t.Errorf("got %+v", causes)
	}
}

func TestCausesAreWrittenAsTheIncidentHoldsThem(t *testing.T) {
	var b strings.Builder
	a := sample()
	a.Incident = "inc-1"
	a.Judged = saidOf(&v1alpha1.Incident{Spec: v1alpha1.IncidentSpec{Cause: &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: "db", Kind: "disk"}, By: "ada"}}})
	a.Causes = []v1alpha1.Cause{{Object: v1alpha1.CauseObject{Kind: "Deployment", Name: "web"}, Kind: "config", ScorePercent: 97, Sentence: "Revision 2 changed it",
		Evidence: []v1alpha1.CauseEvidence{{From: v1alpha1.EvidenceMetrics, Text: "errors rose"}}, Path: []string{"front", "web"}, Links: []v1alpha1.CauseLink{{Title: "Dashboard", URL: "https://grafana/d/x"}},
		Fix: &v1alpha1.CauseFix{Explanation: "Go back.", Commands: []string{"kubectl rollout undo deployment/web"}}}}
	a.Sources = []v1alpha1.AnalysisSource{{Name: "loki", State: v1alpha1.SourceMissing, Message: "no answer within 4s"}}
	writeCauses(&b, a)
	want := `Deployment web in namespace shop: 1 of 2 pods ready (incident inc-1)

Judged: ada says that it is disk of db.

1. Revision 2 changed it. [config, score 0.97]
   - Metrics: errors rose
   Dashboard: https://grafana/d/x
   Path: front > web
   Fix: Go back.
     kubectl rollout undo deployment/web

loki: no answer within 4s
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}
