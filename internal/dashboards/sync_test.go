package dashboards

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"

	built "github.com/kubebot/kubebot/internal/component/grafana/dashboards"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/test/grafana"
)

const (
	prefix = "kubebot-0123abcd-"
	secret = "glsa_a-very-secret-token"
)

// bench is a Grafana, as its contract says or a real one, and a syncer for it.
type bench struct {
	t      *testing.T
	syncer *Syncer
	config config.Config
	// person calls the API as somebody else with the role Admin.
	person func(method, path string, body any) (int, map[string]any)
	// writes returns what was written since the last call, by whoever.
	log *bytes.Buffer
}

func testConfig(address string) config.Config {
	return config.Config{
		URL: address, Prefix: prefix, ClusterName: "test", ScrapeInterval: "15s", Secrets: config.Secrets{Token: &config.Ref{Name: "grafana", Key: "token"}},
		Stores: config.Stores{Prometheus: "http://prometheus:9090", Alertmanager: "http://alertmanager:9093", Loki: "http://loki:3100", LokiTenant: "team-a", Jaeger: "http://jaeger:16686"},
	}
}

func newBench(t *testing.T, c config.Config) *bench {
	t.Helper()
	b := &bench{t: t, config: c, log: &bytes.Buffer{}, syncer: &Syncer{
		CredentialsDir: t.TempDir(), ExtraDir: t.TempDir(), Transport: http.DefaultTransport, Now: time.Now, Metrics: NewMetrics(prometheus.NewRegistry()),
	}}
	b.file(b.syncer.CredentialsDir, config.TokenFile, secret+"\n")
	return b
}

// contract is a bench with the server that behaves as Grafana documents its API.
func contract(t *testing.T) (*bench, *grafana.Server) {
	t.Helper()
	server := grafana.New()
	server.AddToken(secret, grafana.Admin)
	api, people := httptest.NewServer(server.Handler()), httptest.NewServer(server.Person())
	t.Cleanup(api.Close)
	t.Cleanup(people.Close)
	b := newBench(t, testConfig(api.URL))
	b.person = b.caller(people.URL, "")
	return b, server
}

func (b *bench) file(dir, name, content string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) caller(base, auth string) func(string, string, any) (int, map[string]any) {
	return func(method, path string, body any) (int, map[string]any) {
		b.t.Helper()
		data, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(b.t.Context(), method, base+path, bytes.NewReader(data))
		if err != nil {
			b.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			b.t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			b.t.Fatal(err)
		}
		var out map[string]any
		_ = json.Unmarshal(answer, &out) // lists are not looked at
		return resp.StatusCode, out
	}
}

// sync looks once and returns the report; nothing secret may be in it or in the log.
func (b *bench) sync() config.Report {
	b.t.Helper()
	log := funcr.New(func(p, args string) { b.log.WriteString(p + args + "\n") }, funcr.Options{})
	report := b.syncer.Sync(logr.NewContext(b.t.Context(), log), b.config)
	text, err := json.Marshal(report)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, leak := range []string{secret, base64.StdEncoding.EncodeToString([]byte("admin:" + secret))} {
		if strings.Contains(b.log.String()+string(text), leak) {
			b.t.Fatalf("the credentials are in the log or the report:\n%s%s", b.log, text)
		}
	}
	return report
}

// well looks once and fails unless Grafana then has everything.
func (b *bench) well() config.Report {
	b.t.Helper()
	r := b.sync()
	all, err := built.All(b.config.Options())
	if err != nil {
		b.t.Fatal(err)
	}
	if r.Trouble != "" || r.DataSources != 4 || r.Dashboards < len(all) {
		b.t.Fatalf("report %+v", r)
	}
	return r
}

// written counts the changes that the syncer has made.
func (b *bench) written() int { return strings.Count(b.log.String(), "Grafana was changed") }

// must is a call that a person may make.
func (b *bench) must(method, path string, body any) map[string]any {
	b.t.Helper()
	code, answer := b.person(method, path, body)
	if code != http.StatusOK {
		b.t.Fatalf("%s %s: HTTP status %d: %v", method, path, code, answer)
	}
	return answer
}

func dashboardOf(answer map[string]any) map[string]any {
	model, _ := answer["dashboard"].(map[string]any)
	return model
}

// each runs a behaviour against the contract and against a real Grafana, where one is at hand.
func each(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Run("contract", func(t *testing.T) {
		b, _ := contract(t)
		test(t, b)
	})
	t.Run("real", func(t *testing.T) { test(t, realGrafana(t)) })
}

