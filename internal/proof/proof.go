// Package proof proves that signals flow: it sends a synthetic metric, log line, trace and event through the whole path
// at intervals and looks for each at the far end. One replica of the responder does it; all know what was found.
package proof

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const (
	// interval between two proofs of a signal that flows.
	interval = time.Minute
	// again is the pause after a proof that failed.
	again = 10 * time.Second
	// patience is how long a proof is looked for: the collector decides on a trace after 10 s, and a store may be away
	// for half a minute while it is replaced.
	patience = 45 * time.Second
	// lookEvery is the pause between two looks while soon has not passed, lookLater afterwards.
	lookEvery = time.Second
	lookLater = 5 * time.Second
	soon      = 20 * time.Second
	// resend is the pause between marks until a signal is proven for the first time: what was sent while the path was
	// still being made may be lost, or wait for a retry.
	resend = 5 * time.Second
	// callTime bounds one call.
	callTime = 10 * time.Second
)

// Mark is one proof of one signal.
type Mark struct {
	// ID is 32 hexadecimal digits, which no other proof has; it is the trace ID too.
	ID string
	// At is when it was sent.
	At time.Time
}

// Signal is a kind of telemetry with a path to prove.
type Signal interface {
	// Send puts a mark into the path. The error is a sentence's end, such as "the collector does not answer".
	Send(ctx context.Context, m Mark) error
	// Found tells whether the mark is at the far end. The error says, as a sentence's end, why that is not known.
	Found(ctx context.Context, m Mark) (bool, error)
}

// Options of a Prover.
type Options struct {
	// Signals by name: config.SignalMetrics and so on.
	Signals map[string]Signal
	// Seen says when a signal that is proven elsewhere was last seen at its far end, zero if never: the watchdog alert.
	Seen map[string]func() time.Time
	// Board is what the replicas share.
	Board *Board
	Now   func() time.Time
	Log   logr.Logger
}

// Prover proves signals.
type Prover struct {
	Options
	started time.Time

	mu       sync.Mutex
	problems map[string]string
	delays   map[string]time.Duration
}

// New returns a Prover, whose metrics are registered.
func New(o Options, registry prometheus.Registerer) *Prover {
	p := &Prover{Options: o, started: o.Now(), problems: map[string]string{}, delays: map[string]time.Duration{}}
	registry.MustRegister(p)
	return p
}

// Run proves, while this replica is the one to do it, until the context ends.
func (p *Prover) Run(ctx context.Context) error {
	var stop func()
	defer func() {
		if stop != nil {
			stop()
			p.Board.release(ctx)
		}
	}()
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		held, err := p.Board.Hold(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			p.Log.Error(err, "Lease of the proof was not brought up to date")
		case held && stop == nil:
			stop = p.start(ctx)
		case err == nil && !held && stop != nil:
			stop()
			stop = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// start proves every signal, each at its own pace, until the returned function has ended that.
func (p *Prover) start(ctx context.Context) func() {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for name, signal := range p.Signals {
		running.Go(func() { p.keepProving(ctx, name, signal) })
	}
	return func() {
		cancel()
		running.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		clear(p.problems)
		clear(p.delays)
	}
}

func (p *Prover) keepProving(ctx context.Context, name string, signal Signal) {
	for ctx.Err() == nil {
		pause, never := again, p.Board.Known()[name].IsZero()
		if never {
			pause = resend
		}
		m, err := p.prove(ctx, signal, never)
		if ctx.Err() != nil {
			return
		}
		p.record(name, m, err)
		if err == nil {
			pause = interval - p.Now().Sub(m.At)
		}
		wait(ctx, pause)
	}
}

func newMark(now time.Time) (Mark, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return Mark{}, fmt.Errorf("no random number was to be had: %w", err)
	}
	return Mark{ID: hex.EncodeToString(id[:]), At: now}, nil
}

// prove sends a mark, or several until one is found, and returns the one that was found. The error says which part of
// the path does not work.
func (p *Prover) prove(ctx context.Context, signal Signal, several bool) (Mark, error) {
	first, err := p.send(ctx, signal)
	if err != nil {
		return first, err
	}
	marks := []Mark{first}
	for {
		age := p.Now().Sub(first.At)
		pause := lookEvery
		if age > soon {
			pause = lookLater
		}
		wait(ctx, pause)
		found, at, err := p.look(ctx, signal, marks)
		switch {
		case found:
			return at, nil
		case ctx.Err() != nil:
			return first, ctx.Err()
		case age > patience && err != nil:
			return first, err
		case age > patience:
			return first, errLost
		}
		if several && p.Now().Sub(marks[len(marks)-1].At) >= resend {
			if m, err := p.send(ctx, signal); err == nil { // else the first one is still looked for
				marks = append(marks, m)
			}
		}
	}
}

func (p *Prover) send(ctx context.Context, signal Signal) (Mark, error) {
	m, err := newMark(p.Now())
	if err != nil {
		return m, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return m, signal.Send(ctx, m)
}

// look looks for the marks, the last one first.
func (p *Prover) look(ctx context.Context, signal Signal, marks []Mark) (found bool, m Mark, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	for _, m := range slices.Backward(marks) {
		if found, err = signal.Found(ctx, m); found || err != nil {
			return found, m, err
		}
	}
	return false, Mark{}, nil
}

// errLost is what to say when every part of the path answers.
var errLost = fmt.Errorf("it was taken and did not come out at the other end")

func (p *Prover) record(name string, m Mark, err error) {
	p.mu.Lock()
	if err != nil {
		p.problems[name] = err.Error()
	} else {
		delete(p.problems, name)
		p.delays[name] = p.Now().Sub(m.At)
	}
	p.mu.Unlock()
	if err != nil {
		p.Log.Info("Signal was not proven to flow", "signal", name, "problem", err.Error())
		return
	}
	p.Board.Proven(name, m.At)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(max(d, lookEvery))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Report tells of every signal. A replica that does not prove knows no problems.
func (p *Prover) Report() *config.ProofReport {
	report := &config.ProofReport{Started: p.started}
	proven := p.proven()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range config.Signals() {
		if at, ok := proven[name]; ok {
			report.Signals = append(report.Signals, config.SignalReport{Name: name, Proven: at, Problem: p.problems[name]})
		}
	}
	return report
}

// proven returns when each signal was last proven, zero if never.
func (p *Prover) proven() map[string]time.Time {
	known, proven := p.Board.Known(), map[string]time.Time{}
	for name := range p.Signals {
		proven[name] = known[name]
	}
	for name, seen := range p.Seen {
		proven[name] = seen()
	}
	return proven
}
