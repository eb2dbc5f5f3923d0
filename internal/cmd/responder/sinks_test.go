package responder

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/transport"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// Every type of receiver refuses to call the machine and the cluster's API, and does when it is allowed to.
func TestNoTypeOfReceiverCallsTheMachineItself(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte(server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	api := &transport.ClusterAPI{}
	sinks := Sinks(Making{API: api, Secret: func(ref *v1alpha1.SecretKeyRef) secretfile.Ref {
		if ref == nil {
			return secretfile.Ref{}
		}
		return secretfile.Ref{File: file, Secret: ref.Name, Key: ref.Key}
	}})
	receivers := map[string]v1alpha1.Receiver{
		typeSlack:     {Slack: &v1alpha1.SlackReceiver{Channel: "C0123456789", APIURL: server.URL + "/"}},
		typeWebhook:   {Webhook: &v1alpha1.WebhookReceiver{URL: server.URL}},
		typeTeams:     {Teams: &v1alpha1.TeamsReceiver{}},
		typePagerDuty: {PagerDuty: &v1alpha1.PagerDutyReceiver{APIURL: server.URL + "/"}},
		typeEmail:     {Email: &v1alpha1.EmailReceiver{Server: address, TLS: v1alpha1.EmailNoTLS, From: "a@example.com", To: []string{"b@example.com"}}},
		typeOpsGenie:  {OpsGenie: &v1alpha1.OpsGenieReceiver{APIURL: server.URL + "/"}},
	}
	for _, kind := range receiverTypes {
		r, ok := receivers[kind]
		if !ok || typeOf(r) != kind {
			t.Fatalf("no receiver of type %s", kind)
		}
		for _, c := range []struct {
			allow  []v1alpha1.Target
			called bool
		}{{nil, false}, {[]v1alpha1.Target{v1alpha1.TargetLinkLocal, v1alpha1.TargetClusterAPI}, false}, {[]v1alpha1.Target{v1alpha1.TargetLoopback}, true}} {
			r.AllowTargets = c.allow
			sink, err := sinks[kind](r, "prod")
			if err != nil {
				t.Fatal(err)
			}
			before := calls.Load()
			res := sink.Send(context.Background(), notifytest.Message())
			if !c.called && (res.Outcome != notify.Refused || res.Word != "TargetForbidden" || calls.Load() != before) {
				t.Errorf("%s with %v: %+v", kind, c.allow, res)
			}
			if c.called && res.Word == "TargetForbidden" {
				t.Errorf("%s with %v: %+v", kind, c.allow, res)
			}
		}
	}
}

func TestAReceiverThatCannotBeMadeStopsNobodyElse(t *testing.T) {
	c := config.Config{Receivers: []v1alpha1.Receiver{
		{Name: "bad", Webhook: &v1alpha1.WebhookReceiver{URL: "https://a", BodyTemplate: "\n{{.Nothing}}"}},
		{Name: "none"},
		{Name: "good", Webhook: &v1alpha1.WebhookReceiver{URL: "https://a", BodyTemplate: "{{.Text}}"}},
	}}
	list, problems := receivers(c, Sinks(Making{}))
	if len(list) != 1 || list[0].Name != "good" || len(problems) != 2 || !strings.Contains(problems[0], "line 2") {
		t.Errorf("got %v, %v", list, problems)
	}
}

func TestWhereTheAPIServerIs(t *testing.T) {
	for host, want := range map[string]string{
		"https://10.96.0.1:443": "[10.96.0.1:0 10.96.0.1:443]", "10.96.0.1:6443": "[10.96.0.1:0 10.96.0.1:6443]", "https://192.0.2.1": "[10.96.0.1:0 192.0.2.1:443]",
		"http://192.0.2.1": "[10.96.0.1:0 192.0.2.1:80]", "https://[2001:db8::1]:443": "[10.96.0.1:0 [2001:db8::1]:443]", "https://api.example.com": "[10.96.0.1:0]",
	} {
		if got := apiAddresses(host, "10.96.0.1"); fmt.Sprint(got) != want {
			t.Errorf("%s: %s, want %s", host, fmt.Sprint(got), want)
		}
	}
}
