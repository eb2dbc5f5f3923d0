package slack

import (
	"context"
	"fmt"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/internal/notify"
)

// Bounds of a look-up.
const (
	// clockSlack is how far this cluster's clock may be ahead of Slack's.
	clockSlack = 5 * time.Minute
	// pageSize and maxPages bound how much history is read: 4,000 messages since the change was recorded. A channel
	// takes about one message a second, so that is more than an hour of a storm.
	pageSize = 500
	maxPages = 8
	// listSize and maxListPages bound the search for a channel's ID by its name.
	listSize     = 999
	maxListPages = 10
	// lookups is how often a look-up that fails for a passing reason is tried within one attempt.
	lookups = 2
)

// sighting is what a look-up for a delivery's key found.
type sighting struct {
	// found is the message; zero when there is none.
	found notify.Ref
	// duplicate says why the look-up could not tell, or that it found several; empty otherwise.
	duplicate string
	// gone: the thread that was searched is not there any more.
	gone bool
	// wait is a failure that passes: nothing may be sent before the look-up was answered.
	wait *failure
}

// settled returns the result of the delivery if the look-up decided it, else nil.
func (s sighting) settled() *notify.Result {
	switch {
	case s.wait != nil:
		res := s.wait.result()
		res.Outcome = notify.Unknown
		return &res
	case s.found != (notify.Ref{}):
		return &notify.Result{Outcome: notify.Delivered, Word: "AlreadyDelivered", Head: s.found, PossibleDuplicate: s.duplicate,
			Detail: "An earlier attempt had arrived; it was found by its key."}
	}
	return nil
}

// failed returns the result of a message that went out after the look-up and whose answer was lost or bad. If it is
// open whether it arrived, a copy of it may be there already.
func (s sighting) failed(fail *failure) notify.Result {
	res := fail.result()
	if res.Outcome == notify.Unknown {
		res.PossibleDuplicate = s.duplicate
	}
	return res
}

// look searches for the message of an earlier attempt whose answer was lost.
func (d *delivery) look(ctx context.Context, thread notify.Ref) sighting {
	if !d.msg.MayHaveArrived {
		return sighting{}
	}
	var fail *failure
	for range lookups {
		var seen sighting
		if seen, fail = d.search(ctx, thread); fail == nil {
			return seen
		}
		if fail.outcome == notify.Refused {
			break
		}
		if fail.passes() || ctx.Err() != nil {
			// Sending would fail too, or make a needless copy.
			return sighting{wait: fail}
		}
	}
	if fail.word == "MessageGone" {
		return sighting{gone: true}
	}
	return sighting{duplicate: shorten("An earlier attempt had no answer, and whether it arrived can't be looked up. " + fail.detail)}
}

// passes tells whether the look-up was only told to wait, or did not reach Slack. Any other error may stay for good, and
// a message must not wait for that.
func (f *failure) passes() bool {
	return f.word == "RateLimited" || f.outcome == notify.Retry && f.code == ""
}

// maxDuplicate is how long the reason may be in an Incident.
const maxDuplicate = 256

// shorten cuts a sentence of ours to what an Incident takes.
func shorten(text string) string {
	runes := []rune(text)
	if len(runes) <= maxDuplicate {
		return text
	}
	return string(runes[:maxDuplicate-1]) + ellipsis
}

// search makes one look-up with a third of the time that is left, so that there is time to send afterwards.
func (d *delivery) search(ctx context.Context, thread notify.Ref) (sighting, *failure) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/3)
		defer cancel()
	}
	if thread != (notify.Ref{}) {
		return d.api.findInThread(ctx, thread, d.oldest(), d.msg.Key)
	}
	channel, fail := d.sink.resolve(ctx, d.api)
	if fail != nil {
		return sighting{}, fail
	}
	return d.api.findInChannel(ctx, channel, d.oldest(), d.msg.Key)
}

// oldest is the start of the window in which the message can be: nothing of an incident is sent before it was made.
func (d *delivery) oldest() string {
	from := d.msg.At
	if made := d.msg.Incident.CreationTimestamp; !made.IsZero() && made.Time.Before(from) {
		from = made.Time
	}
	if from.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.000000", from.Add(-clockSlack).Unix())
}