// realGrafana is a bench with a real Grafana; its admin is both KubeBot's user and the person.
func realGrafana(t *testing.T) *bench {
	t.Helper()
	base := golden.StartGrafana(t, golden.Grafana(t), map[string]string{
		"GF_SECURITY_ADMIN_PASSWORD": secret, "GF_ANALYTICS_REPORTING_ENABLED": "false", "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
		"GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false", "GF_PLUGINS_PREINSTALL_DISABLED": "true", "GF_LOG_LEVEL": "error",
	})
	c := testConfig(base)
	c.User, c.Secrets = "admin", config.Secrets{Password: &config.Ref{Name: "main-credentials", Key: "grafana-admin-password"}}
	b := newBench(t, c)
	b.file(b.syncer.CredentialsDir, config.PasswordFile, secret)
	b.person = b.caller(base, "Basic "+base64.StdEncoding.EncodeToString([]byte("admin:"+secret)))
	return b
}

func TestEverythingIsBroughtOnceAndThenLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		r := b.well()
		if r.GrafanaVersion == "" {
			t.Error("the report does not say which Grafana answered")
		}
		wrote := b.written()
		if want := 4 + 1 + r.Dashboards; wrote != want {
			t.Errorf("%d changes, want %d:\n%s", wrote, want, b.log)
		}
		b.well()
		b.syncer.known = nil // as after a restart
		b.well()
		if now := b.written(); now != wrote {
			t.Errorf("looking again changed %d things:\n%s", now-wrote, b.log)
		}
		home := b.must("GET", "/api/dashboards/uid/"+prefix+"home", nil)
		if model := dashboardOf(home); model["title"] != "KubeBot: home" || model["version"] != 1.0 {
			t.Errorf("the home dashboard is %v, version %v", model["title"], model["version"])
		}
		loki := b.must("GET", "/api/datasources/uid/"+prefix+"loki", nil)
		settings := loki["jsonData"].(map[string]any)
		if fields := loki["secureJsonFields"].(map[string]any); fields["httpHeaderValue1"] != true || settings["httpHeaderName1"] != "X-Scope-OrgID" {
			t.Errorf("Loki's tenant is not sent: %v", loki)
		}
	})
}

func TestDriftIsRepaired(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.well()
		// A person edits a dashboard and a data source, renames the folder, and removes one of each.
		model := dashboardOf(b.must("GET", "/api/dashboards/uid/"+prefix+"home", nil))
		model["title"], model["panels"] = "Mine now", []any{}
		b.must("POST", "/api/dashboards/db", map[string]any{"dashboard": model, "folderUid": strings.TrimSuffix(prefix, "-"), "overwrite": true})
		source := b.must("GET", "/api/datasources/uid/"+prefix+"prometheus", nil)
		source["url"] = "http://elsewhere:9090"
		source["jsonData"].(map[string]any)["timeInterval"] = "5m"
		source["jsonData"].(map[string]any)["queryTimeout"] = "7s"
		b.must("PUT", "/api/datasources/uid/"+prefix+"prometheus", source)
		b.must("PUT", "/api/folders/"+strings.TrimSuffix(prefix, "-"), map[string]any{"title": "Other", "overwrite": true})
		b.must("DELETE", "/api/dashboards/uid/"+prefix+"service", nil)
		jaeger := b.must("GET", "/api/datasources/uid/"+prefix+"jaeger", nil)
		b.must("DELETE", "/api/datasources/name/"+strings.ReplaceAll(jaeger["name"].(string), " ", "%20"), nil)

		before := b.written()
		b.well()
		if got := b.written() - before; got != 5 {
			t.Errorf("%d changes, want 5:\n%s", got, b.log)
		}
		home := dashboardOf(b.must("GET", "/api/dashboards/uid/"+prefix+"home", nil))
		if home["title"] != "KubeBot: home" || len(home["panels"].([]any)) == 0 {
			t.Errorf("the home dashboard was not repaired: %v", home["title"])
		}
		source = b.must("GET", "/api/datasources/uid/"+prefix+"prometheus", nil)
		settings := source["jsonData"].(map[string]any)
		if source["url"] != "http://prometheus:9090" || settings["timeInterval"] != "15s" {
			t.Errorf("the data source was not repaired: %v", source)
		}
		if settings["queryTimeout"] != "7s" {
			t.Error("a setting that a person added is gone")
		}
		before = b.written()
		b.well()
		if got := b.written() - before; got != 0 {
			t.Errorf("repairing did not settle: %d changes more\n%s", got, b.log)
		}
	})
}

