package slacktest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Call is one request that came in, for tests that look at what was called.
type Call struct {
	At      time.Time `json:"at"`
	Method  string    `json:"method"`
	Channel string    `json:"channel,omitempty"`
	// Accepted means that the call was carried out, whether or not it was answered.
	Accepted bool `json:"accepted"`
	// Error is what it was answered with, Fault the fault that hit it.
	Error string    `json:"error,omitempty"`
	Fault FaultKind `json:"fault,omitempty"`
}

// maxCalls bounds how many calls are kept; the oldest go first.
const maxCalls = 200000

// recording is a call that is under way.
type recording struct {
	Call
	server *Server
	once   sync.Once
}

// begin starts the record of a call.
func (s *Server) begin(method, channel string) *recording {
	return &recording{Call: Call{At: s.now(), Method: method, Channel: channel}, server: s}
}

// end puts the call on record, once.
func (r *recording) end() {
	r.once.Do(func() {
		s := r.server
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.calls) >= maxCalls {
			s.calls = append(s.calls[:0:0], s.calls[maxCalls/10:]...)
		}
		s.calls = append(s.calls, r.Call)
	})
}

// Calls returns the requests that came in.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call{}, s.calls...)
}

// Messages returns what a channel holds, in the order of timestamps, replies included; all channels if id is empty.
func (s *Server) Messages(id string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Message{}
	for _, c := range s.channels {
		if id != "" && c.ID != id {
			continue
		}
		for _, m := range s.messages[c.ID] {
			list = append(list, *m)
		}
	}
	return list
}

// Webhooks returns the requests that the recorder accepted.
func (s *Server) Webhooks() []Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Webhook{}, s.webhooks...)
}

// Clear forgets messages, webhooks and calls.
func (s *Server) Clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.webhooks, s.calls, s.ephemerals = map[string][]*Message{}, nil, nil, nil
	return s.journal.append(entry{Clear: true})
}

// Delete removes a message, as a person can. It tells whether there was one.
func (s *Server) Delete(channel, ts string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.messages[channel] {
		if m.TS == ts {
			s.messages[channel] = append(s.messages[channel][:i:i], s.messages[channel][i+1:]...)
			return true
		}
	}
	return false
}

// SetChannel adds a channel or changes the one with its ID.
func (s *Server) SetChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.channel(c.ID, false); known != nil {
		*known = c
		return
	}
	s.channels = append(s.channels, c)
}

// SetToken adds a token or changes its scopes or its error.
func (s *Server) SetToken(t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[t.Value] = t
}

// Admin serves the control of the server, for tests alone: nothing of it exists at Slack.
//
//	GET    /healthz            200
//	GET    /messages?channel=  []Message
//	DELETE /messages           forget messages, webhooks and calls
//	GET    /view               what people would see, as text
//	GET    /webhooks           []Webhook
//	GET    /calls              []Call
//	GET    /faults             []Fault
//	POST   /faults             Fault -> Fault with its ID
//	DELETE /faults[/<id>]      switch off
//	PUT    /channels           Channel: add or change
//	PUT    /tokens             Token: add or change
//	PUT    /users              User: add or change
//	PUT    /groups             Group: add or change
//	PUT    /interactivity      Interactivity: where pressed buttons go
//	POST   /press              Press -> Pressed: a person presses a button
//	GET    /ephemeral?user=    []Ephemeral: what that person alone sees
//	GET    /sockets            how many connections of Socket Mode are open
//	POST   /sockets/refresh    asks to open them anew
//	DELETE /sockets            breaks them
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /messages", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Messages(r.URL.Query().Get("channel")))
	})
	mux.HandleFunc("DELETE /messages", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Clear(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /view", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_ = s.WriteView(w)
	})
	mux.HandleFunc("GET /webhooks", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Webhooks()) })
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Calls()) })
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.faults.all()) })
	mux.HandleFunc("POST /faults", s.addFault)
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /faults/{id}", s.removeFault)
	mux.HandleFunc("PUT /channels", put(func(c Channel) bool { return c.ID != "" && c.Name != "" }, s.SetChannel))
	mux.HandleFunc("PUT /tokens", put(func(t Token) bool { return t.Value != "" }, s.SetToken))
	mux.HandleFunc("PUT /users", put(func(u User) bool { return u.ID != "" && u.Name != "" }, s.SetUser))
	mux.HandleFunc("PUT /groups", put(func(g Group) bool { return g.ID != "" }, s.SetGroup))
	mux.HandleFunc("PUT /interactivity", put(func(Interactivity) bool { return true }, s.SetInteractivity))
	mux.HandleFunc("POST /press", s.servePress)
	mux.HandleFunc("GET /ephemeral", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Ephemerals(r.URL.Query().Get("user")))
	})
	mux.HandleFunc("GET /sockets", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Sockets()) })
	mux.HandleFunc("POST /sockets/refresh", func(w http.ResponseWriter, _ *http.Request) {
		s.RefreshSockets(10 * time.Second)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /sockets", func(w http.ResponseWriter, _ *http.Request) {
		s.KillSockets()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (s *Server) addFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f, err := s.faults.add(f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusCreated, f)
}

func (s *Server) removeFault(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 {
		http.Error(w, "the ID is a number from 1", http.StatusBadRequest)
		return
	}
	s.faults.remove(id)
	w.WriteHeader(http.StatusNoContent)
}

// put reads a value and stores it if it is whole.
func put[T any](whole func(T) bool, store func(T)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var v T
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&v); err != nil || !whole(v) {
			http.Error(w, "a JSON object with its identifying fields is needed", http.StatusBadRequest)
			return
		}
		store(v)
		w.WriteHeader(http.StatusNoContent)
	}
}
