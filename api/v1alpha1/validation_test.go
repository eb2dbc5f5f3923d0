package v1alpha1_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

var api client.Client

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(apitest.Main(m, func(config *rest.Config) {
		var err error
		if api, err = client.New(config, client.Options{}); err != nil {
			panic(err)
		}
	}, "bases"))
}

// kubebot is a KubeBot whose spec is given in YAML, indented by two.
func kubebot(name, spec string) string {
	return "apiVersion: kubebot.io/v1alpha1\nkind: KubeBot\nmetadata: {namespace: default, name: " + name + "}\nspec:\n" + spec
}

const incident = `
apiVersion: kubebot.io/v1alpha1
kind: Incident
metadata: {namespace: default, name: main-0123456789-1}
spec:
  kubeBot: main
  groupKey: shop/checkout
  number: 1
  subject: {apiVersion: apps/v1, kind: Deployment, namespace: shop, name: checkout}
  openingAlerts:
  - {fingerprint: "0123456789abcdef", name: A, severity: critical, state: Firing, source: Watch, startsAt: "2026-01-01T00:00:00Z"}
`

// one is the spec of a KubeBot with one receiver of a kind.
func one(kind string) string { return "  alerting: {receivers: [{name: a, " + kind + "}]}\n" }

// collectorEnv is the spec of a KubeBot whose user adds a variable to the collector.
func collectorEnv(name string) string {
	return "  traces: {collector: {extraConfig: 'exporters: {}', extraEnv: [{name: " + name + ", valueSecret: {name: vendor, key: token}}]}}\n"
}

// alertRoute is an AlertRoute with one receiver of a kind.
func alertRoute(name, kind string) string {
	return "apiVersion: kubebot.io/v1alpha1\nkind: AlertRoute\nmetadata: {namespace: default, name: " + name + "}\nspec:\n  match: {severities: [critical, warning], labels: {team: shop}}\n  receivers: [{name: a, " + kind + "}]\n"
}

const receivers = "  alerting:\n    receivers:\n    - {name: oncall, webhook: {url: 'https://hooks.example.com'}}\n"

