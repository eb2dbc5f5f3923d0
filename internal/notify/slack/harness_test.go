package slack_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/slack"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

const (
	token   = "xoxb-planted-token"
	channel = "C0000000001"
)

// allScopes are those that docs/receivers.md names.
var allScopes = []string{"chat:write", "channels:history", "groups:history", "channels:read", "chat:write.public"}

// workspace is a Slack with one token and some channels.
type workspace struct {
	*slacktest.Server
	url string
}

func newWorkspace(t *testing.T, change func(*slacktest.Options)) workspace {
	t.Helper()
	options := slacktest.Options{
		Tokens: []slacktest.Token{{Value: token, Scopes: allScopes}},
		Channels: []slacktest.Channel{
			{ID: "C0000000009", Name: "general"}, {ID: channel, Name: "prod"},
			{ID: "C0000000002", Name: "outside", Outside: true}, {ID: "C0000000003", Name: "archived", Archived: true},
			{ID: "C0000000004", Name: "private", Private: true}, {ID: "C0000000005", Name: "hidden", Private: true, Outside: true},
		},
		Limits: slacktest.NoLimits(),
	}
	if change != nil {
		change(&options)
	}
	server, err := slacktest.New(options)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return workspace{Server: server, url: web.URL + "/api/"}
}

// withScopes changes the scopes of the token.
func withScopes(scopes ...string) func(*slacktest.Options) {
	return func(o *slacktest.Options) { o.Tokens[0].Scopes = scopes }
}

func (w workspace) fault(t *testing.T, f slacktest.Fault) {
	t.Helper()
	if _, err := w.AddFault(f); err != nil {
		t.Fatal(err)
	}
}

// sink makes one for the channel.
func (w workspace) sink(t *testing.T, name string) *slack.Sink {
	t.Helper()
	return newSink(t, slack.Options{Channel: name, Token: secret(t, token), APIURL: w.url, ClusterName: "prod-eu"})
}

func newSink(t *testing.T, options slack.Options) *slack.Sink {
	t.Helper()
	return slack.New(options)
}

// secret writes a value where a mounted Secret would have it.
func secret(t *testing.T, value string) secretfile.Ref {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return secretfile.Ref{File: file, Secret: "slack", Key: "token"}
}

func send(t *testing.T, s *slack.Sink, msg notify.Message) notify.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	return s.Send(ctx, msg)
}

// delivered sends and expects success.
func delivered(t *testing.T, s *slack.Sink, msg notify.Message) notify.Result {
	t.Helper()
	res := send(t, s, msg)
	if res.Outcome != notify.Delivered {
		t.Fatalf("got %+v, want Delivered", res)
	}
	return res
}

var opened = time.Now().Add(-time.Minute).UTC().Truncate(time.Second)

// message is the opening of an incident.
func message() notify.Message { return messageAt(opened) }

func messageAt(at time.Time) notify.Message {
	start := metav1.NewTime(at.Add(-time.Minute))
	return notify.Message{
		Key: "2c4f1e9a-oncall-1", Transition: v1alpha1.TransitionOpened, Sequence: 1, At: at, Text: "Requests to checkout fail.",
		Incident: &v1alpha1.Incident{
			ObjectMeta: metav1.ObjectMeta{Name: "main-7f3a-1", Namespace: "kubebot"},
			Spec: v1alpha1.IncidentSpec{
				KubeBot: "main", GroupKey: "shop/checkout", Number: 1,
				Subject: v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout", Display: "Deployment shop/checkout"},
			},
			Status: v1alpha1.IncidentStatus{
				State: v1alpha1.IncidentOpen, Severity: v1alpha1.SeverityCritical, Title: "checkout answers with errors",
				Cause: "The rollout of catalog at 03:18 UTC", StartedAt: &start,
				Alerts: []v1alpha1.IncidentAlert{
					{Fingerprint: "b2", Name: "PodNotReady", Severity: v1alpha1.SeverityWarning, State: v1alpha1.AlertFiring, StartsAt: start, Summary: "A pod is not ready"},
					{Fingerprint: "a1", Name: "HTTPErrorsHigh", Severity: v1alpha1.SeverityCritical, State: v1alpha1.AlertFiring, StartsAt: start,
						Summary: "40% of requests fail", RunbookURL: "https://runbooks.example.com/http?a=1&b=2"},
				},
			},
		},
	}
}

// updated is the second change.
func updated(head notify.Ref) notify.Message {
	msg := message()
	msg.Key, msg.Transition, msg.Sequence, msg.Text, msg.Head = "2c4f1e9a-oncall-2", v1alpha1.TransitionUpdated, 2, "payment fails too.", head
	return msg
}

// resolved is the end.
func resolved(head notify.Ref) notify.Message { return resolvedAt(opened, head) }

func resolvedAt(at time.Time, head notify.Ref) notify.Message {
	msg := messageAt(at)
	end := metav1.NewTime(at.Add(5 * time.Minute))
	msg.Key, msg.Transition, msg.Sequence, msg.Text, msg.Head = "2c4f1e9a-oncall-3", v1alpha1.TransitionResolved, 3, "All alerts ended.", head
	msg.Incident.Status.State, msg.Incident.Status.ResolvedAt = v1alpha1.IncidentResolved, &end
	for i := range msg.Incident.Status.Alerts {
		msg.Incident.Status.Alerts[i].State, msg.Incident.Status.Alerts[i].EndsAt = v1alpha1.AlertResolved, &end
	}
	return msg
}

// again is the message after a lost answer.
func again(msg notify.Message) notify.Message {
	msg.MayHaveArrived = true
	return msg
}
