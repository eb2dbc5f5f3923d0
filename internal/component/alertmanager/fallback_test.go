package alertmanager

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// arriveTimeout is far above the group wait of a fallback.
const arriveTimeout = time.Minute

// people are a Slack workspace and webhooks, and the KubeBot that tells them.
func people(t *testing.T) (*slacktest.Server, component.Input) {
	t.Helper()
	server, err := slacktest.New(slacktest.Options{
		Tokens:   []slacktest.Token{{Value: "xoxb-fallback", Scopes: []string{"chat:write"}}},
		Channels: []slacktest.Channel{{ID: "C0000000001", Name: "prod"}, {ID: "C0000000002", Name: "shop"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		web.Close()
		_ = server.Close()
	})
	slackReceiver := func(name, channel string) v1alpha1.Receiver {
		return v1alpha1.Receiver{Name: name, Slack: &v1alpha1.SlackReceiver{
			Channel: channel, APIURL: web.URL + "/api/", TokenSecret: v1alpha1.SecretKeyRef{Name: "slack", Key: "token"},
		}}
	}
	in := input(v1alpha1.AlertmanagerSpec{})
	in.KubeBot.Spec.Alerting.Receivers = []v1alpha1.Receiver{
		slackReceiver("oncall", "#prod"), slackReceiver("shop", "#shop"),
		{Name: "ticket", Webhook: &v1alpha1.WebhookReceiver{URLSecret: &v1alpha1.SecretKeyRef{Name: "ticket", Key: "url"}}},
	}
	in.KubeBot.Spec.Alerting.Routes = []v1alpha1.Route{
		{Match: v1alpha1.RouteMatch{Namespaces: []string{"quiet"}}, Receivers: []string{}},
		{Match: v1alpha1.RouteMatch{Namespaces: []string{"shop-*"}, Labels: map[string]string{"team": `a"b`}}, Receivers: []string{"shop"}},
	}
	return server, in
}

func TestAlertmanagerGetsNoTokenForButtons(t *testing.T) {
	kb := &v1alpha1.KubeBot{}
	kb.Spec.Alerting.Receivers = []v1alpha1.Receiver{{Name: "oncall", Slack: &v1alpha1.SlackReceiver{
		Channel: "#prod", TokenSecret: v1alpha1.SecretKeyRef{Name: "slack", Key: "token"},
		Interactions: &v1alpha1.SlackInteractions{AppTokenSecret: &v1alpha1.SecretKeyRef{Name: "slack", Key: "app"}},
	}}}
	refs := fallbackRefs(kb)
	if len(refs) != 1 || refs[0].Key != "token" {
		t.Errorf("got %+v", refs)
	}
	if kb.Spec.Alerting.Receivers[0].Slack.Interactions == nil {
		t.Error("the KubeBot was changed")
	}
}

// startAlertmanager runs the real Alertmanager with the configuration, the Secrets in a folder of their own.
func startAlertmanager(t *testing.T, in component.Input, secrets map[string]string) string {
	t.Helper()
	program, dir := golden.Program(t, "alertmanager"), t.TempDir()
	data, err := marshal(newConfig(in))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range secrets {
		path := filepath.Join(dir, "receivers", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The responder's own authority is no part of this: Alertmanager needs the file to begin.
	config := strings.ReplaceAll(string(data), receiversDir, filepath.Join(dir, "receivers"))
	config = strings.ReplaceAll(config, "      tls_config:\n        ca_file: "+credentialsDir(in.KubeBot)+"/ca.crt\n", "")
	if err := os.WriteFile(filepath.Join(dir, keyConfig), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return golden.Start(t, dir, program, "/-/ready", func(address string) []string {
		return []string{"--config.file=" + keyConfig, "--storage.path=" + dir, "--cluster.listen-address=", "--web.listen-address=" + address}
	})
}

func post(t *testing.T, alertmanager string, alerts ...map[string]string) {
	t.Helper()
	var list []map[string]any
	for _, labels := range alerts {
		list = append(list, map[string]any{"labels": labels})
	}
	body, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(alertmanager+"/api/v2/alerts", "application/json", bytes.NewReader(body)) //nolint:noctx // a local server, ended with the test
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager answers %s", resp.Status)
	}
}

// copyOf is the copy of a critical alert as the rule makes it.
func copyOf(name, namespace string, more ...string) map[string]string {
	labels := map[string]string{
		"alertname": "ResponderFallback", "kubebot_fallback": "true", "kubebot_alert": name, "severity": "critical", "namespace": namespace,
	}
	for i := 0; i+1 < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return labels
}

func TestCopiesReachThePeopleOfTheirRouteAndNobodyElse(t *testing.T) {
	t.Parallel()
	server, in := people(t)
	hooks := httptest.NewServer(server.Handler())
	t.Cleanup(hooks.Close)
	am := startAlertmanager(t, in, map[string]string{"slack/token": "xoxb-fallback", "ticket/url": hooks.URL + "/webhook/ticket"})
	post(t, am,
		copyOf("WorkloadDown", "pay", "workload", "<!channel> & co"),
		copyOf("WorkloadDown", "shop-eu", "team", `a"b`),
		copyOf("VolumeAlmostFull", "quiet"),
		map[string]string{"alertname": "NotACopy", "severity": "critical", "namespace": "pay"},
	)
	var prod, shop []slacktest.Message
	for deadline := time.Now().Add(arriveTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		prod, shop = server.Messages("C0000000001"), server.Messages("C0000000002")
		if len(prod) == 1 && len(shop) == 2 && len(server.Webhooks()) == 1 {
			break
		}
	}
	if len(prod) != 1 || len(shop) != 2 || len(server.Webhooks()) != 1 {
		t.Fatalf("#prod has %v, #shop %v, the webhook %v", prod, shop, server.Webhooks())
	}
	text := strings.Join(slacktest.Lines(prod[0]), "\n")
	for _, want := range []string{"WorkloadDown", "the responder does not answer", "namespace=pay", "workload=<!channel> & co"} {
		if !strings.Contains(strings.ReplaceAll(text, "KubeBot's", "the"), want) {
			t.Errorf("the message has no %q:\n%s", want, text)
		}
	}
	if raw := prod[0].Attachments[0].Text; !strings.Contains(raw, "&lt;!channel&gt; &amp; co") {
		t.Errorf("the message can mention people: %s", raw)
	}
	if !slices.ContainsFunc(shop, func(m slacktest.Message) bool {
		return strings.Contains(strings.Join(slacktest.Lines(m), ""), "shop-eu")
	}) {
		t.Errorf("#shop has no message of its namespace: %v", shop)
	}
	if body := server.Webhooks()[0].Body; !strings.Contains(body, `"kubebot_alert":"WorkloadDown"`) || strings.Contains(body, "NotACopy") {
		t.Errorf("the webhook got %s", body)
	}
}

func TestANameThatNoSecretCanHaveStopsNobodyElse(t *testing.T) {
	_, in := people(t)
	in.KubeBot.Spec.Alerting.Receivers[0].Slack.TokenSecret.Name = "Not A Name"
	for _, ref := range fallbackRefs(in.KubeBot) {
		if ref.Name == "Not A Name" {
			t.Errorf("Alertmanager would mount %+v", ref)
		}
	}
	if n := len(fallbackCapable(in.KubeBot.Spec.Alerting.Receivers)); n != 2 {
		t.Errorf("%d receivers are left, want the other two", n)
	}
}

// A Secret that does not exist yet must not keep Alertmanager from working for the others.
func TestAMissingTokenStopsNobodyElse(t *testing.T) {
	t.Parallel()
	server, in := people(t)
	hooks := httptest.NewServer(server.Handler())
	t.Cleanup(hooks.Close)
	am := startAlertmanager(t, in, map[string]string{"ticket/url": hooks.URL + "/webhook/ticket"})
	post(t, am, copyOf("WorkloadDown", "pay"))
	for deadline := time.Now().Add(arriveTimeout); len(server.Webhooks()) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the webhook got nothing while Slack's token is missing")
		}
	}
	if got := server.Messages("C0000000001"); len(got) != 0 {
		t.Errorf("Slack took a message without a token: %v", got)
	}
}
