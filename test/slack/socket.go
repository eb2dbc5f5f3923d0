package slacktest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode): an app-level token opens a WebSocket whose
// address holds for one use; each payload goes to one of the open connections in an envelope that must be acknowledged.
const (
	// maxSockets is how many connections an app may have.
	maxSockets = 10
	// socketRetries is how often an envelope that was not acknowledged is delivered again.
	socketRetries = 3
	// ticketTime is how long an address holds.
	ticketTime = 30 * time.Second
	// pingEvery is how often the server pings.
	pingEvery = 5 * time.Second
	// maxResponse is where Slack drops an acknowledgement without a word.
	maxResponse = 20 << 10
)

// sockets are the open connections.
type sockets struct {
	mu      sync.Mutex
	list    []*socket
	next    int
	tickets map[string]time.Time
	acks    map[string]chan struct{}
	now     func() time.Time
}

// socket is one connection.
type socket struct {
	conn  *websocket.Conn
	write sync.Mutex
	gone  chan struct{}
	once  sync.Once
}

func newSockets(now func() time.Time) *sockets {
	return &sockets{tickets: map[string]time.Time{}, acks: map[string]chan struct{}{}, now: now}
}

func (c *socket) send(v any) error {
	c.write.Lock()
	defer c.write.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	return c.conn.WriteJSON(v)
}

func (c *socket) close() {
	c.once.Do(func() {
		close(c.gone)
		_ = c.conn.Close()
	})
}

// connectionsOpen is the method apps.connections.open.
func (s *Server) connectionsOpen(r request) (answer, *apiError) {
	if fail := r.token.need("connections:write"); fail != nil {
		return nil, fail
	}
	ticket := token(16)
	s.sockets.mu.Lock()
	s.sockets.tickets[ticket] = s.now().Add(ticketTime)
	s.sockets.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return answer{"url": strings.Replace(s.baseURL, "http", "ws", 1) + "/link/?ticket=" + ticket + "&app_id=" + appID}, nil
}

// serveSocket upgrades to a WebSocket.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	record := s.begin("socket", "")
	defer record.end()
	if f := s.faults.take("socket", "", "", false); f != nil {
		record.Fault = f.Kind
		if s.fail(w, r, *f, record) {
			return
		}
	}
	ticket := r.URL.Query().Get("ticket")
	s.sockets.mu.Lock()
	until, ok := s.sockets.tickets[ticket]
	delete(s.sockets.tickets, ticket)
	s.sockets.mu.Unlock()
	if !ok || s.now().After(until) {
		record.Error = "invalid_ticket"
		http.Error(w, "invalid ticket", http.StatusForbidden)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		record.Error = "upgrade"
		return
	}
	record.Accepted = true
	record.end()
	s.sockets.serve(&socket{conn: conn, gone: make(chan struct{})}, s.done)
}

// serve says hello and reads acknowledgements until the connection ends.
func (s *sockets) serve(c *socket, done <-chan struct{}) {
	defer c.close()
	s.mu.Lock()
	full := len(s.list) >= maxSockets
	count := len(s.list) + 1
	s.mu.Unlock()
	debug := map[string]any{"host": "applink-test", "build_number": 1, "approximate_connection_time": 18060}
	if full {
		_ = c.send(map[string]any{"type": "disconnect", "reason": "too_many_websockets", "debug_info": debug})
		return
	}
	hello := map[string]any{"type": "hello", "num_connections": count, "connection_info": map[string]string{"app_id": appID}, "debug_info": debug}
	if c.send(hello) != nil {
		return
	}
	s.mu.Lock()
	s.list = append(s.list, c)
	s.mu.Unlock()
	defer s.drop(c)
	go c.ping(done)
	for {
		_, data, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if len(data) < maxResponse && json.Unmarshal(data, &ack) == nil {
			s.acked(ack.EnvelopeID)
		}
	}
}

func (c *socket) ping(done <-chan struct{}) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		// The first ping comes at once.
		c.write.Lock()
		err := c.conn.WriteControl(websocket.PingMessage, []byte("Ping from applink-test"), time.Now().Add(time.Second))
		c.write.Unlock()
		if err != nil {
			c.close()
			return
		}
		select {
		case <-ticker.C:
		case <-c.gone:
			return
		case <-done:
			c.close()
			return
		}
	}
}

func (s *sockets) drop(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(x *socket) bool { return x == c })
}

func (s *sockets) acked(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ack := s.acks[id]; ack != nil {
		close(ack)
		delete(s.acks, id)
	}
}

// pick returns the next connection in turn.
func (s *sockets) pick() *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return nil
	}
	s.next++
	return s.list[s.next%len(s.list)]
}

// deliver hands a payload to a connection, and to the next when it is not acknowledged in time or the connection ends.
func (s *sockets) deliver(ctx context.Context, payload json.RawMessage) Pressed {
	var out Pressed
	begin := time.Now()
	for attempt := 0; attempt <= socketRetries && ctx.Err() == nil; attempt++ {
		c := s.pick()
		if c == nil {
			return out
		}
		id := token(16)
		envelope := map[string]any{"type": "interactive", "envelope_id": id, "accepts_response_payload": true, "payload": payload}
		if attempt > 0 {
			envelope["retry_attempt"], envelope["retry_reason"] = attempt, "timeout"
		}
		ack := make(chan struct{})
		s.mu.Lock()
		s.acks[id] = ack
		s.mu.Unlock()
		if c.send(envelope) != nil {
			s.drop(c)
			continue
		}
		out.Deliveries++
		select {
		case <-ack:
			out.Took = time.Since(begin)
			out.Acked = out.Took <= ackTime
			return out
		case <-c.gone:
		case <-time.After(ackTime):
		case <-ctx.Done():
		}
	}
	return out
}

// Redeliver hands a payload to the app once more through Socket Mode, as after an acknowledgement that was lost.
func (s *Server) Redeliver(ctx context.Context, payload json.RawMessage) Pressed {
	return s.sockets.deliver(ctx, payload)
}

// Sockets returns how many connections are open.
func (s *Server) Sockets() int {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	return len(s.sockets.list)
}

// RefreshSockets asks each connection to be opened anew, as Slack does every few hours: a warning, then the request;
// what is still open after grace is closed.
func (s *Server) RefreshSockets(grace time.Duration) {
	s.sockets.mu.Lock()
	list := slices.Clone(s.sockets.list)
	s.sockets.mu.Unlock()
	for _, c := range list {
		debug := map[string]any{"host": "applink-test"}
		_ = c.send(map[string]any{"type": "disconnect", "reason": "warning", "debug_info": debug})
		_ = c.send(map[string]any{"type": "disconnect", "reason": "refresh_requested", "debug_info": debug})
		time.AfterFunc(grace, c.close)
	}
}

// KillSockets breaks all connections without a word.
func (s *Server) KillSockets() {
	s.sockets.mu.Lock()
	list := slices.Clone(s.sockets.list)
	s.sockets.mu.Unlock()
	for _, c := range list {
		c.close()
	}
}
