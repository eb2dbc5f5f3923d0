package slacktest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	slacktest "github.com/kubebot/kubebot/test/slack"
)

const person = "U0000000011"

// desk is a server with a message that has a button.
type desk struct {
	*slacktest.Server
	url    string
	client *slackgo.Client
	ts     string
}

func newDesk(t *testing.T) desk {
	t.Helper()
	server, err := slacktest.New(slacktest.Options{
		Tokens: []slacktest.Token{
			{Value: "xoxb-test", Scopes: []string{"chat:write", "files:write", "usergroups:read"}},
			{Value: "xapp-test", Scopes: []string{"connections:write"}},
		},
		Channels: []slacktest.Channel{{ID: "C0000000001", Name: "prod"}},
		Users:    []slacktest.User{{ID: person, Name: "anna"}},
		Groups:   []slacktest.Group{{ID: "S0000000001", Users: []string{person}}},
		Limits:   slacktest.NoLimits(),
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() { _ = server.Close(); web.Close() })
	d := desk{Server: server, url: web.URL, client: slackgo.New("xoxb-test", slackgo.OptionAPIURL(web.URL+"/api/"), slackgo.OptionAppLevelToken("xapp-test"))}
	button := slackgo.NewButtonBlockElement("ack", "value", slackgo.NewTextBlockObject("plain_text", "Ack", false, false))
	if _, d.ts, err = d.client.PostMessage("C0000000001", slackgo.MsgOptionBlocks(slackgo.NewActionBlock("row", button))); err != nil {
		t.Fatal(err)
	}
	return d
}

// listen runs a Socket Mode client that hands envelopes to seen, which says whether to acknowledge.
func (d desk) listen(t *testing.T, seen func(slackgo.InteractionCallback) bool) {
	t.Helper()
	before := d.Sockets()
	ctx, cancel := context.WithCancel(context.Background())
	client := socketmode.New(d.client)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = client.RunContext(ctx) }()
	go func() {
		for {
			select {
			case e := <-client.Events:
				if cb, ok := e.Data.(slackgo.InteractionCallback); ok && seen(cb) {
					_ = client.Ack(*e.Request)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	waitFor(t, func() bool { return d.Sockets() > before })
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it does not come about")
}

func (d desk) press(t *testing.T) slacktest.Pressed {
	t.Helper()
	out, err := d.Press(context.Background(), slacktest.Press{Channel: "C0000000001", TS: d.ts, ActionID: "ack", User: person})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAPressGoesThroughSocketModeAndIsAnsweredByURL(t *testing.T) {
	d := newDesk(t)
	seen := make(chan slackgo.InteractionCallback, 1)
	d.listen(t, func(cb slackgo.InteractionCallback) bool { seen <- cb; return true })
	if out := d.press(t); !out.Acked || out.Deliveries != 1 {
		t.Fatalf("got %+v", out)
	}
	cb := <-seen
	if a := cb.ActionCallback.BlockActions; len(a) != 1 || a[0].ActionID != "ack" || a[0].Value != "value" || a[0].BlockID != "row" {
		t.Errorf("actions %+v", a)
	}
	if cb.User.ID != person || cb.Channel.ID != "C0000000001" || cb.Container.MessageTs != d.ts || cb.TriggerID == "" {
		t.Errorf("callback %+v", cb)
	}
	for i := range 6 {
		err := slackgo.PostWebhook(cb.ResponseURL, &slackgo.WebhookMessage{Text: "done", ResponseType: "ephemeral"})
		if (err == nil) != (i < 5) {
			t.Errorf("answer %d: %v; a response_url takes five", i, err)
		}
	}
	if list := d.Ephemerals(person); len(list) != 5 || list[0].Text != "done" {
		t.Errorf("ephemerals %+v", list)
	}
}

func TestAButtonThatIsNotInTheMessageCantBePressed(t *testing.T) {
	d := newDesk(t)
	if _, err := d.Press(context.Background(), slacktest.Press{Channel: "C0000000001", TS: d.ts, ActionID: "other", User: person}); err == nil {
		t.Error("it can")
	}
}

func TestAnEnvelopeThatOneConnectionDoesNotAcknowledgeGoesToAnother(t *testing.T) {
	d := newDesk(t)
	d.listen(t, func(slackgo.InteractionCallback) bool { return true })
	// A connection that ends instead of acknowledging.
	d.listen(t, func(slackgo.InteractionCallback) bool { d.KillSockets(); return false })
	for range 2 {
		waitFor(t, func() bool { return d.Sockets() == 2 })
		if out := d.press(t); out.Deliveries < 1 {
			t.Errorf("got %+v", out)
		}
	}
}

func TestSocketsAreOpenedAnewWhenAskedToOrBroken(t *testing.T) {
	d := newDesk(t)
	d.listen(t, func(slackgo.InteractionCallback) bool { return true })
	for _, end := range []func(){func() { d.RefreshSockets(0) }, d.KillSockets} {
		opened := len(d.Calls())
		end()
		waitFor(t, func() bool { return d.Sockets() == 1 && len(d.Calls()) > opened+1 })
		if out := d.press(t); !out.Acked {
			t.Errorf("got %+v", out)
		}
	}
}

func TestTokensOpenOnlyWhatTheyAreFor(t *testing.T) {
	d := newDesk(t)
	for token, method := range map[string]string{"xoxb-test": "apps.connections.open", "xapp-test": "auth.test"} {
		resp, err := http.PostForm(d.url+"/api/"+method, url.Values{"token": {token}})
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.Contains(string(body), "not_allowed_token_type") {
			t.Errorf("%s with %s: %s", method, token, body)
		}
	}
}

func TestAPressGoesAsASignedRequest(t *testing.T) {
	d := newDesk(t)
	var verified error
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := slackgo.NewSecretsVerifier(r.Header, "secret")
		if err == nil {
			_, _ = io.Copy(&v, r.Body)
			err = v.Ensure()
		}
		verified = err
	}))
	defer app.Close()
	d.SetInteractivity(slacktest.Interactivity{RequestURL: app.URL, SigningSecret: "secret"})
	if out := d.press(t); !out.Acked || verified != nil {
		t.Errorf("got %+v, %v", out, verified)
	}
	d.SetInteractivity(slacktest.Interactivity{RequestURL: app.URL, SigningSecret: "other"})
	if d.press(t); verified == nil {
		t.Error("a request with another secret was taken")
	}
}

func TestFilesAreUploadedIntoAThread(t *testing.T) {
	d := newDesk(t)
	_, err := d.client.UploadFile(slackgo.UploadFileParameters{
		Reader: strings.NewReader("picture"), FileSize: 7, Filename: "a.png", Title: "A", AltTxt: "a line", Channel: "C0000000001", ThreadTimestamp: d.ts,
	})
	if err != nil {
		t.Fatal(err)
	}
	messages := d.Messages("")
	last := messages[len(messages)-1]
	if files := d.Files(); len(files) != 1 || string(files[0].Data) != "picture" || last.ThreadTS != d.ts || len(last.Files) != 1 {
		t.Errorf("files %+v, message %+v", files, last)
	}
}

func TestOnlyMembersOfAGroupAreListed(t *testing.T) {
	d := newDesk(t)
	if users, err := d.client.GetUserGroupMembers("S0000000001"); err != nil || len(users) != 1 || users[0] != person {
		t.Errorf("got %v, %v", users, err)
	}
	if _, err := d.client.GetUserGroupMembers("S0000000009"); err == nil || err.Error() != "no_such_subteam" {
		t.Errorf("got %v", err)
	}
	if _, err := d.client.PostEphemeral("C0000000001", "U0000000099", slackgo.MsgOptionText("x", false)); err == nil || err.Error() != "user_not_in_channel" {
		t.Errorf("got %v", err)
	}
}