// cases hold, for each CEL rule of the KubeBot, an object that breaks it with a part of the sentence that refuses it,
// and one next to it that is accepted.
var cases = []struct {
	name   string
	object string
	// want is part of the refusal; empty means that the object is accepted.
	want string
}{
	{"empty spec", kubebot("empty", "  {}\n"), ""},
	{"no spec", "apiVersion: kubebot.io/v1alpha1\nkind: KubeBot\nmetadata: {namespace: default, name: none}\n", ""},

	{"name of 40 characters", kubebot(strings.Repeat("a", 40), "  {}\n"), ""},
	{"name of 41 characters", kubebot(strings.Repeat("a", 41), "  {}\n"), "metadata.name may have at most 40 characters"},

	{"External Prometheus", kubebot("x", "  metrics: {prometheus: {mode: External, external: {url: 'http://prometheus.monitoring.svc:9090'}}}\n"), ""},
	{"External Prometheus without address", kubebot("x", "  metrics: {prometheus: {mode: External}}\n"), "external belongs to mode External"},
	{"managed Prometheus with an address", kubebot("x", "  metrics: {prometheus: {external: {url: 'http://a'}}}\n"), "external belongs to mode External"},
	{"External Alertmanager", kubebot("x", "  metrics: {alertmanager: {mode: External, external: {url: 'https://am.example.com'}}}\n"), ""},
	{"External Alertmanager without address", kubebot("x", "  metrics: {alertmanager: {mode: External}}\n"), "external belongs to mode External"},
	{"address without scheme", kubebot("x", "  metrics: {prometheus: {mode: External, external: {url: 'prometheus:9090'}}}\n"), "url must be an http or https URL with a host"},
	{"address with another scheme", kubebot("x", "  metrics: {prometheus: {mode: External, external: {url: 'ftp://prometheus'}}}\n"), "url must be an http or https URL with a host"},

	{"external labels", kubebot("x", "  metrics: {prometheus: {externalLabels: {region: eu}}}\n"), ""},
	{"external label cluster", kubebot("x", "  metrics: {prometheus: {externalLabels: {cluster: a}}}\n"), "externalLabels may not set cluster"},
	{"external label with a dash", kubebot("x", "  metrics: {prometheus: {externalLabels: {a-b: c}}}\n"), "the names in externalLabels may have letters"},

	{"remote write", kubebot("x", "  metrics: {prometheus: {remoteWrite: [{name: a, url: 'https://mimir.example.com/push', bearerTokenSecret: {name: s, key: k}}]}}\n"), ""},
	{"remote write to no URL", kubebot("x", "  metrics: {prometheus: {remoteWrite: [{name: a, url: mimir}]}}\n"), "url must be an http or https URL"},
	{
		"remote write with two kinds of credentials",
		kubebot("x", "  metrics: {prometheus: {remoteWrite: [{name: a, url: 'https://m', bearerTokenSecret: {name: s, key: k}, basicAuth: {usernameSecret: {name: s, key: u}, passwordSecret: {name: s, key: p}}}]}}\n"),
		"set bearerTokenSecret or basicAuth, not both",
	},

	{"storage class with size", kubebot("x", "  metrics: {prometheus: {storage: {size: 1Gi, storageClassName: fast}}}\n"), ""},
	{"storage class without size", kubebot("x", "  metrics: {prometheus: {storage: {storageClassName: fast}}}\n"), "storageClassName needs size"},

	{"route to a receiver", kubebot("x", receivers+"    routes: [{receivers: [oncall]}]\n"), ""},
	{"route to nobody", kubebot("x", "  alerting: {routes: [{receivers: []}]}\n"), ""},
	{"route to an unknown receiver", kubebot("x", receivers+"    routes: [{receivers: [night]}]\n"), "every name in routes[].receivers must be the name of an entry of receivers"},
	{"route with a mute time", kubebot("x", receivers+"    routes: [{receivers: [oncall], muteTimes: [night]}]\n    muteTimes: [{name: night, start: '22:00', end: '06:00'}]\n"), ""},
	{"route with an unknown mute time", kubebot("x", receivers+"    routes: [{receivers: [oncall], muteTimes: [night]}]\n"), "every name in routes[].muteTimes must be the name of an entry of muteTimes"},
	{"mute time without end", kubebot("x", "  alerting: {muteTimes: [{name: night, start: '22:00'}]}\n"), "start and end belong together"},

	{"receiver of no kind", kubebot("x", "  alerting: {receivers: [{name: a}]}\n"), "a receiver needs exactly one of slack, webhook, teams, pagerDuty, email and opsGenie"},
	{
		"receiver of two kinds",
		kubebot("x", "  alerting: {receivers: [{name: a, webhook: {url: 'https://a'}, slack: {channel: '#prod', tokenSecret: {name: s, key: k}}}]}\n"),
		"a receiver needs exactly one of slack, webhook, teams, pagerDuty, email and opsGenie",
	},
	{"Slack", kubebot("x", "  alerting: {receivers: [{name: a, slack: {channel: '#prod', tokenSecret: {name: s, key: k}, apiURL: 'https://slack-gov.com/api/'}}]}\n"), ""},
	{"Slack's address without a slash", kubebot("x", "  alerting: {receivers: [{name: a, slack: {channel: '#prod', tokenSecret: {name: s, key: k}, apiURL: 'https://slack-gov.com/api'}}]}\n"), "apiURL must be an http or https URL that ends in /"},
	{"Slack with buttons", kubebot("x", "  alerting: {receivers: [{name: a, slack: {channel: '#prod', tokenSecret: {name: s, key: k}, interactions: {appTokenSecret: {name: s, key: app}, allow: {silence: {users: [U0123456789], userGroups: [S0123456789]}}}}}]}\n"), ""},
	{"Slack with buttons by both ways", kubebot("x", "  alerting: {receivers: [{name: a, slack: {channel: '#prod', tokenSecret: {name: s, key: k}, interactions: {appTokenSecret: {name: s, key: app}, signingSecret: {name: s, key: sign}}}}]}\n"), "set exactly one of appTokenSecret"},
	{"Slack with buttons by no way", kubebot("x", "  alerting: {receivers: [{name: a, slack: {channel: '#prod', tokenSecret: {name: s, key: k}, interactions: {}}}]}\n"), "set exactly one of appTokenSecret"},
	{"buttons for nobody", kubebot("x", "  alerting: {receivers: [{name: a, slack: {channel: '#prod', tokenSecret: {name: s, key: k}, interactions: {signingSecret: {name: s, key: sign}, allow: {silence: {users: []}}}}}]}\n"), "name at least one of users and userGroups"},
	{"buttons for a handle", kubebot("x", "  alerting: {receivers: [{name: a, slack: {channel: '#prod', tokenSecret: {name: s, key: k}, interactions: {signingSecret: {name: s, key: sign}, allow: {silence: {users: [anna]}}}}}]}\n"), "should match"},
	{"webhook by Secret", kubebot("x", "  alerting: {receivers: [{name: a, webhook: {urlSecret: {name: s, key: k}}}]}\n"), ""},
	{"webhook to nowhere", kubebot("x", "  alerting: {receivers: [{name: a, webhook: {}}]}\n"), "set exactly one of url and urlSecret"},
	{"webhook with two addresses", kubebot("x", "  alerting: {receivers: [{name: a, webhook: {url: 'https://a', urlSecret: {name: s, key: k}}}]}\n"), "set exactly one of url and urlSecret"},
	{"webhook to no URL", kubebot("x", "  alerting: {receivers: [{name: a, webhook: {url: hooks}}]}\n"), "url must be an http or https URL with a host"},

	{"webhook with a template", kubebot("x", one("webhook: {url: 'https://a', bodyTemplate: '{{.Text}}', contentType: 'text/plain; charset=utf-8'}")), ""},
	{"content type without a template", kubebot("x", one("webhook: {url: 'https://a', contentType: text/plain}")), "contentType belongs to bodyTemplate"},
	{"content type with a header", kubebot("x", one("webhook: {url: 'https://a', bodyTemplate: a, contentType: \"text/plain\\r\\nX: y\"}")), "should match"},
	{"webhook to the own pod", kubebot("x", one("webhook: {url: 'http://127.0.0.1:8080/'}, allowTargets: [Loopback]")), ""},
	{"webhook to a place that is none", kubebot("x", one("webhook: {url: 'http://127.0.0.1:8080/'}, allowTargets: [Node]")), "Unsupported value"},
	{"Teams", kubebot("x", one("teams: {urlSecret: {name: s, key: k}}")), ""},
	{"Teams without URL", kubebot("x", one("teams: {}")), "urlSecret: Required value"},
	{"PagerDuty", kubebot("x", one("pagerDuty: {routingKeySecret: {name: s, key: k}, apiURL: 'https://events.eu.pagerduty.com/'}")), ""},
	{"PagerDuty's address without a slash", kubebot("x", one("pagerDuty: {routingKeySecret: {name: s, key: k}, apiURL: 'https://events.eu.pagerduty.com'}")), "apiURL must be an http or https URL that ends in /, such as https://events.eu.pagerduty.com/"},
	{"mail", kubebot("x", one("email: {server: 'smtp.example.com:587', from: kubebot@example.com, to: [ops@example.com], username: a, passwordSecret: {name: s, key: k}}")), ""},
	{"mail to a relay", kubebot("x", one("email: {server: 'relay.mail.svc:25', tls: None, from: kubebot@example.com, to: [ops@example.com]}")), ""},
	{"mail to nobody", kubebot("x", one("email: {server: 'smtp.example.com:587', from: kubebot@example.com, to: []}")), "should have at least 1 items"},
	{"mail without a port", kubebot("x", one("email: {server: smtp.example.com, from: kubebot@example.com, to: [ops@example.com]}")), "should match"},
	{"mail to an address with a line break", kubebot("x", one("email: {server: 'smtp.example.com:587', from: kubebot@example.com, to: [\"ops@example.com\\r\\nBcc: x@y\"]}")), "should match"},
	{"mail with half a login", kubebot("x", one("email: {server: 'smtp.example.com:587', from: kubebot@example.com, to: [ops@example.com], username: a}")), "username and passwordSecret belong together"},
	{"mail with a password in clear text", kubebot("x", one("email: {server: 'smtp.example.com:25', tls: None, from: kubebot@example.com, to: [ops@example.com], username: a, passwordSecret: {name: s, key: k}}")), "a password is not sent without encryption"},
	{"mail with an authority for nothing", kubebot("x", one("email: {server: 'smtp.example.com:25', tls: None, from: kubebot@example.com, to: [ops@example.com], caSecret: {name: s, key: k}}")), "caSecret belongs to an encrypted connection"},
	{"Opsgenie", kubebot("x", one("opsGenie: {apiKeySecret: {name: s, key: k}, responders: [{type: team, name: ops}]}")), ""},
	{"Opsgenie for somebody else", kubebot("x", one("opsGenie: {apiKeySecret: {name: s, key: k}, responders: [{type: owner, name: ops}]}")), "Unsupported value"},
	{"Opsgenie's address without a slash", kubebot("x", one("opsGenie: {apiKeySecret: {name: s, key: k}, apiURL: 'https://api.eu.opsgenie.com'}")), "apiURL must be an http or https URL that ends in /, such as https://api.eu.opsgenie.com/"},

	{"a team's route", alertRoute("shop", "slack: {channel: '#shop', tokenSecret: {name: kubebot-receivers, key: token}}"), ""},
	{"a team's route with a long name", alertRoute(strings.Repeat("a", 64), "slack: {channel: '#shop', tokenSecret: {name: s, key: k}}"), "metadata.name may have at most 63 characters"},
	{"a team's route into the machine", alertRoute("shop", "webhook: {url: 'http://127.0.0.1/'}, allowTargets: [Loopback]"), "may not set allowTargets"},
	{"a team's route with buttons", alertRoute("shop", "slack: {channel: '#shop', tokenSecret: {name: s, key: k}, interactions: {appTokenSecret: {name: s, key: k}}}"), "may not set slack.interactions"},
	{"a team's route with a template", alertRoute("shop", "webhook: {url: 'https://a', bodyTemplate: a}"), "may not set webhook.bodyTemplate"},
	{"a team's route to a receiver of no kind", "apiVersion: kubebot.io/v1alpha1\nkind: AlertRoute\nmetadata: {namespace: default, name: a}\nspec: {receivers: [{name: a}]}\n", "a receiver needs exactly one of slack"},
	{"a team's route to nobody", "apiVersion: kubebot.io/v1alpha1\nkind: AlertRoute\nmetadata: {namespace: default, name: a}\nspec: {receivers: []}\n", "should have at least 1 items"},

	{"External Loki", kubebot("x", "  logs: {loki: {mode: External, external: {url: 'http://loki.logging.svc:3100', tenant: a}}}\n"), ""},
	{"External Loki without address", kubebot("x", "  logs: {loki: {mode: External}}\n"), "external belongs to mode External"},
	{"Loki in a bucket", kubebot("x", "  logs: {loki: {objectStorage: {bucket: logs, accessKeySecret: {name: s, key: a}, secretKeySecret: {name: s, key: b}}}}\n"), ""},
	{"Loki in a bucket and what is not there yet on a volume", kubebot("x", "  logs: {loki: {storage: {size: 1Gi}, objectStorage: {bucket: logs}}}\n"), ""},
	{"memory of the watcher of events", kubebot("x", "  events: {resources: {limits: {memory: 2Gi}}}\n"), ""},
	{"no memory of the watcher of events", kubebot("x", "  events: {resources: {limits: {memory: much}}}\n"), "spec.events.resources.limits"},
	{"bucket with half a key", kubebot("x", "  logs: {loki: {objectStorage: {bucket: logs, accessKeySecret: {name: s, key: a}}}}\n"), "set accessKeySecret and secretKeySecret together"},
	{"archive on a volume and in a bucket", kubebot("x", "  analysis: {archive: {storage: {size: 1Gi}, objectStorage: {bucket: archive}}}\n"), "with objectStorage the archive is in the bucket"},
	{"training", kubebot("x", "  analysis: {training: {schedule: '*/30 2-4 * * MON'}, weights: {version: '3'}}\n"), ""},
	{"training each day, with the built-in weights", kubebot("x", "  analysis: {training: {schedule: '@daily'}, weights: {version: BuiltIn}}\n"), ""},
	{"training at no time", kubebot("x", "  analysis: {training: {schedule: nightly}}\n"), "schedule must be a cron expression of five fields"},
	{"version of the weights that is none", kubebot("x", "  analysis: {weights: {version: v3}}\n"), "version must be BuiltIn or the number"},
	{"External Jaeger", kubebot("x", "  traces: {jaeger: {mode: External, external: {url: 'http://jaeger.tracing.svc:16686', otlpEndpoint: 'jaeger.tracing.svc:4317'}}}\n"), ""},
	{"External Jaeger without address", kubebot("x", "  traces: {jaeger: {mode: External}}\n"), "external belongs to mode External"},
	{"a variable of the user's configuration", kubebot("x", collectorEnv("VENDOR_TOKEN")), ""},
	{"a variable that begins with a digit", kubebot("x", collectorEnv("1TOKEN")), "name must be that of a variable"},
	{"a variable that KubeBot sets", kubebot("x", collectorEnv("POD_IP")), "POD_IP, POD_NAME and GOMEMLIMIT are set by KubeBot"},
	{"a variable of no configuration", kubebot("x", "  traces: {collector: {extraEnv: [{name: A, valueSecret: {name: vendor, key: token}}]}}\n"), "extraEnv are variables of extraConfig"},

	{"two Jaegers with the embedded store", kubebot("x", "  traces: {jaeger: {replicas: 2}}\n"), "Jaeger's embedded store has one writer"},
	{"two Jaegers with Elasticsearch", kubebot("x", "  traces: {jaeger: {replicas: 2, elasticsearch: {url: 'https://es.example.com'}}}\n"), ""},
	{"External Grafana", kubebot("x", "  dashboards: {grafana: {mode: External, external: {url: 'https://grafana.example.com', tokenSecret: {name: s, key: k}}}}\n"), ""},
	{"External Grafana without address", kubebot("x", "  dashboards: {grafana: {mode: External}}\n"), "external belongs to mode External"},
	{"External Grafana without credentials", kubebot("x", "  dashboards: {grafana: {mode: External, external: {url: 'https://grafana.example.com'}}}\n"), "set tokenSecret (a service account's token) or basicAuth"},
	{"Grafana's public address without scheme", kubebot("x", "  dashboards: {grafana: {publicURL: grafana.example.com}}\n"), "publicURL must be an http or https URL"},

	{"digest", kubebot("digest", "  alerting: {digest: {interval: 30m, stormAbove: 5}}\n"), ""},
	{"digest at no interval", kubebot("x", "  alerting: {digest: {interval: often}}\n"), "spec.alerting.digest.interval"},
	{"every incident in a digest", kubebot("x", "  alerting: {digest: {stormAbove: 0}}\n"), "spec.alerting.digest.stormAbove"},
	{"warnings are pushed at once", kubebot("at-once", "  alerting: {pushAfter: 0s}\n"), ""},
	{"warnings wait for no time", kubebot("x", "  alerting: {pushAfter: never}\n"), "spec.alerting.pushAfter"},
	{"flapping", kubebot("flapping", "  alerting: {quietStart: Disabled, flapping: {times: 5, within: 2h, calm: 30m}}\n"), ""},
	{"flapping at once", kubebot("x", "  alerting: {flapping: {times: 1}}\n"), "spec.alerting.flapping.times"},
	{"escalation", kubebot("escalation", receivers+"    routes: [{receivers: [oncall], escalation: {receivers: [oncall], after: 30m}}]\n"), ""},
	{"escalation to an unknown receiver", kubebot("x", receivers+"    routes: [{receivers: [oncall], escalation: {receivers: [boss]}}]\n"), "every name in routes[].escalation.receivers must be the name of an entry of receivers"},
	{"escalation to nobody", kubebot("x", receivers+"    routes: [{receivers: [oncall], escalation: {receivers: []}}]\n"), "escalation.receivers"},
	{"heartbeat", kubebot("x", "  alerting: {heartbeat: {urlSecret: {name: s, key: k}}}\n"), ""},
	{"heartbeat to nowhere", kubebot("x", "  alerting: {heartbeat: {}}\n"), "set exactly one of url and urlSecret"},
	{"heartbeat to no URL", kubebot("x", "  alerting: {heartbeat: {url: ping}}\n"), "url must be an http or https URL with a host"},

	{"incident", incident, ""},
	{"judgement of a cause that says nothing", incident + "  cause: {by: anna}\n", "set one of confirm (the place of the right cause in status.causes, 1 for the first), correct"},
	{"incident with people's words", incident + "  silence: {by: anna, until: '2026-01-01T01:00:00Z'}\n  feedback: [{verdict: Noise, by: anna, at: '2026-01-01T00:10:00Z'}]\n", ""},
	{"incident with an unknown word", incident + "  feedback: [{verdict: Fine, by: anna, at: '2026-01-01T00:10:00Z'}]\n", "Unsupported value"},
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want a refusal with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("refused with %q, want %q", err, want)
	}
}