// findInChannel looks for the key among the channel's messages. The zero sighting means that it is not there.
func (a *api) findInChannel(ctx context.Context, channel, oldest, key string) (sighting, *failure) {
	params := &slackgo.GetConversationHistoryParameters{ChannelID: channel, Oldest: oldest, Limit: pageSize, IncludeAllMetadata: true, Inclusive: true}
	for range maxPages {
		var resp *slackgo.GetConversationHistoryResponse
		fail := do(ctx, func(ctx context.Context) (err error) {
			resp, err = a.client.GetConversationHistoryContext(ctx, params)
			return err
		})
		if fail == nil && !resp.Ok {
			fail = garbage()
		}
		if fail != nil {
			return sighting{}, fail
		}
		if seen, ok := match(resp.Messages, channel, key); ok {
			return seen, nil
		}
		if params.Cursor = resp.ResponseMetaData.NextCursor; params.Cursor == "" {
			return sighting{}, nil
		}
	}
	return sighting{}, tooLong()
}

// findInThread looks for the key among the replies of a thread.
func (a *api) findInThread(ctx context.Context, thread notify.Ref, oldest, key string) (sighting, *failure) {
	params := &slackgo.GetConversationRepliesParameters{ChannelID: thread.Channel, Timestamp: thread.ID, Oldest: oldest,
		Limit: pageSize, IncludeAllMetadata: true, Inclusive: true}
	for range maxPages {
		var messages []slackgo.Message
		fail := do(ctx, func(ctx context.Context) (err error) {
			messages, _, params.Cursor, err = a.client.GetConversationRepliesContext(ctx, params)
			return err
		})
		if fail == nil && len(messages) == 0 {
			// The thread's first message is in every page, so an answer without any is not Slack's.
			fail = garbage()
		}
		if fail != nil {
			return sighting{}, fail
		}
		if seen, ok := match(messages, thread.Channel, key); ok {
			return seen, nil
		}
		if params.Cursor == "" {
			return sighting{}, nil
		}
	}
	return sighting{}, tooLong()
}

// match returns the message that carries the key: the earliest of a page, which people have seen first. Several are
// noted, also if the record of sending the later ones was lost.
func match(messages []slackgo.Message, channel, key string) (seen sighting, ok bool) {
	copies := 0
	for _, m := range messages {
		if m.Metadata.EventType != eventType || m.Metadata.EventPayload["key"] != key || !timestampPattern.MatchString(m.Timestamp) {
			continue
		}
		copies++
		if seen.found.ID == "" || earlier(m.Timestamp, seen.found.ID) {
			seen.found = notify.Ref{Channel: channel, ID: m.Timestamp}
		}
	}
	if copies > 1 {
		seen.duplicate = fmt.Sprintf("The channel holds %d copies.", copies)
	}
	return seen, copies > 0
}

// earlier compares timestamps, of which the shorter one in front of the point is the smaller.
func earlier(a, b string) bool {
	pa, pb := strings.IndexByte(a, '.'), strings.IndexByte(b, '.')
	return pa < pb || pa == pb && a < b
}

// tooLong means that the history since the change is longer than what is read.
func tooLong() *failure {
	return &failure{outcome: notify.Refused, word: "HistoryTooLong", detail: fmt.Sprintf("More than %d messages came since.", pageSize*maxPages)}
}

// resolve returns the ID of the channel, looking it up by its name if need be.
func (s *Sink) resolve(ctx context.Context, a *api) (string, *failure) {
	if id := s.knownChannel(); id != "" {
		return id, nil
	}
	name := strings.TrimPrefix(s.options.Channel, "#")
	params := &slackgo.GetConversationsParameters{Limit: listSize, ExcludeArchived: true, Types: []string{"public_channel"}}
	for range maxListPages {
		var channels []slackgo.Channel
		fail := do(ctx, func(ctx context.Context) (err error) {
			channels, params.Cursor, err = a.client.GetConversationsContext(ctx, params)
			return err
		})
		if fail != nil {
			if fail.code == "missing_scope" {
				fail.detail = "The channel is given by name, which takes the scope channels:read to look up: set slack.channel to the channel's ID, or add the scope."
			}
			return "", fail
		}
		for _, c := range channels {
			if c.Name == name && channelPattern.MatchString(c.ID) {
				s.learnChannel(c.ID)
				return c.ID, nil
			}
		}
		if params.Cursor == "" {
			break
		}
	}
	return "", &failure{outcome: notify.Refused, word: "ChannelNotFound", code: "channel_not_found",
		detail: "No public channel of that name is listed: set slack.channel to the channel's ID."}
}
