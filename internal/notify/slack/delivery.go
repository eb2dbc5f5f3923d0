package slack

import (
	"context"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
)

// delivery is one attempt to deliver one message.
type delivery struct {
	sink *Sink
	api  *api
	msg  notify.Message
}

// EditsDigests tells that a digest's message can be edited.
func (*Sink) EditsDigests() {}

// send delivers a first message, or a change to the head that the channel holds.
func (d *delivery) send(ctx context.Context) notify.Result {
	if d.msg.Head == (notify.Ref{}) {
		return d.first(ctx)
	}
	if d.msg.Digest != nil {
		return d.redraw(ctx)
	}
	return d.change(ctx)
}

// thread is the thread that the message belongs into: that of an earlier incident which this one continues, else that
// of the head; zero for a head at the channel's top level. A reply can't have a thread of its own.
func (d *delivery) thread() notify.Ref {
	if d.msg.Thread != (notify.Ref{}) && (d.msg.Head == (notify.Ref{}) || d.msg.Head.Channel == d.msg.Thread.Channel) {
		return d.msg.Thread
	}
	return d.msg.Head
}

// first sends the head.
func (d *delivery) first(ctx context.Context) notify.Result {
	thread := d.thread()
	target := d.sink.options.Channel
	if thread.Channel != "" {
		target = thread.Channel
	}
	seen := d.look(ctx, thread)
	if done := seen.settled(); done != nil {
		return *done
	}
	broadcast := d.msg.Transition == v1alpha1.TransitionReopened && !silenced(d.msg) && !part(d.msg)
	ref, fail := d.api.post(ctx, target, thread.ID, d.sink.head(d.msg), metadata(d.msg), broadcast)
	if fail != nil {
		return seen.failed(fail)
	}
	if thread == (notify.Ref{}) {
		d.sink.learnChannel(ref.Channel)
	}
	return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: ref, PossibleDuplicate: seen.duplicate}
}

// change edits the head and tells of the change in its thread. The reply is sent after the edit, so a reply that is
// found means that both were done. A lost answer to the edit alone is no doubt: editing twice is the same as once.
func (d *delivery) change(ctx context.Context) notify.Result {
	thread := d.thread()
	seen := d.look(ctx, thread)
	if done := seen.settled(); done != nil {
		done.Head = d.msg.Head
		return *done
	}
	note := ""
	if fail := d.api.update(ctx, d.msg.Head, d.sink.head(d.msg)); fail != nil {
		switch fail.word {
		case "MessageGone":
			return d.replace(ctx, seen)
		case "EditRefused":
			note = fail.detail + " The thread tells of the change."
		default:
			res := fail.result()
			if res.Outcome == notify.Unknown {
				res.Outcome = notify.Retry
			}
			return res
		}
	}
	broadcast := d.msg.Transition == v1alpha1.TransitionReopened && !silenced(d.msg) && !part(d.msg)
	_, fail := d.api.post(ctx, thread.Channel, thread.ID, reply(d.msg), metadata(d.msg), broadcast)
	if fail != nil {
		if fail.word == "MessageGone" {
			return d.replace(ctx, seen)
		}
		return seen.failed(fail)
	}
	return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Detail: note, Head: d.msg.Head, PossibleDuplicate: seen.duplicate}
}

// redraw edits the message of a digest. Doing that twice is the same as once, so a lost answer is no doubt; where people
// deleted the message there is nothing to edit, and what is too old to be edited gets a reply in its thread.
func (d *delivery) redraw(ctx context.Context) notify.Result {
	done := notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: d.msg.Head}
	fail := d.api.update(ctx, d.msg.Head, d.sink.head(d.msg))
	if fail == nil {
		return done
	}
	switch fail.word {
	case "MessageGone":
		done.Detail = "The digest's message was deleted; nothing is told in its place."
		return done
	case "EditRefused":
		seen := d.look(ctx, d.msg.Head)
		if found := seen.settled(); found != nil {
			found.Head = d.msg.Head
			return *found
		}
		if _, fail := d.api.post(ctx, d.msg.Head.Channel, d.msg.Head.ID, reply(d.msg), metadata(d.msg), false); fail != nil {
			return seen.failed(fail)
		}
		done.Detail, done.PossibleDuplicate = fail.detail+" The thread tells of the change.", seen.duplicate
		return done
	}
	res := fail.result()
	if res.Outcome == notify.Unknown {
		res.Outcome = notify.Retry
	}
	return res
}

// replace sends a new head in place of one that people deleted.
func (d *delivery) replace(ctx context.Context, seen sighting) notify.Result {
	d.msg.Head, d.msg.Thread = notify.Ref{}, notify.Ref{}
	res := d.first(ctx)
	if res.Outcome != notify.Refused && res.PossibleDuplicate == "" {
		res.PossibleDuplicate = seen.duplicate
	}
	return res
}
