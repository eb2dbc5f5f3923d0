package interactive

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/interact"
	"github.com/kubebot/kubebot/internal/links"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/slack"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

const (
	channel = "C0000000001"
	anna    = "U0000000011"
	ben     = "U0000000012"
	guest   = "U0000000013"
	oncall  = "S0000000001"

	botToken, appToken, signing = "xoxb-planted-token", "xapp-planted-token", "planted-signing-secret"
)

// rig is a workspace with a message of an Incident, and the cluster that the Incident is in.
type rig struct {
	t *testing.T
	*slacktest.Server
	api    string
	client client.WithWatch
	sink   *slack.Sink
	app    *App
	ts     string

	mu       sync.Mutex
	silences []string
	writes   func() error // fails writes of Incidents when it does
}

func secret(t *testing.T, value string) secretfile.Ref {
	t.Helper()
	file := filepath.Join(t.TempDir(), "value")
	require.NoError(t, os.WriteFile(file, []byte(value+"\n"), 0o600))
	return secretfile.Ref{File: file, Secret: "slack", Key: "value"}
}

func newRig(t *testing.T, allow v1alpha1.SlackPermissions) *rig {
	t.Helper()
	server, err := slacktest.New(slacktest.Options{
		Tokens: []slacktest.Token{
			{Value: botToken, Scopes: []string{"chat:write", "channels:history", "usergroups:read"}},
			{Value: appToken, Scopes: []string{"connections:write"}},
		},
		Channels: []slacktest.Channel{{ID: channel, Name: "prod"}, {ID: "C0000000002", Name: "other"}},
		Users:    []slacktest.User{{ID: anna, Name: "anna"}, {ID: ben, Name: "ben"}, {ID: guest, Name: "guest", Team: "T00000009"}},
		Groups:   []slacktest.Group{{ID: oncall, Users: []string{ben}}},
		Limits:   slacktest.NoLimits(),
	})
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() { _ = server.Close(); web.Close() })
	r := &rig{t: t, Server: server, api: web.URL + "/api/"}
	bot := secret(t, botToken)
	r.sink = slack.New(slack.Options{Channel: "#prod", Token: bot, APIURL: r.api, ClusterName: "prod-eu", Buttons: true,
		Links: links.Grafana{URL: "https://grafana.example.com", Prefix: "kubebot-"}})
	r.app = &App{APIURL: r.api, Receivers: []*Receiver{{Name: "oncall", Token: bot, Allow: allow}}}

	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	r.client = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Incident{}).WithObjects(incident()).
		WithInterceptorFuncs(interceptor.Funcs{Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			r.mu.Lock()
			fails := r.writes
			r.mu.Unlock()
			if fails != nil {
				if err := fails(); err != nil {
					return err
				}
			}
			return c.Update(ctx, obj, opts...)
		}}).Build()
	r.tell(notify.Message{Key: "k1", Transition: v1alpha1.TransitionOpened, Sequence: 1})
	inc := r.incident()
	inc.Status.Deliveries = []v1alpha1.Delivery{{Key: "k1", Receiver: "oncall", State: v1alpha1.DeliveryDelivered, Channel: channel, MessageID: r.ts}}
	require.NoError(t, r.client.Status().Update(context.Background(), inc))
	return r
}

func incident() *v1alpha1.Incident {
	start := metav1.NewTime(time.Now().Add(-time.Minute))
	inc := &v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: "main-7f3a-1", Namespace: "kubebot", UID: "5ad7d8b0-8f0d-4b0c-9a53-7d6c1a0a6a11"}}
	inc.Spec = v1alpha1.IncidentSpec{KubeBot: "main", GroupKey: "shop/checkout", Number: 1,
		Subject: v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout"}}
	inc.Status = v1alpha1.IncidentStatus{State: v1alpha1.IncidentOpen, Severity: v1alpha1.SeverityCritical, Title: "checkout fails", StartedAt: &start,
		Cause: "catalog is out of memory",
		Causes: []v1alpha1.Cause{
			{Object: v1alpha1.CauseObject{Kind: "Deployment", Name: "catalog"}, Kind: "memory", ScorePercent: 90, Sentence: "catalog is out of memory",
				Evidence: []v1alpha1.CauseEvidence{{From: v1alpha1.EvidenceKubernetes, Text: "OOMKilled 3 times <!channel>"}}},
			{Object: v1alpha1.CauseObject{Kind: "Node", Name: "n1"}, Kind: "node", ScorePercent: 5, Sentence: "n1 is slow"},
		},
		Alerts: []v1alpha1.IncidentAlert{{Fingerprint: "a1", Name: "HTTPErrorsHigh", Severity: v1alpha1.SeverityCritical, State: v1alpha1.AlertFiring,
			Source: v1alpha1.AlertSourceAlertmanager, StartsAt: start, Labels: map[string]string{"namespace": "shop", "workload": "checkout"}, Summary: "40% fail"}},
	}
	return inc
}

