package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
)

// claim takes every delivery that is due and for which its receiver has a place now. Nothing is claimed while a mute
// time holds or the responder stops.
func (p *Pipeline) claim(inc *v1alpha1.Incident, outcome decide.Outcome, now time.Time) []attempt {
	if outcome.Reason == decide.ReasonMuted || p.stopping.Load() {
		return nil
	}
	var claims []attempt
	for i := range inc.Status.Deliveries {
		d := &inc.Status.Deliveries[i]
		r, ok := p.active(d.Receiver)
		if !ok || outcome.Reason == decide.ReasonTeamAlone && !decide.OfTeam(d.Receiver) {
			continue
		}
		at, ok := due(inc, d)
		if !ok || at.After(now) && !r.mendedSince(d) {
			continue
		}
		if r.gate.enter(inc.Spec.GroupKey, now) {
			a := claim(d, p.Replica, now)
			a.to = r
			claims = append(claims, a)
		}
	}
	return claims
}

// mendedSince tells whether the receiver was mended after the last attempt of a delivery that nobody holds.
func (r *receiver) mendedSince(d *v1alpha1.Delivery) bool {
	if d.State == v1alpha1.DeliveryClaimed || len(d.Attempts) == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mended.After(d.Attempts[len(d.Attempts)-1].At.Time)
}

// cancel gives back the places of claims that were not written.
func (p *Pipeline) cancel(claims []attempt) {
	for _, a := range claims {
		p.wake(a.to.gate.cancel())
	}
}

// dispatch sends what was claimed, each in its own goroutine.
func (p *Pipeline) dispatch(inc *v1alpha1.Incident, claims []attempt) {
	for _, a := range claims {
		p.sendMu.Lock()
		stopping := p.stopping.Load()
		if !stopping {
			p.sends.Add(1)
		}
		p.sendMu.Unlock()
		if stopping {
			p.cancel([]attempt{a})
			p.conclude(inc, result{attempt: a, released: true, at: p.Now()})
			continue
		}
		go func() {
			defer p.sends.Done()
			p.send(inc, a)
		}()
	}
}

// send makes one attempt and hands its result in.
func (p *Pipeline) send(inc *v1alpha1.Incident, a attempt) {
	r := a.to
	msg := p.message(inc, a)
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	res := call(ctx, r.Sink, msg)
	now := p.Now()
	p.Metrics.deliveries.WithLabelValues(r.Type, string(res.Outcome)).Inc()
	if res.Outcome == notify.Delivered {
		p.Metrics.latency.WithLabelValues(r.Type).Observe(max(now.Sub(msg.At), 0).Seconds())
	} else {
		p.Log.Info("Message was not delivered", "incident", ref(inc), "receiver", a.receiver, "outcome", res.Outcome, "result", res.Word)
	}
	p.conclude(inc, result{attempt: a, Result: res, at: now})
	p.wake(r.gate.leave(res, now))
}

// call asks the sink; a sink that panics has given no answer.
func call(ctx context.Context, sink notify.Sink, msg notify.Message) (res notify.Result) {
	defer func() {
		if v := recover(); v != nil {
			res = notify.Result{Outcome: notify.Unknown, Word: "Panic", Detail: fmt.Sprintf("the sink failed with a %T", v)}
		}
	}()
	return sink.Send(ctx, msg)
}

// conclude hands in a result; the group's next pass writes it.
func (p *Pipeline) conclude(inc *v1alpha1.Incident, r result) {
	r.incident = inc.Name
	key := inc.Spec.GroupKey
	p.mu.Lock()
	b := p.box(key)
	b.results = append(b.results, r)
	p.mu.Unlock()
	p.queue.Add(key)
}

// message makes the message of a claimed delivery.
func (p *Pipeline) message(inc *v1alpha1.Incident, a attempt) notify.Message {
	msg := notify.Message{Key: a.key, Incident: inc.DeepCopy(), Head: headOf(inc, a.receiver), MayHaveArrived: a.arrived, At: inc.CreationTimestamp.Time}
	for _, d := range inc.Status.Deliveries {
		if d.Key == a.key {
			msg.Transition, msg.Sequence, msg.Text, msg.Details, msg.BodySHA256 = d.Transition, d.Sequence, d.Text, d.Details, d.BodySHA256
			if d.At != nil {
				msg.At = d.At.Time
			}
		}
	}
	if inc.Spec.Continues != "" {
		msg.Thread = headOf(p.root(inc), a.receiver)
	}
	return msg
}

// checkAll asks each receiver's sink whether it has what it needs. When a complaint goes, what waits is tried at once.
func (p *Pipeline) checkAll(ctx context.Context) {
	for _, name := range p.configured() {
		if r, ok := p.receiver(name); ok {
			go p.check(ctx, r)
		}
	}
}

func (p *Pipeline) check(ctx context.Context, r *receiver) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	reason, message := r.Sink.Check(ctx)
	if ctx.Err() != nil && reason == "" {
		return
	}
	r.mu.Lock()
	mended := r.reason != "" && reason == ""
	r.reason, r.message = reason, message
	if mended {
		r.mended = p.Now()
	}
	r.mu.Unlock()
	if !mended {
		return
	}
	r.gate.reopen()
	p.resume(r.Name)
}

// resume looks again at the Incidents with a delivery that waits for one of the receivers.
func (p *Pipeline) resume(receivers ...string) {
	for _, inc := range p.index.All() {
		if slices.ContainsFunc(inc.Status.Deliveries, func(d v1alpha1.Delivery) bool { return slices.Contains(receivers, d.Receiver) && waits(&d) }) {
			p.queue.Add(inc.Spec.GroupKey)
		}
	}
}