func TestAMovedDashboardComesBack(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.well()
		model := dashboardOf(b.must("GET", "/api/dashboards/uid/"+prefix+"node", nil))
		b.must("POST", "/api/dashboards/db", map[string]any{"dashboard": model, "overwrite": true})
		b.well()
		meta := b.must("GET", "/api/dashboards/uid/"+prefix+"node", nil)["meta"].(map[string]any)
		if meta["folderUid"] != strings.TrimSuffix(prefix, "-") {
			t.Errorf("the dashboard is in folder %v", meta["folderUid"])
		}
	})
}

// Other people's things have other UIDs, even where their names, tags and contents look like KubeBot's.
func TestOtherPeoplesThingsStay(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.must("POST", "/api/folders", map[string]any{"uid": "team", "title": "Team"})
		b.must("POST", "/api/dashboards/db", map[string]any{"folderUid": "team", "dashboard": map[string]any{"uid": "orders", "title": "Orders", "tags": []string{"kubebot"}, "panels": []any{}}})
		b.must("POST", "/api/dashboards/db", map[string]any{"folderUid": "team", "dashboard": map[string]any{"uid": "kubebot-ffffffff-old", "title": "KubeBot: home", "tags": []string{"kubebot"}, "panels": []any{}}})
		b.must("POST", "/api/datasources", map[string]any{"uid": "kubebot-ffffffff-loki", "name": "KubeBot other loki", "type": "loki", "access": "proxy", "url": "http://other:3100"})
		// Those are KubeBot's own of an older release, and go.
		b.well()
		b.must("POST", "/api/dashboards/db", map[string]any{"folderUid": "team", "dashboard": map[string]any{"uid": prefix + "old", "title": "Old", "tags": []string{"kubebot"}, "panels": []any{}}})
		b.must("POST", "/api/datasources", map[string]any{"uid": prefix + "tempo", "name": "KubeBot test tempo", "type": "prometheus", "access": "proxy", "url": "http://tempo:3200"})
		var gone int
		for range 50 { // a real Grafana's search learns of a dashboard a moment later
			b.well()
			if gone, _ = b.person("GET", "/api/dashboards/uid/"+prefix+"old", nil); gone == http.StatusNotFound {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if gone != http.StatusNotFound {
			t.Error("a dashboard of KubeBot's that is no longer wanted is still there")
		}
		if code, _ := b.person("GET", "/api/datasources/uid/"+prefix+"tempo", nil); code != http.StatusNotFound {
			t.Error("a data source of KubeBot's that is no longer wanted is still there")
		}
		for _, path := range []string{"/api/dashboards/uid/orders", "/api/dashboards/uid/kubebot-ffffffff-old", "/api/datasources/uid/kubebot-ffffffff-loki", "/api/folders/team"} {
			answer := b.must("GET", path, nil)
			if model := dashboardOf(answer); model != nil && model["version"] != 1.0 {
				t.Errorf("%s was written to: version %v", path, model["version"])
			}
		}
	})
}

func TestTheHomeDashboardIsSetUnlessSomebodyChoseAnother(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.well()
		if answer := b.must("GET", "/api/org/preferences", nil); answer["homeDashboardUID"] != nil && answer["homeDashboardUID"] != "" {
			t.Errorf("the home dashboard of somebody else's Grafana was set: %v", answer)
		}
		b.must("PATCH", "/api/org/preferences", map[string]any{"theme": "light"})
		b.config.Own = true
		b.well()
		answer := b.must("GET", "/api/org/preferences", nil)
		if answer["homeDashboardUID"] != prefix+"home" || answer["theme"] != "light" {
			t.Errorf("preferences %v", answer)
		}
		b.must("PATCH", "/api/org/preferences", map[string]any{"homeDashboardUID": prefix + "cluster"})
		before := b.written()
		b.well()
		if answer := b.must("GET", "/api/org/preferences", nil); answer["homeDashboardUID"] != prefix+"cluster" || b.written() != before {
			t.Errorf("the choice of a person was changed: %v", answer)
		}
	})
}