func (r *rig) incident() *v1alpha1.Incident {
	r.t.Helper()
	inc := &v1alpha1.Incident{}
	require.NoError(r.t, r.client.Get(context.Background(), client.ObjectKey{Namespace: "kubebot", Name: "main-7f3a-1"}, inc))
	return inc
}

// tell sends a message of the Incident as it stands.
func (r *rig) tell(msg notify.Message) {
	r.t.Helper()
	msg.Incident, msg.At = r.incident(), time.Now()
	if r.ts != "" {
		msg.Head = notify.Ref{Channel: channel, ID: r.ts}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	res := r.sink.Send(ctx, msg)
	require.Equal(r.t, notify.Delivered, res.Outcome, res.Detail)
	r.ts = res.Head.ID
}

func (r *rig) handler() *Handler {
	return &Handler{
		Desk: &interact.Desk{Client: r.client, Namespace: "kubebot", Now: time.Now}, Now: time.Now, Log: logr.Discard(),
		Silence: func(_ context.Context, _, name string) (*v1alpha1.SilenceStatus, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.silences = append(r.silences, name)
			return nil, nil
		},
		Details: func(context.Context, *v1alpha1.Incident) string { return "Pod checkout-1: CrashLoopBackOff" },
	}
}

// socket runs a replica with a connection of Socket Mode.
func (r *rig) socket() (stop func()) {
	r.t.Helper()
	before := r.Sockets()
	app := &App{APIURL: r.app.APIURL, Receivers: r.app.Receivers, AppToken: secret(r.t, appToken)}
	s := &Socket{App: app, Handler: r.handler()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); assert.NoError(r.t, s.Run(ctx)) }()
	stop = sync.OnceFunc(func() { cancel(); <-ended; s.Handler.Wait() })
	r.t.Cleanup(stop)
	require.Eventually(r.t, func() bool { return r.Sockets() > before }, 20*time.Second, 10*time.Millisecond)
	return stop
}

// endpoint runs a replica that takes requests by HTTP.
func (r *rig) endpoint() string {
	r.t.Helper()
	app := &App{APIURL: r.app.APIURL, Receivers: r.app.Receivers, Signing: secret(r.t, signing)}
	e := &Endpoint{Apps: []*App{app}, Handler: r.handler()}
	web := httptest.NewServer(e)
	r.t.Cleanup(func() { web.Close(); e.Handler.Wait() })
	return web.URL + Path
}

func (r *rig) press(action interact.Action, user string) slacktest.Pressed {
	r.t.Helper()
	out, err := r.Press(context.Background(), slacktest.Press{Channel: channel, TS: r.ts, ActionID: "kubebot_" + string(action), User: user})
	require.NoError(r.t, err)
	return out
}

// told waits for an answer to the person that holds the text.
func (r *rig) told(user, text string) slacktest.Ephemeral {
	r.t.Helper()
	var found slacktest.Ephemeral
	require.Eventually(r.t, func() bool {
		for _, e := range r.Ephemerals(user) {
			if strings.Contains(strings.Join(slacktest.Lines(e.Message), "\n"), text) {
				found = e
				return true
			}
		}
		return false
	}, 10*time.Second, 10*time.Millisecond, "%s is not told %q but %+v", user, text, r.Ephemerals(user))
	return found
}

func (r *rig) head() string {
	for _, m := range r.Messages(channel) {
		if m.TS == r.ts {
			return strings.Join(slacktest.Lines(m), "\n")
		}
	}
	return ""
}

