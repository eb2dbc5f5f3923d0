package grafana

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/internal/testutil/tree"
	server "github.com/kubebot/kubebot/test/grafana"
)

func TestBuildMatchesGoldenFiles(t *testing.T) { golden.Components(t, Component{}) }

// What is written must be what the process reads, strictly.
func TestTheProcessReadsItsConfiguration(t *testing.T) {
	golden.Each(t, "testdata", Component{}, func(t *testing.T, objects []client.Object) {
		for _, o := range objects {
			if m, ok := o.(*corev1.ConfigMap); ok {
				c, err := config.Parse([]byte(m.Data["config.yaml"]))
				if err != nil {
					t.Fatal(err)
				}
				if again, err := c.Marshal(); err != nil || again != m.Data["config.yaml"] {
					t.Errorf("reading and writing changes the configuration (%v):\n%s", err, again)
				}
			}
		}
	})
}

func spec(d v1alpha1.DashboardsSpec) component.Input {
	return golden.Input(&v1alpha1.KubeBot{
		ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}, Spec: v1alpha1.KubeBotSpec{Dashboards: d},
	})
}

func external(address string) v1alpha1.DashboardsSpec {
	return v1alpha1.DashboardsSpec{Grafana: v1alpha1.GrafanaSpec{Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalGrafana{
		ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: address}, TokenSecret: &v1alpha1.SecretKeyRef{Name: "grafana", Key: "token"},
	}}}
}

func TestWhatCanNotBeUsedIsNamed(t *testing.T) {
	badSecret := external("https://grafana.example.com")
	badSecret.Grafana.External.TokenSecret.Name = "No Secret"
	for name, c := range map[string]struct {
		spec  v1alpha1.DashboardsSpec
		field string
	}{
		"a password in the address":    {external("https://admin:secret@grafana.example.com"), "external.url"},
		"a name that no Secret has":    {badSecret, "external.tokenSecret.name"},
		"a password in the public URL": {v1alpha1.DashboardsSpec{Grafana: v1alpha1.GrafanaSpec{PublicURL: "https://a:secret@example.com"}}, "publicURL"},
		"an image that is none":        {v1alpha1.DashboardsSpec{Grafana: v1alpha1.GrafanaSpec{PodSettings: v1alpha1.PodSettings{Image: "no image"}}}, "grafana.image"},
		"a ConfigMap that can't be":    {v1alpha1.DashboardsSpec{Extra: []v1alpha1.ExtraDashboard{{Name: "a", ConfigMap: v1alpha1.ConfigMapKeyRef{Name: "A B", Key: "k"}}}}, "extra[0].configMap.name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Component{}.Build(spec(c.spec))
			var invalid *component.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(invalid.Field, c.field) || strings.Contains(err.Error(), "secret@") {
				t.Errorf("error %v, want one of the field %s without the password", err, c.field)
			}
		})
	}
}

// In a shared Grafana two KubeBots must not take each other's things for their own.
func TestEachKubeBotHasItsOwnPrefix(t *testing.T) {
	seen := map[string]bool{}
	for _, change := range []func(*component.Input){
		func(*component.Input) {}, func(in *component.Input) { in.Cluster.UID = "other" },
		func(in *component.Input) { in.KubeBot.Name = "second" }, func(in *component.Input) { in.KubeBot.Namespace = "team-a" },
	} {
		in := spec(v1alpha1.DashboardsSpec{})
		change(&in)
		p, err := prefix(in)
		if err != nil || seen[p] || !regexp.MustCompile(`^kubebot-[0-9a-f]{8}-$`).MatchString(p) {
			t.Errorf("prefix %q (%v) is taken or has another form", p, err)
		}
		seen[p] = true
	}
}

// A real Grafana, where GRAFANA names its home folder, takes the settings and says so of itself.
func TestARealGrafanaTakesTheSettings(t *testing.T) {
	home := golden.Grafana(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("from-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := spec(v1alpha1.DashboardsSpec{})
	values := map[string]string{}
	for _, e := range environment(settings(in.KubeBot)) {
		value := strings.ReplaceAll(strings.ReplaceAll(e.Value, "$$", "$"), dataDir, dir)
		values[e.Name] = strings.ReplaceAll(value, secretDir, dir)
	}
	base := golden.StartGrafana(t, home, values)
	answer := golden.AskAs(t, base+"/api/admin/settings", "admin", "from-a-file")
	var got map[string]map[string]string
	if err := json.Unmarshal(answer.Body, &got); answer.Status != 200 || err != nil {
		t.Fatalf("HTTP status %d (%v): %s", answer.Status, err, answer.Body)
	}
	for _, s := range settings(in.KubeBot) {
		if _, known := got[s.section][s.key]; !known && s.key == "preinstall_disabled" {
			t.Logf("this Grafana is older than 11.5 and has no [%s] %s", s.section, s.key)
			continue
		}
		if s.section == "paths" || s.key == "admin_password" || s.key == "http_port" {
			continue // the folders and the port are the test's, and the password is not shown
		}
		if got[s.section][s.key] != text(s.value) {
			t.Errorf("[%s] %s is %q, want %q", s.section, s.key, got[s.section][s.key], text(s.value))
		}
	}
	if anonymous := golden.Ask(t, base+"/api/search"); anonymous.Status != 401 {
		t.Errorf("somebody who did not sign in gets HTTP status %d", anonymous.Status)
	}
}

func deployment(available int32) []client.Object {
	return []client.Object{&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "main-grafana", Namespace: "kubebot"},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(1))},
		Status:     appsv1.DeploymentStatus{UpdatedReplicas: 1, AvailableReplicas: available},
	}}
}

