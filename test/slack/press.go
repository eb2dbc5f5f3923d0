package slacktest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Interactivity is how an app hears of pressed buttons by HTTP (https://docs.slack.dev/interactivity). Without a URL
// they go through Socket Mode.
type Interactivity struct {
	RequestURL    string `json:"requestURL"`
	SigningSecret string `json:"signingSecret"`
}

// Press is a person pressing a button.
type Press struct {
	Channel string `json:"channel"`
	// TS of the message.
	TS       string `json:"ts"`
	ActionID string `json:"action_id"`
	User     string `json:"user"`
}

// Pressed is what came of it.
type Pressed struct {
	// Acked within three seconds; else the person sees a warning sign at the button.
	Acked bool `json:"acked"`
	// Deliveries is how often the payload was handed to the app.
	Deliveries int `json:"deliveries"`
	// Took is the time until it was acknowledged.
	Took time.Duration `json:"took"`
	// Status, Header and Body are of the request by HTTP.
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
	// Payload is the block_actions payload.
	Payload json.RawMessage `json:"payload"`
}

// ackTime is how long an app may take to acknowledge an interaction
// (https://docs.slack.dev/interactivity/handling-user-interaction#acknowledgment_response).
const ackTime = 3 * time.Second

// Limits of a response_url (https://docs.slack.dev/interactivity/handling-user-interaction#message_responses).
const (
	responseUses = 5
	responseTime = 30 * time.Minute
)

// responseURL is a short-lived right to answer an interaction.
type responseURL struct {
	channel, user, ts string
	ephemeral         bool
	until             time.Time
	left              int
}

// ErrNoSuchButton means that the message holds no such button.
var ErrNoSuchButton = errors.New("the message holds no such button")

// SetInteractivity sets where pressed buttons go.
func (s *Server) SetInteractivity(i Interactivity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interactivity = i
}

// Press lets a person press a button that is in a message, and hands it to the app as Slack does: by a signed request,
// which is not repeated, or through Socket Mode, where it goes to another connection when the first does not
// acknowledge it. It returns when that is over.
func (s *Server) Press(ctx context.Context, p Press) (Pressed, error) {
	payload, target, err := s.payload(p)
	if err != nil {
		return Pressed{}, err
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		return Pressed{}, fmt.Errorf("encode the payload: %w", err)
	}
	if target.RequestURL == "" {
		out := s.sockets.deliver(ctx, raw)
		out.Payload = raw
		return out, nil
	}
	body := url.Values{"payload": {string(raw)}}.Encode()
	out, err := s.request(ctx, target, body, s.now())
	out.Payload = raw
	return out, err
}

// Sign returns the headers of a request to an app (https://docs.slack.dev/authentication/verifying-requests-from-slack).
func Sign(secret, body string, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("v0:" + stamp + ":" + body))
	return http.Header{
		"Content-Type":              {"application/x-www-form-urlencoded"},
		"User-Agent":                {"Slackbot 1.0 (+https://api.slack.com/robots)"},
		"X-Slack-Request-Timestamp": {stamp},
		"X-Slack-Signature":         {"v0=" + hex.EncodeToString(mac.Sum(nil))},
	}
}

func (s *Server) request(ctx context.Context, to Interactivity, body string, at time.Time) (Pressed, error) {
	ctx, cancel := context.WithTimeout(ctx, ackTime)
	defer cancel()
	out := Pressed{Header: Sign(to.SigningSecret, body, at), Body: body, Deliveries: 1}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.RequestURL, strings.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("make the request: %w", err)
	}
	req.Header = out.Header
	begin := time.Now()
	resp, err := http.DefaultClient.Do(req)
	out.Took = time.Since(begin)
	if err != nil {
		return out, nil // the person sees a warning sign: that is no error of the server
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	_ = resp.Body.Close()
	out.Status, out.Acked = resp.StatusCode, resp.StatusCode == http.StatusOK
	return out, nil
}