func TestAButtonChangesTheIncidentAndTheHeadThroughSocketMode(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	r.socket()
	out := r.press(interact.Acknowledge, anna)
	require.True(t, out.Acked, "%+v", out)
	inc := r.incident()
	require.NotNil(t, inc.Spec.Acknowledge, "stored before it is acknowledged")
	assert.Equal(t, "anna (Slack U0000000011)", inc.Spec.Acknowledge.By)
	r.told(anna, "You have acknowledged the incident.")

	inc.Status.State = v1alpha1.IncidentAcknowledged // as the pipeline does
	require.NoError(t, r.client.Status().Update(context.Background(), inc))
	r.tell(notify.Message{Key: "k2", Transition: v1alpha1.TransitionUpdated, Sequence: 2, Text: "Acknowledged by anna (Slack U0000000011)"})
	assert.Contains(t, r.head(), "Acknowledged by anna (Slack U0000000011)")
	_, err := r.Press(context.Background(), slacktest.Press{Channel: channel, TS: r.ts, ActionID: "kubebot_acknowledge", User: ben})
	require.ErrorIs(t, err, slacktest.ErrNoSuchButton, "the button has become another")
	require.True(t, r.press(interact.Release, ben).Acked)
	assert.Nil(t, r.incident().Spec.Acknowledge)
}

func TestASilenceIsAskedOfAlertmanagerOnceItIsStored(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	r.socket()
	require.True(t, r.press(interact.SilenceHour, anna).Acked)
	r.told(anna, "Silenced until")
	s := r.incident().Spec.Silence
	require.NotNil(t, s)
	assert.WithinDuration(t, time.Now().Add(time.Hour), s.Until.Time, 30*time.Second)
	assert.Equal(t, []string{"main-7f3a-1"}, r.silences)
	r.tell(notify.Message{Key: "k2", Transition: v1alpha1.TransitionUpdated, Sequence: 2, Text: "Silenced"})
	assert.Contains(t, r.head(), "silenced until")
	require.True(t, r.press(interact.Unsilence, ben).Acked)
	assert.Nil(t, r.incident().Spec.Silence)
}

func TestFeedbackIsStoredAndAWrongCauseAsksForTheRightOne(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	r.socket()
	require.True(t, r.press(interact.Noise, anna).Acked)
	require.True(t, r.press(interact.CauseWrong, anna).Acked)
	question := r.told(anna, "Which one is right?")
	out, err := r.Press(context.Background(), slacktest.Press{Channel: channel, TS: question.TS, ActionID: "kubebot_cause-is-2", User: anna})
	require.NoError(t, err)
	require.True(t, out.Acked)
	r.told(anna, "the right cause is Node n1")
	inc := r.incident()
	require.Len(t, inc.Spec.Feedback, 1)
	assert.Equal(t, v1alpha1.FeedbackNoise, inc.Spec.Feedback[0].Verdict)
	require.NotNil(t, inc.Spec.Cause)
	assert.EqualValues(t, 2, *inc.Spec.Cause.Confirm)
}

func TestDetailsAreShownInTheThreadToThePersonAlone(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	r.socket()
	messages := len(r.Messages(channel))
	require.True(t, r.press(interact.Details, anna).Acked)
	e := r.told(anna, "CrashLoopBackOff")
	assert.Equal(t, r.ts, e.ThreadTS)
	assert.NotContains(t, string(e.Blocks), "<!channel>", "text from the cluster stays text")
	assert.Len(t, r.Messages(channel), messages)
}

func TestWhoMayNotIsToldWhyAndNothingIsDone(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{Silence: &v1alpha1.SlackPeople{UserGroups: []string{oncall}}, Acknowledge: &v1alpha1.SlackPeople{Users: []string{guest}}})
	r.socket()
	require.True(t, r.press(interact.SilenceHour, anna).Acked)
	r.told(anna, "You may not silence incidents here: spec.alerting.receivers (oncall).slack.interactions.allow.silence of the KubeBot names neither you nor a user group of yours.")
	require.True(t, r.press(interact.Noise, guest).Acked)
	r.told(guest, "You belong to another workspace")
	assert.Empty(t, r.incident().Spec.Actions)

	require.True(t, r.press(interact.Acknowledge, guest).Acked, "but the guest is named for this")
	assert.NotNil(t, r.incident().Spec.Acknowledge)
	require.True(t, r.press(interact.SilenceHour, ben).Acked, "and this one is in the group")
	assert.NotNil(t, r.incident().Spec.Silence)
}