func TestExtraDashboardsAreBroughtAndBadOnesAreNamed(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		for _, name := range []string{"orders", "broken", "list", "shared", "missing"} {
			b.config.Extra = append(b.config.Extra, config.Extra{Name: name, ConfigMap: config.Ref{Name: "boards", Key: name + ".json"}})
		}
		b.file(b.syncer.ExtraDir, "orders.json", `{"id": 17, "uid": "theirs", "version": 4, "title": "Orders", "tags": ["team"], "schemaVersion": 39, "panels": []}`)
		b.file(b.syncer.ExtraDir, "broken.json", "{\n\"title\": \"Broken\",\n\"panels\": [}\n")
		b.file(b.syncer.ExtraDir, "list.json", `["no dashboard"]`)
		b.file(b.syncer.ExtraDir, "shared.json", `{"__inputs": [{"name": "DS_P", "type": "datasource", "pluginId": "prometheus"}], "title": "Shared", "panels": [{"type": "timeseries", "title": "up",
			"id": 1, "gridPos": {"x": 0, "y": 0, "w": 24, "h": 8}, "datasource": {"type": "prometheus", "uid": "${DS_P}"}, "targets": [{"refId": "A", "expr": "up", "datasource": {"type": "prometheus", "uid": "${DS_P}"}}]}]}`)
		r := b.well()
		if len(r.Problems) != 3 || !strings.Contains(r.Problems[0], "ConfigMap boards, key broken.json: line 3") ||
			!strings.Contains(r.Problems[1], "list.json: it is no dashboard") || !strings.Contains(r.Problems[2], "no such ConfigMap or key") {
			t.Errorf("problems %q", r.Problems)
		}
		orders := dashboardOf(b.must("GET", "/api/dashboards/uid/"+prefix+"x-orders", nil))
		if orders["title"] != "Orders" || len(orders["tags"].([]any)) != 2 {
			t.Errorf("dashboard %v", orders)
		}
		shared := dashboardOf(b.must("GET", "/api/dashboards/uid/"+prefix+"x-shared", nil))
		panel := shared["panels"].([]any)[0].(map[string]any)
		if got := panel["datasource"].(map[string]any)["uid"]; got != prefix+"prometheus" {
			t.Errorf("the open data source became %v", got)
		}
		before := b.written()
		b.well()
		if b.written() != before {
			t.Errorf("looking again changed something:\n%s", b.log)
		}
		b.config.Extra = b.config.Extra[3:]
		for range 50 {
			b.well()
			if code, _ := b.person("GET", "/api/dashboards/uid/"+prefix+"x-orders", nil); code == http.StatusNotFound {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Error("a dashboard that left the list is still there")
	})
}

func TestTroubleIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(b *bench, s *grafana.Server)
		trouble config.Trouble
		part    string
	}{
		"no Secret": {func(b *bench, _ *grafana.Server) {
			_ = os.Remove(filepath.Join(b.syncer.CredentialsDir, config.TokenFile))
		},
			config.SecretMissing, `Secret "grafana" has no usable key "token"`},
		"an empty Secret": {func(b *bench, _ *grafana.Server) { b.file(b.syncer.CredentialsDir, config.TokenFile, " \n") },
			config.SecretMissing, `Secret "grafana"`},
		"a revoked token": {func(b *bench, _ *grafana.Server) { b.file(b.syncer.CredentialsDir, config.TokenFile, "glsa_other") }, config.Refused, "401"},
		"a role that is too small": {func(b *bench, s *grafana.Server) {
			s.AddToken("glsa_editor", grafana.Editor)
			b.file(b.syncer.CredentialsDir, config.TokenFile, "glsa_editor")
		}, config.Refused, "role Admin"},
		"an old password in the volume": {func(b *bench, _ *grafana.Server) {
			b.config.Own, b.config.User = true, "admin"
			b.config.Secrets = config.Secrets{Password: &config.Ref{Name: "main-credentials", Key: "grafana-admin-password"}}
			b.file(b.syncer.CredentialsDir, config.PasswordFile, secret)
		}, config.Refused, "reset-admin-password"},
		"out of order": {func(_ *bench, s *grafana.Server) { s.Break(http.StatusBadGateway) }, config.Unreachable, "502"},
		"nobody there": {func(b *bench, _ *grafana.Server) { b.config.URL = "http://127.0.0.1:1" }, config.Unreachable, "does not answer"},
		"a redirect":   {func(_ *bench, s *grafana.Server) { s.Break(http.StatusFound) }, config.Unreachable, "redirects"},
		"another data source of the name": {func(b *bench, _ *grafana.Server) {
			b.must("POST", "/api/datasources", map[string]any{"uid": "theirs", "name": "KubeBot test loki", "type": "loki", "access": "proxy", "url": "http://other:3100"})
		}, config.Failed, `"KubeBot test loki": another one has this name`},
	} {
		t.Run(name, func(t *testing.T) {
			b, server := contract(t)
			c.change(b, server)
			if r := b.sync(); r.Trouble != c.trouble || !strings.Contains(r.Message, c.part) {
				t.Errorf("trouble %q %q, want %q and %q", r.Trouble, r.Message, c.trouble, c.part)
			}
		})
	}
}