// payload makes the block_actions payload (https://docs.slack.dev/reference/interaction-payloads/block_actions-payload).
func (s *Server) payload(p Press) (answer, Interactivity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	person, c := s.user(p.User), s.channel(p.Channel, true)
	if person == nil || c == nil {
		return nil, Interactivity{}, fmt.Errorf("user %q or channel %q is unknown", p.User, p.Channel)
	}
	m, ephemeral := s.find(c.ID, p.TS), false
	for _, e := range s.ephemerals {
		if e.Channel == c.ID && e.TS == p.TS && e.User == person.ID {
			m, ephemeral = &e.Message, true
		}
	}
	if m == nil {
		return nil, Interactivity{}, fmt.Errorf("channel %s has no message %s that %s sees", c.ID, p.TS, person.ID)
	}
	block, button := buttonOf(m.Blocks, p.ActionID)
	if button == nil {
		return nil, Interactivity{}, fmt.Errorf("%s in message %s: %w", p.ActionID, p.TS, ErrNoSuchButton)
	}
	if block == "" {
		block = "b" + token(2)
	}
	actionTS := s.nextTS()
	key := token(12)
	s.responses[key] = &responseURL{channel: c.ID, user: person.ID, ts: m.TS, ephemeral: ephemeral, until: s.now().Add(responseTime), left: responseUses}
	container := map[string]any{"type": "message", "message_ts": m.TS, "channel_id": c.ID, "is_ephemeral": ephemeral}
	if m.ThreadTS != "" {
		container["thread_ts"] = m.ThreadTS
	}
	action := map[string]any{"type": "button", "block_id": block, "action_ts": actionTS}
	for _, field := range []string{"action_id", "text", "value", "style"} {
		if raw, ok := button[field]; ok {
			action[field] = raw
		}
	}
	body := answer{
		"type": "block_actions", "api_app_id": appID, "token": "verification", "trigger_id": actionTS + "." + token(6),
		"team":      map[string]string{"id": teamID, "domain": "workspace"},
		"user":      map[string]string{"id": person.ID, "username": person.Name, "name": person.Name, "team_id": person.team()},
		"channel":   map[string]string{"id": c.ID, "name": c.Name},
		"container": container, "enterprise": nil, "is_enterprise_install": false, "state": map[string]any{"values": map[string]any{}},
		"response_url": s.baseURL + "/actions/" + teamID + "/" + key, "actions": []any{action},
	}
	if !ephemeral {
		body["message"] = m.view(false)
	}
	return body, s.interactivity, nil
}

func token(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw)
	return hex.EncodeToString(raw)
}

// serveResponse takes an answer to an interaction by its response_url.
func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request) {
	record := s.begin("response_url", "")
	defer record.end()
	if f := s.faults.take("response_url", "", "", false); f != nil {
		record.Fault = f.Kind
		if s.fail(w, r, *f, record) {
			return
		}
	}
	var in struct {
		Text            string          `json:"text"`
		Blocks          json.RawMessage `json:"blocks"`
		ResponseType    string          `json:"response_type"`
		ReplaceOriginal bool            `json:"replace_original"`
		DeleteOriginal  bool            `json:"delete_original"`
		ThreadTS        string          `json:"thread_ts"`
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || json.Unmarshal(data, &in) != nil {
		record.Error = "invalid_payload"
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	blocks, fail := checkBlocks(string(bytes.TrimSpace(in.Blocks)))
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.responses[r.PathValue("key")]
	switch {
	case u == nil:
		fail = refuse("no_service")
	case s.now().After(u.until):
		fail = refuse("expired_url")
	case u.left == 0:
		fail = refuse("used_url")
	case fail == nil && in.Text == "" && blocks == nil && !in.DeleteOriginal:
		fail = refuse("no_text")
	}
	if fail != nil {
		record.Error = fail.code
		w.WriteHeader(http.StatusNotFound)
		writeBody(w, failed(fail))
		return
	}
	u.left--
	record.Accepted, record.Channel = true, u.channel
	s.respond(u, Message{Channel: u.channel, TS: s.nextTS(), ThreadTS: in.ThreadTS, Text: in.Text, Blocks: blocks},
		in.ResponseType, in.ReplaceOriginal || in.DeleteOriginal)
	_, _ = io.WriteString(w, "ok")
}

// respond carries an answer out. The caller holds the lock.
func (s *Server) respond(u *responseURL, m Message, kind string, replace bool) {
	switch {
	case replace && u.ephemeral:
		for _, e := range s.ephemerals {
			if e.TS == u.ts && e.Channel == u.channel {
				e.Text, e.Blocks = m.Text, m.Blocks
			}
		}
	case replace:
		if old := s.find(u.channel, u.ts); old != nil {
			old.Before = append(old.Before, Version{Text: old.Text, Blocks: old.Blocks})
			old.Text, old.Blocks = m.Text, m.Blocks
		}
	case kind == "in_channel":
		s.messages[u.channel] = append(s.messages[u.channel], &m)
	default:
		s.ephemerals = append(s.ephemerals, &Ephemeral{Message: m, User: u.user, ByURL: true})
	}
}

// servePress is the control's way to press a button.
func (s *Server) servePress(w http.ResponseWriter, r *http.Request) {
	var p Press
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out, err := s.Press(r.Context(), p)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	writeJSON(w, http.StatusOK, out)
}