func TestAGroupThatCantBeLookedUpAllowsNothing(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{Silence: &v1alpha1.SlackPeople{UserGroups: []string{oncall}}})
	r.SetToken(slacktest.Token{Value: botToken, Scopes: []string{"chat:write"}})
	r.socket()
	require.True(t, r.press(interact.SilenceHour, ben).Acked)
	r.told(ben, "Slack can't tell at the moment")
	assert.Nil(t, r.incident().Spec.Silence)
}

func TestARedeliveredPressIsTakenOnce(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	r.socket()
	r.socket()
	first := r.press(interact.Acknowledge, anna)
	require.True(t, first.Acked)
	require.True(t, r.press(interact.Noise, ben).Acked)
	inc := r.incident()
	inc.Spec.Acknowledge = nil // taken back meanwhile, by kubectl
	require.NoError(t, r.client.Update(context.Background(), inc))
	for range 4 { // both replicas
		require.True(t, r.Redeliver(context.Background(), first.Payload).Acked)
	}
	inc = r.incident()
	assert.Nil(t, inc.Spec.Acknowledge)
	assert.Len(t, inc.Spec.Actions, 2)
}

func TestPressesOfManyPeopleAtTwoReplicasAreAllStored(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	r.socket()
	r.socket()
	var presses sync.WaitGroup
	for _, user := range []string{anna, ben} {
		for _, action := range []interact.Action{interact.Acknowledge, interact.Noise, interact.CauseRight} {
			presses.Go(func() { assert.True(t, r.press(action, user).Acked) })
		}
	}
	presses.Wait()
	inc := r.incident()
	assert.Len(t, inc.Spec.Feedback, 2)
	assert.NotNil(t, inc.Spec.Cause)
	assert.Len(t, inc.Spec.Actions, 5, "both judge the cause and call it noise, one acknowledges")
	assert.NotNil(t, inc.Spec.Acknowledge)
}

func TestAPressThatCantBeStoredGoesToTheNextReplica(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	var writes atomic.Int32
	r.writes = func() error {
		if writes.Add(1) == 1 {
			return context.DeadlineExceeded
		}
		return nil
	}
	r.socket()
	r.socket()
	out := r.press(interact.Acknowledge, anna)
	assert.Equal(t, 2, out.Deliveries)
	assert.NotNil(t, r.incident().Spec.Acknowledge)
}

func TestAPressThatIsBeingStoredIsAnsweredBeforeTheEnd(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	storing, store := make(chan struct{}), make(chan struct{})
	r.writes = func() error { close(storing); <-store; return nil }
	s := &Socket{App: &App{APIURL: r.api, Receivers: r.app.Receivers, AppToken: secret(t, appToken)}, Handler: r.handler()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended, pressed, waited := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); assert.NoError(t, s.Run(ctx)) }()
	require.Eventually(t, func() bool { return r.Sockets() == 1 }, 20*time.Second, 10*time.Millisecond)
	go func() { // its acknowledgement is lost with the connection
		defer close(pressed)
		_, _ = r.Press(t.Context(), slacktest.Press{Channel: channel, TS: r.ts, ActionID: "kubebot_acknowledge", User: anna})
	}()
	<-storing
	cancel()
	<-ended
	go func() { defer close(waited); s.Handler.Wait() }()
	select {
	case <-waited:
		t.Error("the end did not wait for the press")
	case <-time.After(100 * time.Millisecond):
	}
	close(store)
	<-waited
	assert.NotNil(t, r.incident().Spec.Acknowledge)
	assert.Len(t, r.Ephemerals(anna), 1, "the person was answered")
	<-pressed
}

func TestConnectionsAreOpenedAnew(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	r.socket()
	for name, end := range map[string]func(){"refresh": func() { r.RefreshSockets(0) }, "kill": r.KillSockets} {
		calls := len(r.Calls())
		end()
		require.Eventually(t, func() bool { return len(r.Calls()) > calls+1 && r.Sockets() == 1 }, 20*time.Second, 20*time.Millisecond, name)
	}
	assert.True(t, r.press(interact.Acknowledge, anna).Acked)
}

func TestTheOtherReplicaTakesOver(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	stop := r.socket()
	r.socket()
	stop()
	assert.True(t, r.press(interact.Acknowledge, anna).Acked)
}