func TestRulesRefuseWithASentence(t *testing.T) {
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			check(t, api.Create(t.Context(), object(t, test.object), client.DryRunAll), test.want)
		})
	}
}

func TestWhatAnIncidentIsAboutCannotBeChanged(t *testing.T) {
	created := object(t, incident)
	if err := api.Create(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Delete(t.Context(), created) })
	for _, test := range []struct{ name, patch, want string }{
		{"acknowledged", `{"spec":{"acknowledge":{"by":"me"}}}`, ""},
		{"closed", `{"spec":{"close":{"by":"me"}}}`, ""},
		{"other subject", `{"spec":{"subject":{"name":"cart"}}}`, "can't be changed"},
		{"other KubeBot", `{"spec":{"kubeBot":"other"}}`, "can't be changed"},
		{"other group key", `{"spec":{"groupKey":"other"}}`, "can't be changed"},
		{"silenced", `{"spec":{"silence":{"by":"me","until":"2026-01-01T01:00:00Z"}}}`, ""},
		{"corrected cause", `{"spec":{"cause":{"by":"me","correct":{"workload":"cart","kind":"cpu"}}}}`, ""},
		{"confirmed cause that is not there", `{"spec":{"cause":{"by":"me","confirm":1}}}`, "spec.cause.confirm must be the place of a cause in status.causes"},
		{"rejected cause that is not there", `{"spec":{"cause":{"by":"me","reject":1}}}`, "spec.cause.reject must be the place of a cause in status.causes"},
		{"confirmed and rejected", `{"spec":{"cause":{"confirm":1,"reject":2}}}`, "set one of confirm"},
		{"other number", `{"spec":{"number":2}}`, "can't be changed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			patched := created.DeepCopy()
			patch := client.RawPatch("application/merge-patch+json", []byte(test.patch))
			check(t, api.Patch(t.Context(), patched, patch, client.DryRunAll), test.want)
		})
	}
}

