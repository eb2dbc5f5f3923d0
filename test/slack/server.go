// Package slacktest is a server that behaves as Slack documents its Web API (https://docs.slack.dev/reference/methods),
// for tests and the demo: tokens and scopes, channels and membership, rate limits, limits of text, blocks and metadata,
// history with metadata, threads and edits. It knows nothing of KubeBot. Faults can be switched on: wrong answers, no
// answers, and messages that are accepted while the answer is lost. A recorder for webhooks is part of it.
package slacktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options configure a server. The zero value has no token, so that every call is refused.
type Options struct {
	Tokens   []Token
	Channels []Channel
	// Users are people who can press buttons, Groups are user groups.
	Users  []User
	Groups []Group
	// Interactivity is where pressed buttons go; the zero value sends them through Socket Mode.
	Interactivity Interactivity
	// StateFile keeps what was accepted over a restart, even after kill -9; empty for memory only.
	StateFile string
	// SigningKey is what the webhook recorder checks signatures with; empty to check none.
	SigningKey string
	// Limits are how often calls may come; nil for Slack's.
	Limits *Limits
	// Seed makes faults with a probability repeatable.
	Seed uint64
	// Now is the clock; nil for time.Now.
	Now func() time.Time
}

// Token is a bot token (xoxb-...) or an app-level token (xapp-...).
type Token struct {
	Value string `json:"value"`
	// Scopes such as chat:write.
	Scopes []string `json:"scopes"`
	// Error is what every call with the token is answered with, such as token_revoked; empty for a good token.
	Error string `json:"error,omitempty"`
}

// Channel is a public or private channel.
type Channel struct {
	// ID such as C0000000001, and Name without #.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Private channels are unknown to apps that are not members.
	Private bool `json:"private,omitempty"`
	// Archived channels take no message.
	Archived bool `json:"archived,omitempty"`
	// Outside means that the app is not a member.
	Outside bool `json:"outside,omitempty"`
}

// The app and workspace that every token belongs to.
const (
	teamID = "T00000001"
	userID = "U00000001"
	botID  = "B00000001"
	appID  = "A00000001"
)

// maxBody bounds a request: text, blocks and metadata at their limits, form-encoded, are far below.
const maxBody = 2 << 20

// Server is the workspace. It is safe for concurrent use.
type Server struct {
	now        func() time.Time
	signingKey string
	faults     *faults
	quotas     *quotas
	sockets    *sockets
	done       chan struct{}
	closing    sync.Once

	mu       sync.Mutex
	tokens   map[string]Token
	channels []Channel
	messages map[string][]*Message // by channel ID, in the order of their timestamps
	webhooks []Webhook
	calls    []Call
	lastTS   int64 // microseconds of the last timestamp
	journal  *journal

	users         []User
	groups        []Group
	interactivity Interactivity
	ephemerals    []*Ephemeral
	responses     map[string]*responseURL
	files         map[string]*File
	baseURL       string // as callers know this server
}

// New makes a server and reads the state file if there is one.
func New(options Options) (*Server, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Limits == nil {
		limits := SlackLimits()
		options.Limits = &limits
	}
	s := &Server{
		now:        options.Now,
		signingKey: options.SigningKey,
		faults:     &faults{rand: rand.New(rand.NewPCG(options.Seed, options.Seed))},
		quotas:     newQuotas(*options.Limits),
		sockets:    newSockets(options.Now),
		done:       make(chan struct{}),
		tokens:     map[string]Token{},
		messages:   map[string][]*Message{},

		users:         options.Users,
		groups:        options.Groups,
		interactivity: options.Interactivity,
		responses:     map[string]*responseURL{},
		files:         map[string]*File{},
	}
	for _, t := range options.Tokens {
		s.tokens[t.Value] = t
	}
	for _, c := range options.Channels {
		if c.ID == "" || c.Name == "" {
			return nil, fmt.Errorf("channel %q (%q): ID and name are needed", c.ID, c.Name)
		}
		s.channels = append(s.channels, c)
	}
	if options.StateFile == "" {
		return s, nil
	}
	if err := s.restore(options.StateFile); err != nil {
		return nil, fmt.Errorf("restore from %s: %w", options.StateFile, err)
	}
	return s, nil
}

// Close ends calls that hang and closes the state file.
func (s *Server) Close() error {
	s.closing.Do(func() { close(s.done) })
	s.KillSockets()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.close()
}

// Handler serves the Web API below /api/, Socket Mode, what the API hands out addresses for (uploads, answers to
// interactions), and the webhook recorder at /webhook and below.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("GET /link/", s.serveSocket)
	mux.HandleFunc("POST /upload/v1/{ticket}", s.serveUpload)
	mux.HandleFunc("POST /actions/{team}/{key}", s.serveResponse)
	mux.HandleFunc("POST /webhook", s.serveWebhook)
	mux.HandleFunc("POST /webhook/{name...}", s.serveWebhook)
	return mux
}

// request is one call of the Web API.
type request struct {
	method string
	args   args
	token  Token
}

// answer is the JSON of an answer.
type answer map[string]any