func TestATokenThatSlackRefusesIsAProblemUntilItIsReplaced(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	token := secret(t, "xapp-wrong")
	s := &Socket{App: &App{APIURL: r.api, AppToken: token}, Handler: r.handler()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	require.Eventually(t, func() bool { return strings.Contains(s.Problem(), "invalid_auth") }, 10*time.Second, 10*time.Millisecond)
	assert.NotContains(t, s.Problem(), "xapp-")
	require.NoError(t, os.WriteFile(token.File, []byte(appToken), 0o600))
	require.Eventually(t, func() bool { return r.Sockets() == 1 && s.Problem() == "" }, 20*time.Second, 20*time.Millisecond)
}

func TestAPressElsewhereDoesNothing(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	address := r.endpoint()
	r.SetInteractivity(slacktest.Interactivity{RequestURL: address, SigningSecret: signing})
	out := r.press(interact.Details, anna)
	for name, change := range map[string][2]string{
		"in another channel":   {`"id":"C0000000001"`, `"id":"C0000000002"`},
		"of another Incident":  {"5ad7d8b0-8f0d-4b0c-9a53-7d6c1a0a6a11/", "00000000-8f0d-4b0c-9a53-7d6c1a0a6a11/"},
		"of an unknown action": {"kubebot_details", "kubebot_delete"},
	} {
		body := url.Values{"payload": {strings.ReplaceAll(strings.ReplaceAll(string(out.Payload), change[0], change[1]), "kubebot_details", "kubebot_acknowledge")}}.Encode()
		if change[1] == "kubebot_delete" {
			body = url.Values{"payload": {strings.ReplaceAll(string(out.Payload), change[0], change[1])}}.Encode()
		}
		assert.Equal(t, http.StatusOK, replay(t, address, slacktest.Sign(signing, body, time.Now()), body), name)
	}
	r.told(anna, "This channel was not told of the incident")
	r.told(anna, "KubeBot does not know this incident")
	assert.Nil(t, r.incident().Spec.Acknowledge)
}

func TestAnswersGoOnlyToSlack(t *testing.T) {
	for _, c := range []struct {
		api, address string
		want         bool
	}{
		{"https://slack.com/api/", "https://hooks.slack.com/actions/T1/2/3", true},
		{"https://slack.com/api/", "http://hooks.slack.com/actions/T1/2/3", false},
		{"https://slack.com/api/", "https://hooks.slack.com.example.com/actions", false},
		{"https://slack.com/api/", "https://10.0.0.1/actions", false},
		{"https://slack-gov.com/api/", "https://hooks.slack-gov.com/actions/T1", true},
		{"https://slack.com/api/", "", false},
		{"https://slack.com/api/", "https://user@hooks.slack.com:8443/", false},
	} {
		if got := (&App{APIURL: c.api}).own(c.address); got != c.want {
			t.Errorf("%s for %s: %v", c.address, c.api, got)
		}
	}
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte(`{"type":"block_actions","user":{"id":"U0000000011","name":"anna","team_id":"T1"},"team":{"id":"T1"},"channel":{"id":"C0000000001"},"container":{"message_ts":"1.1"},"actions":[{"type":"button","action_id":"kubebot_acknowledge","value":"uid/name","action_ts":"1795231200.000100"}]}`))
	f.Add([]byte(`{"type":"view_submission"}`))
	f.Add([]byte(`{"type":"block_actions","actions":[null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parse(raw)
		if err != nil {
			return
		}
		if p.id == "" || len(p.id) > 64 || p.incident == "" || p.uid == "" || p.action.Right() == "" || len(p.who.by()) > 253 || strings.ContainsAny(p.who.by(), "<>&\n*`@") {
			t.Errorf("%s gives %+v", raw, p)
		}
		if data, err := json.Marshal(p.who.by()); err != nil || len(data) == 0 {
			t.Errorf("by %q", p.who.by())
		}
	})
}

func TestSplitLosesNothingAndKeepsCharactersWhole(t *testing.T) {
	text := strings.Repeat("ä", 50) + "\n" + strings.Repeat("b", 120)
	parts := split(text, 70, 10)
	assert.Equal(t, strings.ReplaceAll(text, "\n", ""), strings.ReplaceAll(strings.Join(parts, ""), "\n", ""))
	for _, p := range parts {
		assert.LessOrEqual(t, len(p), 70)
		assert.True(t, json.Valid([]byte(`"`+strings.ReplaceAll(p, "\n", "")+`"`)))
	}
	assert.Len(t, split(strings.Repeat("x", 1000), 10, 3), 3)
}