func TestAUserWithAPasswordWillDo(t *testing.T) {
	b, server := contract(t)
	server.AddUser("kubebot", secret, grafana.Admin)
	b.config.Secrets = config.Secrets{User: &config.Ref{Name: "grafana", Key: "user"}, Password: &config.Ref{Name: "grafana", Key: "password"}}
	if err := os.Remove(filepath.Join(b.syncer.CredentialsDir, config.TokenFile)); err != nil {
		t.Fatal(err)
	}
	b.file(b.syncer.CredentialsDir, config.UserFile, "kubebot\n")
	b.file(b.syncer.CredentialsDir, config.PasswordFile, secret+"\n")
	b.well()
	b.file(b.syncer.CredentialsDir, config.PasswordFile, "another\n")
	if r := b.sync(); r.Trouble != config.Refused {
		t.Errorf("report %+v", r)
	}
}

func TestANewSecretWorksWithoutARestart(t *testing.T) {
	b, server := contract(t)
	b.well()
	server.AddToken(secret, 0)
	server.AddToken("glsa_next", grafana.Admin)
	if r := b.sync(); r.Trouble != config.Refused {
		t.Fatalf("report %+v", r)
	}
	b.file(b.syncer.CredentialsDir, config.TokenFile, "glsa_next")
	b.well()
}

// Somebody saves a dashboard between KubeBot's look and its write: Grafana answers 412, and the next look wins.
func TestASaveInBetweenIsNoTrouble(t *testing.T) {
	b, _ := contract(t)
	b.well()
	model := dashboardOf(b.must("GET", "/api/dashboards/uid/"+prefix+"home", nil))
	model["title"] = "Drift"
	b.must("POST", "/api/dashboards/db", map[string]any{"dashboard": model, "folderUid": strings.TrimSuffix(prefix, "-"), "overwrite": true})
	meddled := false
	next := b.syncer.Transport
	b.syncer.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && r.URL.Path == "/api/dashboards/db" && !meddled {
			meddled = true
			again := dashboardOf(b.must("GET", "/api/dashboards/uid/"+prefix+"home", nil))
			b.must("POST", "/api/dashboards/db", map[string]any{"dashboard": again, "folderUid": strings.TrimSuffix(prefix, "-"), "overwrite": true})
		}
		return next.RoundTrip(r)
	})
	b.well()
	home := dashboardOf(b.must("GET", "/api/dashboards/uid/"+prefix+"home", nil))
	if !meddled || home["title"] != "KubeBot: home" {
		t.Errorf("title %v (somebody saved in between: %t)", home["title"], meddled)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A Grafana that hangs must not hold the process: the look ends with its context.
func TestALookEndsWithItsContext(t *testing.T) {
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer server.Close()
	defer close(hold)
	b := newBench(t, testConfig(server.URL))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := b.syncer.Sync(ctx, b.config); r.Trouble != config.Unreachable {
		t.Errorf("report %+v", r)
	}
}

func FuzzParseExtra(f *testing.F) {
	f.Add([]byte(`{"title": "Orders", "__inputs": [{"name": "DS", "type": "datasource", "pluginId": "loki"}], "tags": ["a"], "panels": [{"datasource": {"uid": "${DS}"}}]}`))
	f.Add([]byte(`{"title": "a", "tags": 1}`))
	f.Add([]byte(`{"kind": "Dashboard"}`))
	f.Add([]byte("[\n1,"))
	o := testConfig("").Options()
	f.Fuzz(func(t *testing.T, data []byte) {
		model, err := parseExtra(data, o)
		if err != nil {
			if err.Error() == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			return
		}
		if title, _ := model["title"].(string); title == "" || model["id"] != nil || model["version"] != nil || model["__inputs"] != nil {
			t.Errorf("model %v", model)
		}
	})
}
