package pipeline

import (
	"sync"
	"time"

	"github.com/kubebot/kubebot/internal/notify"
)

const (
	// inFlight is how many calls to one receiver run at a time in one replica.
	inFlight = 4
	// failuresToPause is how many calls in a row fail before the receiver is only probed, one call at a time.
	failuresToPause = 4
	// maxPause between probes of a receiver that can't be reached.
	maxPause = 15 * time.Second
)

// gate bounds the calls to one receiver, so that thousands of Incidents that wait for it neither hammer it nor write
// their failures over and over. Nothing is claimed that can't be sent at once.
type gate struct {
	mu       sync.Mutex
	flying   int
	failures int
	closed   time.Time // until then nothing is sent
	waiting  map[string]bool
	queue    []string // group keys that found the gate closed, in order
}

func newGate() *gate { return &gate{waiting: map[string]bool{}} }

// enter takes a place for a call. Without one, the group key is remembered and returned later by leave or next.
func (g *gate) enter(key string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flying < g.places() && !now.Before(g.closed) {
		g.flying++
		return true
	}
	if !g.waiting[key] {
		g.waiting[key] = true
		g.queue = append(g.queue, key)
	}
	return false
}

// cancel gives back a place that was not used.
func (g *gate) cancel() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flying--
	return g.pop()
}

// leave gives back a place after a call and returns the group keys that can go on now.
func (g *gate) leave(r notify.Result, now time.Time) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flying--
	switch {
	case r.Outcome == notify.Delivered:
		g.failures, g.closed = 0, time.Time{}
		return g.pop()
	case r.Outcome == notify.Refused && r.OnlyThis:
		return g.pop() // the receiver answers, so the others go on
	case r.Outcome == notify.Refused:
		g.failures = max(g.failures, failuresToPause)
		g.close(now.Add(refusedPause))
	case r.RetryAfter > 0:
		g.close(now.Add(r.RetryAfter))
	default:
		g.failures++
		if over := g.failures - failuresToPause; over >= 0 {
			g.close(now.Add(min(maxPause, time.Second<<min(over, 4))))
		}
	}
	return nil
}

// busy tells whether calls run.
func (g *gate) busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flying > 0
}

// tick returns the group keys that can go on when the gate has opened by time.
func (g *gate) tick(now time.Time) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.closed) {
		return nil
	}
	return g.pop()
}

// reopen opens the gate because the receiver was mended.
func (g *gate) reopen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures, g.closed = 0, time.Time{}
}

func (g *gate) close(until time.Time) {
	if until.After(g.closed) {
		g.closed = until
	}
}

// places is how many calls may run: one probe when the last ones failed.
func (g *gate) places() int {
	if g.failures >= failuresToPause {
		return 1
	}
	return inFlight
}

// pop takes as many group keys as there are free places.
func (g *gate) pop() []string {
	n := min(max(g.places()-g.flying, 0), len(g.queue))
	keys := g.queue[:n:n]
	g.queue = g.queue[n:]
	for _, key := range keys {
		delete(g.waiting, key)
	}
	return keys
}
