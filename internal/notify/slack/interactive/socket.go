package interactive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

// Pauses between attempts to connect.
const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// Socket keeps a connection of Socket Mode for an app. Each replica keeps its own: Slack hands a press to one of them.
type Socket struct {
	App     *App
	Handler *Handler

	problem atomic.Pointer[string]
}

// Problem says why there is no connection, or is empty.
func (s *Socket) Problem() string {
	if text := s.problem.Load(); text != nil {
		return *text
	}
	return ""
}

func (s *Socket) note(text string) { s.problem.Store(&text) }

// Run connects, and again whenever the connection ends, until the context ends.
func (s *Socket) Run(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		connected, err := s.connect(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			s.note(problem(s.App, err))
			s.Handler.Log.Info("Connection to Slack's Socket Mode ended", "reason", s.Problem())
		}
		if connected {
			pause = firstPause
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
	return nil
}

// problem says what a person must do about an error.
func problem(app *App, err error) string {
	var answered slackgo.SlackErrorResponse
	switch {
	case errors.Is(err, errNoToken):
		return secretfile.Missing(app.AppToken, "the app-level token (xapp-…) of the Slack app")
	case errors.As(err, &answered) && answered.Err == "missing_scope":
		return "The app-level token lacks the scope connections:write: make one that has it."
	case errors.As(err, &answered):
		return fmt.Sprintf("Slack answered %s to the app-level token in key %q of Secret %q.", answered.Err, app.AppToken.Key, app.AppToken.Secret)
	}
	return "Slack's Socket Mode can't be reached: " + app.redact(err)
}

var errNoToken = errors.New("there is no app-level token")

// connect opens a connection and serves it until it ends for good. It tells whether it was ever open.
func (s *Socket) connect(ctx context.Context) (connected bool, err error) {
	token, err := secretfile.Read(s.App.AppToken)
	if err != nil {
		return false, errors.Join(errNoToken, err)
	}
	client, err := s.App.http()
	if err != nil {
		return false, err
	}
	api := slackgo.New("", slackgo.OptionAPIURL(s.App.APIURL), slackgo.OptionHTTPClient(client), slackgo.OptionAppLevelToken(token))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	socket := socketmode.New(api, socketmode.OptionDialer(dialer(client)), socketmode.OptionReadLimit(maxPayload*2),
		socketmode.OptionLog(log.New(io.Discard, "", 0)))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = socket.RunContext(ctx)
	}()
	var refused error
	for {
		select {
		case <-ended:
			if refused != nil {
				err = refused
			}
			return connected, err
		case e := <-socket.Events:
			switch e.Type {
			case socketmode.EventTypeConnected:
				connected = true
				s.note("")
			case socketmode.EventTypeConnectionError:
				// Run begins again, with the token as it is then.
				if failed, ok := e.Data.(*slackgo.ConnectionErrorEvent); ok {
					refused = failed.ErrorObj
				}
				cancel()
			case socketmode.EventTypeInteractive:
				if cb, ok := e.Data.(slackgo.InteractionCallback); ok && e.Request != nil {
					s.Handler.work.Go(func() { s.serve(ctx, socket, *e.Request, cb) }) // counted before Run can end
				}
			case socketmode.EventTypeEventsAPI, socketmode.EventTypeSlashCommand:
				_ = socket.AckCtx(ctx, e.Request.EnvelopeID, nil) // not asked for; only ends its redelivery
			}
		}
	}
}

// serve takes one press and acknowledges it once it is stored. One that was not is delivered again by Slack, to this
// replica or another.
func (s *Socket) serve(ctx context.Context, socket *socketmode.Client, envelope socketmode.Request, cb slackgo.InteractionCallback) {
	p, err := read(&cb)
	if err == nil {
		err = s.Handler.take(context.WithoutCancel(ctx), s.App, p)
		if err != nil {
			s.Handler.Log.Error(err, "Press was not stored and is left to be delivered again", "user", p.who.id, "action", p.action)
			return
		}
	} else if !errors.Is(err, errNotOurs) {
		s.Handler.Log.Info("Payload was not taken", "reason", err.Error())
	}
	if err := socket.AckCtx(ctx, envelope.EnvelopeID, nil); err != nil {
		s.Handler.Log.Info("Press was stored but not acknowledged", "reason", err.Error())
	}
}

// dialer opens WebSockets by the same proxy and with the same authorities as the client's calls.
func dialer(client *http.Client) *websocket.Dialer {
	d := &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 15 * time.Second, WriteBufferSize: 32 << 10}
	t, ok := client.Transport.(*http.Transport)
	if !ok {
		return d
	}
	d.Proxy, d.NetDialContext = t.Proxy, t.DialContext
	if t.TLSClientConfig != nil {
		d.TLSClientConfig = t.TLSClientConfig.Clone()
		d.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return d
}
