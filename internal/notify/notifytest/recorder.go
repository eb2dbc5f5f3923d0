package notifytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// Call is a request as it arrived.
type Call struct {
	Path, Query string
	Header      http.Header
	Body        string
}

// Recorder is a receiver that keeps what arrives. It answers with the statuses in turn and with 202 after that; 0 breaks
// the connection.
type Recorder struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	calls    []Call
}

// NewRecorder starts one that ends with the test.
func NewRecorder(t *testing.T, statuses ...int) *Recorder {
	t.Helper()
	r := &Recorder{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *Recorder) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, Call{Path: req.URL.EscapedPath(), Query: req.URL.RawQuery, Header: req.Header, Body: string(body)})
	status := http.StatusAccepted
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// Calls returns what has arrived.
func (r *Recorder) Calls() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}
