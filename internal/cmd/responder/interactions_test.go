package responder

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/slack"
	"github.com/kubebot/kubebot/internal/notify/slack/interactive"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// alertmanager runs the real one, which knows an alert.
func alertmanager(t *testing.T, labels map[string]string) string {
	t.Helper()
	program, dir := golden.Program(t, "alertmanager"), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alertmanager.yaml"), []byte("route: {receiver: none}\nreceivers: [{name: none}]\n"), 0o600))
	address := golden.Start(t, dir, program, "/-/ready", func(address string) []string {
		return []string{"--config.file=alertmanager.yaml", "--storage.path=" + dir, "--cluster.listen-address=", "--web.listen-address=" + address}
	})
	data, err := json.Marshal([]any{map[string]any{"labels": labels}})
	require.NoError(t, err)
	response, err := http.Post(address+"/api/v2/alerts", "application/json", bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	return address
}

func suppressed(t *testing.T, address string) bool {
	var list []struct{ Status struct{ State string } }
	response, err := http.Get(address + "/api/v2/alerts")
	require.NoError(t, err)
	defer response.Body.Close()
	require.NoError(t, json.NewDecoder(response.Body).Decode(&list))
	return len(list) == 1 && list[0].Status.State == "suppressed"
}

func TestAPersonActsOnAnIncidentFromSlackWithTwoReplicas(t *testing.T) {
	const channel, anna = "C0000000001", "U0000000011"
	server, err := slacktest.New(slacktest.Options{
		Tokens: []slacktest.Token{
			{Value: "xoxb-test", Scopes: []string{"chat:write", "channels:history", "channels:read"}}, {Value: "xapp-test", Scopes: []string{"connections:write"}},
		},
		Channels: []slacktest.Channel{{ID: channel, Name: "prod"}}, Users: []slacktest.User{{ID: anna, Name: "anna"}}, Limits: slacktest.NoLimits(),
	})
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	t.Cleanup(func() { _ = server.Close() })
	firing := down("checkout", "firing")
	manager := alertmanager(t, firing.Labels)
	r := newRig(t, func(c *config.Config) {
		c.AlertmanagerURL = manager
		c.Receivers = []v1alpha1.Receiver{{Name: "oncall", Slack: &v1alpha1.SlackReceiver{Channel: "#prod"}}}
	})
	file := func(name, value string) secretfile.Ref {
		r.write(name, []byte(value))
		return secretfile.Ref{File: filepath.Join(r.dir, name), Secret: "slack", Key: name}
	}
	bot, app := file("bot", "xoxb-test"), file("app", "xapp-test")
	r.with = func(o *Options) {
		o.Sinks = map[string]SinkFactory{typeSlack: func(_ v1alpha1.Receiver, cluster string) (notify.Sink, error) {
			return slack.New(slack.Options{Channel: "#prod", Token: bot, APIURL: web.URL + "/api/", ClusterName: cluster, Buttons: true}), nil
		}}
		o.Apps = []*interactive.App{{AppToken: app, APIURL: web.URL + "/api/", Receivers: []*interactive.Receiver{{Name: "oncall", Token: bot}}}}
	}
	first := r.start("a")
	r.start("b")
	require.Eventually(t, func() bool { return server.Sockets() == 2 }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, http.StatusOK, first.post(token, body(t, firing)))
	require.Eventually(t, func() bool {
		list := r.incidents()
		return len(list) == 1 && len(list[0].Status.Deliveries) == 1 && list[0].Status.Deliveries[0].MessageID != ""
	}, 10*time.Second, 20*time.Millisecond)
	head := r.incidents()[0].Status.Deliveries[0].MessageID
	press := func(action string) {
		t.Helper()
		out, err := server.Press(context.Background(), slacktest.Press{Channel: channel, TS: head, ActionID: "kubebot_" + action, User: anna})
		require.NoError(t, err)
		require.True(t, out.Acked, "%+v", out)
	}
	shows := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool {
			var b strings.Builder
			for _, m := range server.Messages(channel) {
				b.WriteString(strings.Join(slacktest.Lines(m), "\n"))
			}
			return strings.Contains(b.String(), text)
		}, 60*time.Second, 50*time.Millisecond, text)
	}
	press("acknowledge")
	shows("Acknowledged by anna (Slack U0000000011)")
	assert.Equal(t, v1alpha1.IncidentAcknowledged, r.incidents()[0].Status.State)

	first.stop() // the other replica goes on
	press("silence-1h")
	require.Eventually(t, func() bool { return suppressed(t, manager) }, 60*time.Second, 50*time.Millisecond)
	shows("silenced until")
	require.Eventually(t, func() bool {
		s := r.incidents()[0].Status.Silence
		return s != nil && s.State == v1alpha1.SilenceActive && s.ID != "" && s.ToldUntil != nil
	}, 60*time.Second, 50*time.Millisecond)
	press("unsilence")
	require.Eventually(t, func() bool { return !suppressed(t, manager) }, 60*time.Second, 50*time.Millisecond)
	shows("The silence was ended")
	require.Eventually(t, func() bool { return r.incidents()[0].Status.Silence == nil }, 30*time.Second, 100*time.Millisecond)
	press("noise")
	assert.Len(t, r.incidents()[0].Spec.Feedback, 1)
	var done []string
	for _, a := range r.incidents()[0].Spec.Actions {
		done = append(done, a.Action)
	}
	assert.Equal(t, []string{"acknowledge", "silence-1h", "unsilence", "noise"}, done)
}

func TestASilenceAskedForByKubectlIsMadeToo(t *testing.T) {
	t.Parallel()
	firing := down("checkout", "firing")
	manager := alertmanager(t, firing.Labels)
	r := newRig(t, func(c *config.Config) { c.AlertmanagerURL = manager })
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, firing)))
	require.Eventually(t, func() bool {
		list := r.incidents()
		if len(list) != 1 || len(list[0].Status.Alerts) == 0 {
			return false
		}
		list[0].Spec.Silence = &v1alpha1.SilenceRequest{By: "kubectl", Until: metav1.NewTime(time.Now().Add(time.Hour))}
		return api.Update(context.Background(), &list[0]) == nil
	}, 10*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool { return suppressed(t, manager) }, 30*time.Second, 100*time.Millisecond)
}

func TestReceiversOfOneAppShareAConnection(t *testing.T) {
	ref := func(name string) *v1alpha1.SecretKeyRef { return &v1alpha1.SecretKeyRef{Name: name, Key: "k"} }
	receiver := func(name string, i *v1alpha1.SlackInteractions) v1alpha1.Receiver {
		return v1alpha1.Receiver{Name: name, Slack: &v1alpha1.SlackReceiver{Channel: "#" + name, TokenSecret: *ref("bot"), Interactions: i}}
	}
	list := apps(config.Config{Receivers: []v1alpha1.Receiver{
		receiver("a", &v1alpha1.SlackInteractions{AppTokenSecret: ref("app")}), receiver("b", &v1alpha1.SlackInteractions{AppTokenSecret: ref("app")}),
		receiver("c", &v1alpha1.SlackInteractions{SigningSecret: ref("sign")}), receiver("d", nil),
	}})
	require.Len(t, list, 2)
	assert.Len(t, list[0].Receivers, 2)
	assert.Equal(t, slack.DefaultAPIURL, list[0].APIURL)
	assert.Equal(t, "c", list[1].Receivers[0].Name)
}
