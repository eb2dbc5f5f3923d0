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

const slackChannel = "C0000000001"

// inSlack is a rig whose one receiver is a Slack app at a server that behaves as Slack does, with its limits.
func inSlack(t *testing.T, change func(*config.Config)) (*rig, *slacktest.Server) {
	t.Helper()
	server, err := slacktest.New(slacktest.Options{
		Tokens:   []slacktest.Token{{Value: "xoxb-test", Scopes: []string{"chat:write", "channels:history", "channels:read"}}},
		Channels: []slacktest.Channel{{ID: slackChannel, Name: "prod"}},
	})
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	t.Cleanup(func() { _ = server.Close() })
	r := newRig(t, func(c *config.Config) {
		c.DigestSeconds = 3600
		c.Receivers = []v1alpha1.Receiver{{Name: "oncall", Slack: &v1alpha1.SlackReceiver{Channel: slackChannel, TokenSecret: v1alpha1.SecretKeyRef{Name: "slack", Key: "token"}}}}
		change(c)
	})
	r.write("bot", []byte("xoxb-test"))
	r.with = func(o *Options) {
		o.Sinks = map[string]SinkFactory{typeSlack: func(_ v1alpha1.Receiver, cluster string) (notify.Sink, error) {
			return slack.New(slack.Options{Channel: slackChannel, APIURL: web.URL + "/api/", ClusterName: cluster, Token: secretfile.Ref{File: filepath.Join(r.dir, "bot")}}), nil
		}}
	}
	return r, server
}

// told counts how often each Incident is told of in the channel, and the messages about one and about several. Replies in
// threads notify nobody and do not count.
func (r *rig) told(server *slacktest.Server) (told map[string]int, singles, digests int) {
	told = map[string]int{}
	for _, m := range server.Messages(slackChannel) {
		if m.ThreadTS != "" {
			continue
		}
		if one, ok := m.Metadata.EventPayload["incident"].(string); ok {
			told[one]++
			singles++
			continue
		}
		digests++
		list, _ := m.Metadata.EventPayload["incidents"].([]any)
		for _, name := range list {
			told[fmt.Sprintf("%s/%s", r.namespace, name)]++
		}
	}
	return told, singles, digests
}

// TestStormInSlackTellsOfEveryIncidentOnceWithTwoReplicas sends to a server that behaves as Slack does.
func TestStormInSlackTellsOfEveryIncidentOnceWithTwoReplicas(t *testing.T) {
	const storm, above = 30, 5
	r, server := inSlack(t, func(c *config.Config) { c.StormAbove = above })
	replicas := []*replica{r.start("a"), r.start("b")}
	var calls sync.WaitGroup
	for i := range storm {
		calls.Go(func() {
			// Alertmanager sends again after a 503, too.
			for data := body(t, down(fmt.Sprintf("w%d", i), "firing")); replicas[i%2].post(token, data) != http.StatusOK; {
				time.Sleep(100 * time.Millisecond)
			}
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
	told, _, digests := r.told(server)
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
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 30*time.Second, 10*time.Millisecond)
	assert.Equal(t, "fresh", r.sink.messages()[0].Incident.Spec.Subject.Name)
	require.Eventually(t, func() bool {
		for _, inc := range r.incidents() {
			s := inc.Status
			if inc.Spec.Subject.Name == "old" && s.Decision != nil && len(s.Deliveries) == 1 && s.Deliveries[0].NextAttempt != nil {
				return s.Decision.Reason == "QuietStart" && s.Receivers == "oncall:InDigest" && time.Until(s.Deliveries[0].NextAttempt.Time) <= time.Minute
			}
		}
		return false
	}, 30*time.Second, 20*time.Millisecond, "the old one waits for the digest")
	assert.Len(t, r.sink.messages(), 1)
}