// TestEveryRuleHasACase keeps the table complete: each message of a CEL rule in the CRDs is wanted by some case.
func TestEveryRuleHasACase(t *testing.T) {
	wanted := []string{"can't be changed", "spec.cause.confirm must be the place of a cause in status.causes", "spec.cause.reject must be the place of a cause in status.causes"}
	for _, test := range cases {
		if test.want != "" {
			wanted = append(wanted, test.want)
		}
	}
	rule := regexp.MustCompile(`message: (?:'|")?(.+)\n((?: +[^- ].*\n)*?) +rule:`)
	for _, file := range []string{"kubebot.io_kubebots.yaml", "kubebot.io_incidents.yaml", "kubebot.io_alertroutes.yaml"} {
		text, err := os.ReadFile(apitest.CRDs("bases") + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found := rule.FindAllStringSubmatch(string(text), -1)
		if all := strings.Count(string(text), " rule: "); len(found) != all {
			t.Errorf("%s: %d of %d rules found", file, len(found), all)
		}
		for _, match := range found {
			message := strings.Join(strings.Fields(strings.ReplaceAll(match[1]+" "+match[2], "''", "'")), " ")
			covered := false
			for _, want := range wanted {
				covered = covered || strings.Contains(message, want)
			}
			if !covered {
				t.Errorf("%s: no case for the rule %q", file, message)
			}
		}
	}
}

func TestDefaultsAreStableStructureOnly(t *testing.T) {
	u := object(t, kubebot("defaults", "  {}\n"))
	if err := api.Create(t.Context(), u, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(u.Object["spec"]); got != "map[scope:Cluster]" {
		t.Errorf("an empty spec becomes %s", got)
	}
}