// apiError is an error that the Web API answers with.
type apiError struct {
	code             string
	needed, provided string
	messages         []string
}

func (e *apiError) Error() string { return e.code }

func refuse(code string) *apiError { return &apiError{code: code} }

// methods of the Web API that the server knows.
var methods = map[string]func(*Server, request) (answer, *apiError){
	"apps.connections.open":        (*Server).connectionsOpen,
	"auth.test":                    (*Server).authTest,
	"chat.postEphemeral":           (*Server).postEphemeral,
	"chat.postMessage":             (*Server).postMessage,
	"chat.update":                  (*Server).update,
	"conversations.history":        (*Server).history,
	"conversations.info":           (*Server).info,
	"conversations.list":           (*Server).list,
	"conversations.replies":        (*Server).replies,
	"files.completeUploadExternal": (*Server).completeUpload,
	"files.getUploadURLExternal":   (*Server).uploadURL,
	"usergroups.users.list":        (*Server).groupUsers,
	"users.info":                   (*Server).usersInfo,
}

// serveAPI makes one call: faults before it, token, quota, the method itself, faults after it.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	s.learnBase(r)
	args, err := parseArgs(w, r)
	record := s.begin(method, args.text("channel"))
	defer record.end()
	if f := s.faults.take(method, record.Channel, args.text("text")+args.text("blocks"), false); f != nil {
		record.Fault = f.Kind
		if s.fail(w, r, *f, record) {
			return
		}
	}
	body := answer{"ok": false}
	var fail *apiError
	if err != nil {
		fail = refuse("invalid_form_data")
	} else {
		var retryAfter time.Duration
		if body, fail, retryAfter = s.call(w, r, method, args); retryAfter > 0 {
			record.Error = "ratelimited"
			rateLimited(w, retryAfter)
			return
		}
	}
	if fail != nil {
		record.Error = fail.code
		body = failed(fail)
	} else if f := s.faults.take(method, record.Channel, args.text("text")+args.text("blocks"), true); f != nil {
		record.Fault, record.Accepted = f.Kind, true
		if s.fail(w, r, *f, record) {
			return
		}
	}
	record.Accepted = fail == nil
	writeJSON(w, http.StatusOK, body)
}

// call checks token and quota and runs the method.
func (s *Server) call(w http.ResponseWriter, r *http.Request, method string, a args) (answer, *apiError, time.Duration) {
	run := methods[method]
	if run == nil {
		return nil, refuse("unknown_method"), 0
	}
	token, fail := s.authenticate(r, a)
	if fail != nil {
		return nil, fail, 0
	}
	if app := strings.HasPrefix(token.Value, "xapp-"); app != (method == "apps.connections.open") {
		return nil, refuse("not_allowed_token_type"), 0
	}
	w.Header().Set("X-OAuth-Scopes", strings.Join(token.Scopes, ","))
	if wait := s.quotas.wait(s.now(), token.Value, method, s.quotaChannel(a.text("channel"))); wait > 0 {
		return nil, nil, wait
	}
	body, fail := run(s, request{method: method, args: a, token: token})
	if fail == nil {
		body["ok"] = true
	}
	return body, fail, 0
}

// learnBase notes the address by which callers reach this server: the addresses that it hands out begin with it.
func (s *Server) learnBase(r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.baseURL = scheme + "://" + r.Host
}

// quotaChannel is the channel's ID, so that a name and its ID share a quota.
func (s *Server) quotaChannel(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channel(name, true); c != nil {
		return c.ID
	}
	return name
}

func failed(e *apiError) answer {
	body := answer{"ok": false, "error": e.code}
	if e.needed != "" {
		body["needed"], body["provided"] = e.needed, e.provided
	}
	if len(e.messages) > 0 {
		body["errors"] = e.messages
		body["response_metadata"] = map[string]any{"messages": e.messages}
	}
	return body
}

// args are the arguments of a call, from a form, a query or a JSON body.
type args struct {
	values map[string]string
	// token is where Slack takes it from: a form, not a JSON body.
	token string
}

func (a args) text(name string) string { return a.values[name] }

// truth reads a boolean as Slack does, and says def without one.
func (a args) truth(name string, def bool) bool {
	switch a.values[name] {
	case "":
		return def
	case "1", "true":
		return true
	}
	return false
}

// parseArgs reads the arguments. Values of a JSON body that are no strings are kept as JSON.
func parseArgs(w http.ResponseWriter, r *http.Request) (args, error) {
	a := args{values: map[string]string{}}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		var raw map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&raw); err != nil && !errors.Is(err, io.EOF) {
			return a, fmt.Errorf("read the JSON body: %w", err)
		}
		for name, value := range raw {
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			if string(value) != "null" {
				a.values[name] = text
			}
		}
		return a, nil
	}
	if err := r.ParseForm(); err != nil {
		return a, fmt.Errorf("read the form: %w", err)
	}
	for name, list := range r.Form {
		a.values[name] = list[0]
	}
	a.token = a.values["token"]
	return a, nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	writeBody(w, body)
}

func writeBody(w http.ResponseWriter, body any) {
	_ = json.NewEncoder(w).Encode(body)
}
