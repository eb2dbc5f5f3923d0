// Package keeper keeps what was learned at hand for decisions: every replica reads the state at intervals, and the one
// that holds the lease learns from judged Incidents and writes it. Which judgements were learned is in the state itself,
// so each counts once, whoever learns and however often.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/learn/judged"
	"github.com/kubebot/kubebot/internal/learn/store"
)

const (
	// interval between two looks at the state and at the Incidents.
	interval = 10 * time.Second
	// callTime is the deadline of one look.
	callTime = 8 * time.Second
	// maxSkew is how far the clock of who judged may be ahead. What is dated later is learned when that time has come.
	maxSkew = 5 * time.Minute
)

// Keeper holds the model of the newest state that was read.
type Keeper struct {
	Store store.Store
	// Holder tells whether this replica learns.
	Holder store.Holder
	// Incidents are those of the KubeBot.
	Incidents func() []*v1alpha1.Incident
	Now       func() time.Time
	Log       logr.Logger

	mu      sync.RWMutex
	model   *learn.Model
	problem string
}

// Learned returns what decisions are to ask, nil before the state was read and while it can't be: the plain rules decide
// then.
func (k *Keeper) Learned() decide.Learned {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.model == nil {
		return nil
	}
	return k.model
}

// Problem says what keeps learning from working, empty for nothing.
func (k *Keeper) Problem() string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.problem
}

// Run reads and learns until the context ends.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := k.Sync(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error(err, "What was learned was not brought up to date")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sync reads the state, learns what is new if this replica holds the lease, and makes the model of it. While the state
// can't be reached the last one serves on; one that can't be read serves no more, and nothing is learned over it.
func (k *Keeper) Sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	state, err := k.Store.Load(ctx)
	if err == nil && k.Holder.Holds() {
		if news := k.news(state); len(news) > 0 {
			if state, err = k.Store.Learn(ctx, k.Holder, news); err == nil {
				k.Log.Info("Learned from judged incidents", "judgements", len(news), "revision", state.Revision)
			}
		}
	}
	k.take(state, err)
	if errors.Is(err, store.ErrNotHolder) {
		return nil
	}
	return err
}

// take makes the model of a state.
func (k *Keeper) take(state learn.State, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case errors.Is(err, store.ErrUnreadable):
		k.model = nil
		k.problem = fmt.Sprintf(
			"What was learned can't be read, so the plain rules decide: run kubebot learned import with a copy, or kubebot learned reset --all (%v)", err)
	case err != nil:
		k.problem = "What was learned can't be brought up to date: look at the responder's log"
		if errors.Is(err, store.ErrNotHolder) {
			k.problem = ""
		}
	default:
		k.problem = ""
		if k.model == nil || k.model.State().Revision != state.Revision {
			k.model = learn.NewModel(state, learn.Defaults())
		}
	}
}

// news are the judgements that change a state.
func (k *Keeper) news(state learn.State) []learn.Feedback {
	incidents := k.Incidents()
	byKey := make(map[string][]*v1alpha1.Incident, len(incidents))
	for _, inc := range incidents {
		byKey[inc.Spec.GroupKey] = append(byKey[inc.Spec.GroupKey], inc)
	}
	var news []learn.Feedback
	for _, inc := range incidents {
		for _, f := range judged.Feedback(inc, judged.Recurrence(inc, byKey[inc.Spec.GroupKey])) {
			if f.At.After(k.Now().Add(maxSkew)) {
				continue // all others would count for nothing beside one of years to come
			}
			next, changed := state.Learn(f)
			if changed {
				state, news = next, append(news, f)
			}
		}
	}
	return news
}
