package slack

import (
	"context"

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

// gone tells whether nothing can be put at ref any more: it was deleted, or it is in a channel that takes nothing and need
// not be the receiver's, because slack.channel was changed since. By a name that can't be told; then sending there shows it.
func (d *delivery) gone(ref notify.Ref, fail *failure) bool {
	return fail.word == "MessageGone" || fail.ofChannel() && ref.Channel != d.sink.options.Channel
}

// first sends the head: into the thread of the incident that this one continues, at the channel's top level where that is gone.
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
	if seen.gone && thread != (notify.Ref{}) {
		return d.replace(ctx, seen)
	}
	broadcast := d.msg.Loud() && !silenced(d.msg) && !part(d.msg)
	ref, fail := d.api.post(ctx, target, thread.ID, d.sink.head(d.msg), metadata(d.msg), broadcast)
	if fail != nil && thread != (notify.Ref{}) && d.gone(thread, fail) {
		return d.replace(ctx, seen)
	}
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
		switch {
		case d.gone(d.msg.Head, fail):
			return d.replace(ctx, seen)
		case fail.word == "EditRefused":
			note = fail.detail + " The thread tells of the change."
		default:
			res := fail.result()
			if res.Outcome == notify.Unknown {
				res.Outcome = notify.Retry
			}
			return res
		}
	}
	broadcast := d.msg.Loud() && !silenced(d.msg) && !part(d.msg)
	_, fail := d.api.post(ctx, thread.Channel, thread.ID, reply(d.msg), metadata(d.msg), broadcast)
	if fail != nil {
		if d.gone(thread, fail) {
			return d.replace(ctx, seen)
		}
		return seen.failed(fail)
	}
	return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Detail: note, Head: d.msg.Head, PossibleDuplicate: seen.duplicate}
}

// redraw edits the message of a digest. Doing that twice is the same as once, so a lost answer is no doubt; where people
// deleted the message, or it is in a channel that the receiver has left, there is nothing to edit, and what is too old to be
// edited gets a reply in its thread.
func (d *delivery) redraw(ctx context.Context) notify.Result {
	done := notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: d.msg.Head}
	fail := d.api.update(ctx, d.msg.Head, d.sink.head(d.msg))
	if fail == nil {
		return done
	}
	if fail.word == "EditRefused" {
		seen := d.look(ctx, d.msg.Head)
		if found := seen.settled(); found != nil {
			found.Head = d.msg.Head
			return *found
		}
		_, late := d.api.post(ctx, d.msg.Head.Channel, d.msg.Head.ID, reply(d.msg), metadata(d.msg), false)
		switch {
		case late == nil:
			done.Detail, done.PossibleDuplicate = fail.detail+" The thread tells of the change.", seen.duplicate
			return done
		case late.outcome == notify.Unknown:
			return seen.failed(late)
		}
		fail = late
	}
	own := d.sink.knownChannel()
	if fail.word == "MessageGone" || fail.ofChannel() && own != "" && own != d.msg.Head.Channel {
		done.Detail = "The digest's message was deleted, or is in a channel that takes no more; nothing is told in its place."
		return done
	}
	res := fail.result()
	res.OnlyThis = res.OnlyThis || fail.ofChannel() && own == ""
	if res.Outcome == notify.Unknown {
		res.Outcome = notify.Retry
	}
	return res
}

// replace sends a new head in place of one that is gone, or of one in a thread that is.
func (d *delivery) replace(ctx context.Context, seen sighting) notify.Result {
	d.msg.Head, d.msg.Thread = notify.Ref{}, notify.Ref{}
	res := d.first(ctx)
	if res.Outcome != notify.Refused && res.PossibleDuplicate == "" {
		res.PossibleDuplicate = seen.duplicate
	}
	return res
}