func TestHealth(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	report := func(in component.Input, change func(*config.Report)) map[string]component.Answer {
		c, err := newConfig(in)
		if err != nil {
			t.Fatal(err)
		}
		hash, err := c.Hash()
		if err != nil {
			t.Fatal(err)
		}
		r := config.Report{ConfigHash: hash, Looked: now.Add(-time.Minute), DataSources: 4, Dashboards: 10}
		change(&r)
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]component.Answer{keyReport: {Status: 200, Body: body}}
	}
	own, outside := spec(v1alpha1.DashboardsSpec{}), spec(external("https://grafana.example.com"))
	for name, c := range map[string]struct {
		in     component.Input
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"switched off":            {spec(v1alpha1.DashboardsSpec{Grafana: v1alpha1.GrafanaSpec{Mode: v1alpha1.ModeDisabled}}), component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, field + ".mode"},
		"not applied yet":         {own, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "does not exist"},
		"starting":                {own, component.Observed{Objects: deployment(0)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "0 of 1"},
		"the keeper is mute":      {own, component.Observed{Objects: deployment(1)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "does not answer"},
		"the keeper talks wrong":  {own, component.Observed{Objects: deployment(1), Answers: map[string]component.Answer{keyReport: {Status: 200, Body: []byte("<html>")}}}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "format"},
		"all is there":            {own, component.Observed{Objects: deployment(1), Answers: report(own, func(*config.Report) {})}, metav1.ConditionTrue, v1alpha1.ReasonReady, "4 data sources and 10 dashboards"},
		"the outside one has all": {outside, component.Observed{Objects: deployment(1), Answers: report(outside, func(*config.Report) {})}, metav1.ConditionTrue, v1alpha1.ReasonReady, "the external Grafana answers"},
		"older settings":          {own, component.Observed{Objects: deployment(1), Answers: report(own, func(r *config.Report) { r.ConfigHash = "old" })}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "latest settings"},
		"a Secret is missing":     {outside, component.Observed{Objects: deployment(1), Answers: report(outside, func(r *config.Report) { r.Trouble, r.Message = config.SecretMissing, `Secret "grafana" has no` })}, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing, "grafana"},
		"refused":                 {outside, component.Observed{Objects: deployment(1), Answers: report(outside, func(r *config.Report) { r.Trouble, r.Message = config.Refused, "role Admin" })}, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused, "role Admin"},
		"unreachable":             {outside, component.Observed{Objects: deployment(1), Answers: report(outside, func(r *config.Report) { r.Trouble, r.Message = config.Unreachable, "Grafana does not answer" })}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "Grafana does not answer"},
		"a dashboard is refused":  {own, component.Observed{Objects: deployment(1), Answers: report(own, func(r *config.Report) { r.Trouble, r.Message = config.Failed, "save the dashboard" })}, metav1.ConditionFalse, v1alpha1.ReasonDashboardsRefused, "save the dashboard"},
		"the keeper hangs":        {own, component.Observed{Objects: deployment(1), Answers: report(own, func(r *config.Report) { r.Looked = now.Add(-time.Hour) })}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "stopped looking"},
		"one extra is no JSON":    {own, component.Observed{Objects: deployment(1), Answers: report(own, func(r *config.Report) { r.Problems = []string{"dashboard a of ConfigMap b"} })}, metav1.ConditionTrue, v1alpha1.ReasonConfigRefused, "left out: dashboard a"},
	} {
		t.Run(name, func(t *testing.T) {
			c.seen.Now = now
			health := Component{}.Health(c.in, c.seen)
			if health.Status != c.status || health.Reason != c.reason || !strings.Contains(health.Message, c.part) {
				t.Errorf("%s %s %q, want %s %s and %q", health.Status, health.Reason, health.Message, c.status, c.reason, c.part)
			}
		})
	}
}

func TestTheHomeAddressIsTheOneThatPeopleOpen(t *testing.T) {
	for name, c := range map[string]struct {
		spec  v1alpha1.DashboardsSpec
		begin string
	}{
		"inside":       {v1alpha1.DashboardsSpec{}, "http://main-grafana.kubebot.svc:3000/d/kubebot-"},
		"public":       {v1alpha1.DashboardsSpec{Grafana: v1alpha1.GrafanaSpec{PublicURL: "https://example.com/grafana/"}}, "https://example.com/grafana/d/kubebot-"},
		"outside":      {external("https://grafana.example.com/"), "https://grafana.example.com/d/kubebot-"},
		"switched off": {v1alpha1.DashboardsSpec{Grafana: v1alpha1.GrafanaSpec{Mode: v1alpha1.ModeDisabled}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := HomeURL(spec(c.spec))
			if err != nil || !strings.HasPrefix(got, c.begin) || c.begin != "" && !strings.HasSuffix(got, "-home") || c.begin == "" && got != "" {
				t.Errorf("%q (%v), want it to begin with %q", got, err, c.begin)
			}
		})
	}
}

// What people are told to bring along is what runs.
func TestTheNamedImageIsTheOneThatRuns(t *testing.T) {
	if !strings.HasSuffix(image, ":"+server.Version) {
		t.Errorf("the Grafana of the tests is %s, %s runs", server.Version, image)
	}
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "dashboards.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "docker save "+image+" ") {
		t.Errorf("docs/dashboards.md does not name %s", image)
	}
}
