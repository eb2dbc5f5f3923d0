// Package faults makes a service misbehave on demand, for tests of what watches it.
//
// The switch is turned on a loopback port alone. Its state is in no metric, span, log line or error text: what others
// see is only what a service with that trouble would show.
package faults

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Switch holds the faults of one service. Create it with New; its methods are safe for concurrent use.
type Switch struct {
	dataDir string
	failure error

	mu      sync.RWMutex
	on      map[Kind]Setting
	stop    map[Kind]func()          // ends the background work of a kind and waits for it
	dialled map[string]map[*conn]any // open connections by dependency
}

// New makes a switch with everything off. The folder is the one that Disk fills, empty if the service has none; the
// failure is what Errors makes requests end with.
func New(dataDir string, failure error) *Switch {
	return &Switch{dataDir: dataDir, failure: failure, on: map[Kind]Setting{}, stop: map[Kind]func(){},
		dialled: map[string]map[*conn]any{}}
}

// Set switches a fault on, or changes the one of the same kind.
func (s *Switch) Set(kind Kind, setting Setting) error {
	if err := setting.check(kind); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := setting.Dependency; d != "" && s.dialled[d] == nil {
		return fmt.Errorf("unknown dependency %q: want one of %q", d, slices.Sorted(maps.Keys(s.dialled)))
	}
	if kind == Disk && s.dataDir == "" {
		return fmt.Errorf("%s: this service has no data folder", kind)
	}
	s.clear(kind)
	s.on[kind] = setting
	switch kind {
	case CPU:
		s.start(kind, func(ctx context.Context) { burn(ctx, setting.Millicores) })
	case Memory:
		s.start(kind, func(ctx context.Context) { hoard(ctx, setting) })
	case Disk:
		s.start(kind, func(ctx context.Context) { fill(ctx, s.dataDir, setting) })
	case Refuse:
		for c := range s.dialled[setting.Dependency] {
			_ = c.Conn.Close() // its user sees a broken connection, which is the point
		}
	}
	return nil
}

// Clear switches one kind off and gives back what it took.
func (s *Switch) Clear(kind Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear(kind)
}

// ClearAll switches everything off.
func (s *Switch) ClearAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for kind := range maps.Clone(s.on) {
		s.clear(kind)
	}
}

// State is what is on at the moment.
func (s *Switch) State() map[Kind]Setting {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.on)
}

// Pass is called where a request does its work: it waits, fails, or does nothing, as set.
func (s *Switch) Pass(ctx context.Context) error {
	s.mu.RLock()
	latency, failing := s.on[Latency], s.on[Errors]
	s.mu.RUnlock()
	if latency.Milliseconds > 0 && latency.Dependency == "" {
		select {
		case <-time.After(latency.delay()):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if rand.IntN(100) < failing.Percent {
		return s.failure
	}
	return nil
}

// start runs work in the background until clear. The caller holds the lock.
func (s *Switch) start(kind Kind, work func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	s.stop[kind] = func() { cancel(); <-done }
}

// clear ends a kind. The caller holds the lock.
func (s *Switch) clear(kind Kind) {
	if stop := s.stop[kind]; stop != nil {
		stop()
		delete(s.stop, kind)
	}
	delete(s.on, kind)
}
