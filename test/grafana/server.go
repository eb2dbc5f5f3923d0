// Package grafana is a server that behaves as Grafana documents its HTTP API
// (https://grafana.com/docs/grafana/latest/developers/http_api/ and its OpenAPI document), for the endpoints that KubeBot
// uses: data sources, folders, dashboards, search, the organisation's preferences. It knows nothing of KubeBot.
package grafana

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// Version that the server says it is.
const Version = "13.3.0"

// Role of a user or service account in the organisation; each may do what those before it may.
type Role int

// Roles.
const (
	Viewer Role = iota + 1
	Editor
	Admin
)

// Call is one call that was answered.
type Call struct {
	User   string `json:"user"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"`
}

// Server is a Grafana with one organisation.
type Server struct {
	mu          sync.Mutex
	tokens      map[string]Role
	users       map[string]user
	sources     []*source
	folders     []*folder
	dashboards  []*dashboard
	preferences map[string]any
	lastID      int64
	calls       []Call
	down        int
}

type user struct {
	password string
	role     Role
}

// New returns an empty Grafana.
func New() *Server {
	return &Server{tokens: map[string]Role{}, users: map[string]user{}, preferences: map[string]any{}}
}

// AddToken makes a service account's token.
func (s *Server) AddToken(token string, role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = role
}

// AddUser makes a user.
func (s *Server) AddUser(name, password string, role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[name] = user{password, role}
}

// Break lets every call end with the HTTP status; 0 mends it.
func (s *Server) Break(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = status
}

// Calls returns the calls that were answered, those that only read left out.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var writes []Call
	for _, c := range s.calls {
		if c.Method != http.MethodGet {
			writes = append(writes, c)
		}
	}
	return writes
}

// Forget empties the list of calls.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// Handler serves the API to whom signs in.
func (s *Server) Handler() http.Handler { return s.handler(s.signedIn) }

// Person serves the API as if a person with the role Admin had signed in, and the calls at /calls: for tests only.
func (s *Server) Person() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.handler(func(*http.Request) (string, Role) { return "person", Admin }))
	mux.HandleFunc("GET /calls", func(rw http.ResponseWriter, _ *http.Request) { answer(rw, http.StatusOK, s.Calls()) })
	mux.HandleFunc("DELETE /calls", func(rw http.ResponseWriter, _ *http.Request) { s.Forget() })
	return mux
}

// signedIn returns who calls and the role, which is 0 for nobody.
func (s *Server) signedIn(r *http.Request) (string, Role) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return "token", s.tokens[token]
	}
	if name, password, ok := r.BasicAuth(); ok {
		if u, known := s.users[name]; known && u.password == password {
			return name, u.role
		}
	}
	return "", 0
}

// status is an answer that is none.
type status struct {
	code    int
	message string
	// reason is the field status of some answers, such as version-mismatch.
	reason string
}

func refuse(code int, message string) (any, *status) {
	return nil, &status{code: code, message: message}
}

// endpoint handles a call that may be made; the mutex is held.
type endpoint func(r *http.Request) (any, *status)

func (s *Server) handler(who func(*http.Request) (string, Role)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", func(rw http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down != 0 {
			answer(rw, s.down, map[string]any{"message": "out of order"})
			return
		}
		answer(rw, http.StatusOK, map[string]any{"commit": "0000000", "database": "ok", "version": Version})
	})
	for _, e := range []struct {
		pattern string
		role    Role
		handle  endpoint
	}{
		{"GET /api/datasources", Admin, s.listSources},
		{"POST /api/datasources", Admin, s.createSource},
		{"GET /api/datasources/uid/{uid}", Admin, s.getSource},
		{"PUT /api/datasources/uid/{uid}", Admin, s.updateSource},
		{"DELETE /api/datasources/name/{name}", Admin, s.deleteSource},
		{"GET /api/folders/{uid}", Viewer, s.getFolder},
		{"POST /api/folders", Editor, s.createFolder},
		{"PUT /api/folders/{uid}", Editor, s.updateFolder},
		{"POST /api/dashboards/db", Editor, s.saveDashboard},
		{"GET /api/dashboards/uid/{uid}", Viewer, s.getDashboard},
		{"DELETE /api/dashboards/uid/{uid}", Editor, s.deleteDashboard},
		{"GET /api/search", Viewer, s.search},
		{"GET /api/org/preferences", Admin, s.getPreferences},
		{"PATCH /api/org/preferences", Admin, s.patchPreferences},
	} {
		mux.HandleFunc(e.pattern, func(rw http.ResponseWriter, r *http.Request) { s.serve(rw, r, who, e.role, e.handle) })
	}
	return mux
}

func (s *Server) serve(rw http.ResponseWriter, r *http.Request, who func(*http.Request) (string, Role), least Role, handle endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, role := who(r)
	body, refused := any(nil), (*status)(nil)
	switch {
	case s.down != 0:
		refused = &status{code: s.down, message: "out of order"}
	case role == 0:
		refused = &status{code: http.StatusUnauthorized, message: "Invalid username or password"}
	case role < least:
		refused = &status{code: http.StatusForbidden, message: "You'll need additional permissions to perform this action"}
	default:
		body, refused = handle(r)
	}
	code := http.StatusOK
	if refused != nil {
		code = refused.code
		fields := map[string]any{"message": refused.message}
		if refused.reason != "" {
			fields["status"] = refused.reason
		}
		body = fields
	}
	s.calls = append(s.calls, Call{User: name, Method: r.Method, Path: r.URL.Path, Status: code})
	answer(rw, code, body)
}

func answer(rw http.ResponseWriter, code int, body any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(code)
	_ = json.NewEncoder(rw).Encode(body) // the caller has gone: nobody to tell
}

// read decodes a body; Grafana refuses what is no JSON.
func read(r *http.Request, into any) *status {
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 16<<20)).Decode(into); err != nil {
		return &status{code: http.StatusBadRequest, message: "bad request data"}
	}
	return nil
}

// validUID is Grafana's rule: letters, digits, - and _, at most 40.
var validUID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`)

func checkUID(uid string) *status {
	if len(uid) > 40 {
		return &status{code: http.StatusBadRequest, message: "uid too long, max 40 characters"}
	}
	if !validUID.MatchString(uid) {
		return &status{code: http.StatusBadRequest, message: "uid contains illegal characters"}
	}
	return nil
}

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

func (s *Server) newUID() string { return fmt.Sprintf("generated%d", s.nextID()) }
