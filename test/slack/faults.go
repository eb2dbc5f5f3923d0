package slacktest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is how calls go wrong.
type Fault struct {
	// ID is given by the server.
	ID int `json:"id"`
	// Method is a method of the Web API, webhook for the recorder, or * for any.
	Method string `json:"method"`
	// Channel limits the fault to calls that name it; empty for any.
	Channel string `json:"channel,omitempty"`
	// Text limits the fault to calls that hold it; empty for any.
	Text string `json:"text,omitempty"`
	// Kind is one of the constants below.
	Kind FaultKind `json:"kind"`
	// Accept means that the call is carried out first, so that only its answer goes wrong.
	Accept bool `json:"accept,omitempty"`
	// Count is how many calls go wrong; 0 for all until the fault is removed.
	Count int `json:"count,omitempty"`
	// Percent is how likely a call goes wrong; 0 for every one.
	Percent int `json:"percent,omitempty"`
	// Status of KindStatus, RetryAfter in seconds of KindStatus and KindRateLimit, Error of KindError.
	Status     int    `json:"status,omitempty"`
	RetryAfter int    `json:"retryAfter,omitempty"`
	Error      string `json:"error,omitempty"`
	// Location is where a Status of 3xx leads to.
	Location string `json:"location,omitempty"`
	// Milliseconds of KindDelay, which then answers as usual.
	Milliseconds int `json:"milliseconds,omitempty"`
}

// FaultKind is what goes wrong.
type FaultKind string

// Kinds of faults.
const (
	// KindStatus answers with a status and a page of HTML.
	KindStatus FaultKind = "status"
	// KindRateLimit answers 429 with Retry-After.
	KindRateLimit FaultKind = "ratelimit"
	// KindError answers with ok false and an error.
	KindError FaultKind = "error"
	// KindGarbage answers 200 with what is no JSON, KindEmpty with nothing, and KindTruncated with half an answer.
	KindGarbage   FaultKind = "garbage"
	KindEmpty     FaultKind = "empty"
	KindTruncated FaultKind = "truncated"
	// KindHang never answers; KindReset breaks the connection.
	KindHang  FaultKind = "hang"
	KindReset FaultKind = "reset"
	// KindDelay answers late.
	KindDelay FaultKind = "delay"
)

var faultKinds = []FaultKind{KindStatus, KindRateLimit, KindError, KindGarbage, KindEmpty, KindTruncated, KindHang, KindReset, KindDelay}

// check says what is wrong with a fault.
func (f Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("kind %q: use one of %v", f.Kind, faultKinds)
	case f.Method == "":
		return fmt.Errorf("method: name one, webhook, or *")
	case f.Kind == KindStatus && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d: use 200 to 599", f.Status)
	case f.Kind == KindError && f.Error == "":
		return fmt.Errorf("error: name one, such as internal_error")
	case f.Percent < 0 || f.Percent > 100 || f.Count < 0:
		return fmt.Errorf("percent must be 0 to 100, count not below 0")
	}
	return nil
}

// faults are those that are switched on, the first that fits is taken.
type faults struct {
	mu   sync.Mutex
	list []Fault
	next int
	rand *rand.Rand
}

func (f *faults) add(fault Fault) (Fault, error) {
	if err := fault.check(); err != nil {
		return fault, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	fault.ID = f.next
	f.list = append(f.list, fault)
	return fault, nil
}

// remove switches off one fault, or all of them with ID 0.
func (f *faults) remove(id int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = slices.DeleteFunc(f.list, func(x Fault) bool { return id == 0 || x.ID == id })
}

func (f *faults) all() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Fault{}, f.list...)
}

// take returns the fault that hits a call, before (accepted false) or after it was carried out.
func (f *faults) take(method, channel, body string, accepted bool) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		x := &f.list[i]
		if x.Accept != accepted || x.Method != "*" && x.Method != method || x.Channel != "" && x.Channel != channel || !strings.Contains(body, x.Text) {
			continue
		}
		if x.Percent > 0 && f.rand.IntN(100) >= x.Percent {
			continue
		}
		hit := *x
		if x.Count == 1 {
			f.list = slices.Delete(f.list, i, i+1)
		} else if x.Count > 1 {
			x.Count--
		}
		return &hit
	}
	return nil
}

// AddFault switches a fault on.
func (s *Server) AddFault(f Fault) (Fault, error) { return s.faults.add(f) }

// ClearFaults switches all faults off.
func (s *Server) ClearFaults() { s.faults.remove(0) }

// fail does what the fault says. It is false if the call is to be answered as usual after that; else the call is on
// record before it goes wrong.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, f Fault, record *recording) (answered bool) {
	if f.Kind != KindDelay {
		record.end()
	}
	switch f.Kind {
	case KindStatus:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(f.RetryAfter))
		}
		if f.Location != "" {
			w.Header().Set("Location", f.Location)
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprintf(w, "<!DOCTYPE html><title>%d</title>\n", f.Status)
	case KindRateLimit:
		rateLimited(w, time.Duration(f.RetryAfter)*time.Second)
	case KindError:
		writeJSON(w, http.StatusOK, failed(refuse(f.Error)))
	case KindGarbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("<html>\x00\xff{]"))
	case KindEmpty:
		w.WriteHeader(http.StatusOK)
	case KindTruncated:
		w.Header().Set("Content-Length", "4096")
		_, _ = w.Write([]byte(`{"ok":true,"channel":"C0`))
	case KindHang:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	case KindReset:
		reset(w)
	case KindDelay:
		select {
		case <-time.After(time.Duration(f.Milliseconds) * time.Millisecond):
			return false
		case <-r.Context().Done():
		case <-s.done:
		}
	}
	return true
}

// reset breaks the connection, with a TCP reset where there is TCP.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
