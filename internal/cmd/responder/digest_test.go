package responder

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/slack"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// TestStormInSlackTellsOfEveryIncidentOnceWithTwoReplicas sends to a server that behaves as Slack does.
func TestStormInSlackTellsOfEveryIncidentOnceWithTwoReplicas(t *testing.T) {
	const channel, storm, above = "C0000000001", 30, 5
	server, err := slacktest.New(slacktest.Options{
		Tokens:   []slacktest.Token{{Value: "xoxb-test", Scopes: []string{"chat:write", "channels:history", "channels:read"}}},
		Channels: []slacktest.Channel{{ID: channel, Name: "prod"}},
	})
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	t.Cleanup(func() { _ = server.Close() })
	r := newRig(t, func(c *config.Config) {
		c.StormAbove, c.DigestSeconds = above, 3600
		c.Receivers = []v1alpha1.Receiver{{Name: "oncall", Slack: &v1alpha1.SlackReceiver{Channel: channel, TokenSecret: v1alpha1.SecretKeyRef{Name: "slack", Key: "token"}}}}
	})
	r.write("bot", []byte("xoxb-test"))
	r.with = func(o *Options) {
		o.Sinks = map[string]SinkFactory{typeSlack: func(_ v1alpha1.Receiver, cluster string) (notify.Sink, error) {
			return slack.New(slack.Options{Channel: channel, APIURL: web.URL + "/api/", ClusterName: cluster, Token: secretfile.Ref{File: filepath.Join(r.dir, "bot")}}), nil
		}}
	}
	replicas := []*replica{r.start("a"), r.start("b")}
	var calls sync.WaitGroup
	for i := range storm {
		calls.Go(func() {
			assert.Equal(t, http.StatusOK, replicas[i%2].post(token, body(t, down(fmt.Sprintf("w%d", i), "firing"))))
		})
	}
	calls.Wait()
	defer func() {
		if t.Failed() {
			for _, inc := range r.incidents() {
				t.Logf("%s %s: %+v", inc.Name, inc.Status.Receivers, inc.Status.Deliveries)
			}
		}
	}()
	require.Eventually(t, func() bool {
		for _, inc := range r.incidents() {
			if inc.Status.Receivers != "oncall:Delivered" {
				return false
			}
		}
		return true
	}, 90*time.Second, 200*time.Millisecond)
	told := map[string]int{}
	digests := 0
	for _, m := range server.Messages(channel) {
		if one, ok := m.Metadata.EventPayload["incident"].(string); ok {
			told[one]++
			continue
		}
		digests++
		list, _ := m.Metadata.EventPayload["incidents"].([]any)
		for _, name := range list {
			told[r.namespace+"/"+name.(string)]++
		}
	}
	assert.Len(t, told, storm)
	for name, n := range told {
		assert.Equal(t, 1, n, name)
	}
	assert.NotZero(t, digests)
	assert.LessOrEqual(t, digests, 3)
}

func TestWhatIsOlderThanTheKubeBotWaitsForOneDigest(t *testing.T) {
	r := newRig(t, func(c *config.Config) {
		c.QuietStart = v1alpha1.SwitchEnabled
		c.Receivers = []v1alpha1.Receiver{{Name: "oncall", Slack: &v1alpha1.SlackReceiver{Channel: "#prod"}}}
	})
	r.with = func(o *Options) {
		o.Sinks = map[string]SinkFactory{typeSlack: func(v1alpha1.Receiver, string) (notify.Sink, error) { return r.sink, nil }}
	}
	p := r.start("a")
	old, fresh := down("old", "firing"), down("fresh", "firing")
	fresh.StartsAt = time.Now().Add(time.Second)
	require.Equal(t, http.StatusOK, p.post(token, body(t, old)))
	require.Equal(t, http.StatusOK, p.post(token, body(t, fresh)))
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 5*time.Second, 10*time.Millisecond)
	assert.Equal(t, "fresh", r.sink.messages()[0].Incident.Spec.Subject.Name)
	for _, inc := range r.incidents() {
		if inc.Spec.Subject.Name != "old" {
			continue
		}
		assert.Equal(t, "QuietStart", inc.Status.Decision.Reason)
		assert.Equal(t, "oncall:InDigest", inc.Status.Receivers)
		assert.LessOrEqual(t, time.Until(inc.Status.Deliveries[0].NextAttempt.Time), time.Minute)
	}
}
