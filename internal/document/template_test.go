package document_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/document"
)

func change() document.Change {
	return document.Change{
		Key: "k-1", Transition: v1alpha1.TransitionOpened, Sequence: 1, Text: `it "fails"`, At: time.Date(2026, 11, 21, 3, 20, 0, 0, time.UTC), ClusterName: "prod",
		Incident: &v1alpha1.Incident{
			ObjectMeta: metav1.ObjectMeta{Name: "main-1", Namespace: "kubebot"},
			Spec:       v1alpha1.IncidentSpec{Subject: v1alpha1.Subject{Kind: "Deployment", Namespace: "shop", Name: "checkout"}},
			Status: v1alpha1.IncidentStatus{Title: "checkout fails", Severity: v1alpha1.SeverityCritical,
				Alerts: []v1alpha1.IncidentAlert{{Name: "Down", Labels: map[string]string{"team": "shop"}}}},
		},
	}
}

func TestATemplateWritesTheBody(t *testing.T) {
	template, err := document.ParseTemplate(`{"title": {{json .Incident.Title}}, "text": {{json .Text}}, "labels": [{{range $i, $a := .Incident.Alerts}}{{if $i}}, {{end}}{{json $a.Labels.team}}{{end}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	body, err := template.Render(document.New(change()))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Title, Text string
		Labels      []string
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if got.Title != "checkout fails" || got.Text != `it "fails"` || len(got.Labels) != 1 || got.Labels[0] != "shop" {
		t.Errorf("got %+v", got)
	}
}

func TestABadTemplateIsToldWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unclosed":             {"a\n{{.Text", "line 2: "},
		"unknown field":        {"a\nb\n{{.Incident.Titel}}", "line 3: "},
		"unknown in an alert":  {"{{range .Incident.Alerts}}\n{{.Nme}}{{end}}", "line 2: "},
		"unknown function":     {"\n{{env \"HOME\"}}", "line 2: function \"env\" not defined"},
		"loop over a number":   {"\n{{range 1000000000}}{{end}}", "line 2: range goes over"},
		"loop over a variable": {"{{$n := 1000000000}}\n{{range $n}}{{end}}", "line 2: range goes over"},
		"loop over with":       {"{{with 1000000000}}\n{{range .}}{{end}}{{end}}", "line 2: range goes over"},
		"recursion":            {"{{define \"a\"}}\n{{template \"a\"}}{{end}}{{template \"a\"}}", "templates that call templates"},
	} {
		if _, err := document.ParseTemplate(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestATemplateThatWritesWithoutEndIsStopped(t *testing.T) {
	template, err := document.ParseTemplate(`{{range .Incident.Alerts}}{{.Summary}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	c := change()
	c.Incident.Status.Alerts[0].Summary = strings.Repeat("a", 3<<20)
	if _, err := template.Render(document.New(c)); err == nil {
		t.Error("a body of 3 MiB was written")
	}
}

func TestADocumentOfAResolvedIncidentHasAnEnd(t *testing.T) {
	c := change()
	c.Transition = v1alpha1.TransitionResolved
	doc := document.New(c)
	if doc.Incident.State != v1alpha1.IncidentResolved || doc.Incident.ResolvedAt == nil || !doc.Incident.ResolvedAt.Equal(c.At) {
		t.Errorf("got %+v", doc.Incident)
	}
}

// FuzzTemplate reads what users write: it must be refused or work, and never panic or run without end.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{{.Text}}", "{{range .Incident.Alerts}}{{.Name}}{{else}}none{{end}}", "{{with $x := .Incident}}{{$x.Title}}{{end}}",
		"{{json .}}", "{{range $k, $v := .Incident.Alerts}}{{break}}{{end}}", "{{printf \"%*d\" 9999999 1}}", "{{define \"a\"}}{{end}}", "{{.Incident.Causes}}", "{{index .Incident.Alerts 0}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 16384 {
			t.Skip("longer than the field")
		}
		template, err := document.ParseTemplate(text)
		if err != nil {
			return
		}
		_, _ = template.Render(document.New(change()))
	})
}

func TestCausesLinkToTheirEvidence(t *testing.T) {
	inc := &v1alpha1.Incident{Status: v1alpha1.IncidentStatus{Causes: []v1alpha1.Cause{{Sentence: "x", Links: []v1alpha1.CauseLink{{Title: "Dashboard", URL: "https://grafana/d/x"}}}}}}
	body, err := document.New(document.Change{Incident: inc}).JSON()
	if err != nil || !strings.Contains(string(body), `"links":[{"title":"Dashboard","url":"https://grafana/d/x"}]`) {
		t.Errorf("got %s, %v", body, err)
	}
}
