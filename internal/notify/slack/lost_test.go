package slack_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/notify"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// lost are the ways in which the answer to an accepted message is lost.
var lost = []slacktest.Fault{
	{Kind: slacktest.KindReset}, {Kind: slacktest.KindHang}, {Kind: slacktest.KindGarbage}, {Kind: slacktest.KindEmpty},
	{Kind: slacktest.KindTruncated}, {Kind: slacktest.KindStatus, Status: 500}, {Kind: slacktest.KindStatus, Status: 503},
}

// lose sends a message whose answer is lost after it was accepted.
func lose(t *testing.T, w workspace, channel string, msg notify.Message, f slacktest.Fault) {
	t.Helper()
	f.Method, f.Accept, f.Count = "chat.postMessage", true, 1
	w.fault(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	if f.Kind == slacktest.KindHang {
		ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
	}
	defer cancel()
	if res := w.sink(t, channel).Send(ctx, msg); res.Outcome != notify.Unknown {
		t.Fatalf("a lost answer (%s) gives %+v, want Unknown", f.Kind, res)
	}
}

// count is how many messages carry the key.
func count(w workspace, key string) int {
	n := 0
	for _, m := range w.Messages("") {
		if m.Metadata != nil && m.Metadata.EventPayload["key"] == key {
			n++
		}
	}
	return n
}

func TestALostAnswerIsFoundInTheHistory(t *testing.T) {
	for _, f := range lost {
		for _, name := range []string{channel, "#prod"} {
			t.Run(fmt.Sprintf("%s %d %s", f.Kind, f.Status, name), func(t *testing.T) {
				w := newWorkspace(t, nil)
				lose(t, w, name, message(), f)
				// A new sink: another replica, which knows nothing.
				res := delivered(t, w.sink(t, name), again(message()))
				list := w.Messages(channel)
				if len(list) != 1 || res.Head != (notify.Ref{Channel: channel, ID: list[0].TS}) {
					t.Errorf("head %+v, messages %+v", res.Head, list)
				}
				if res.PossibleDuplicate != "" {
					t.Errorf("marked as a possible duplicate: %s", res.PossibleDuplicate)
				}
			})
		}
	}
}

func TestALostReplyIsFoundInTheThread(t *testing.T) {
	for _, f := range lost {
		t.Run(fmt.Sprintf("%s %d", f.Kind, f.Status), func(t *testing.T) {
			w := newWorkspace(t, nil)
			head := delivered(t, w.sink(t, channel), message()).Head
			lose(t, w, channel, resolved(head), f)
			res := delivered(t, w.sink(t, channel), again(resolved(head)))
			if list := w.Messages(channel); len(list) != 2 || res.Head != head || res.PossibleDuplicate != "" || !strings.HasPrefix(text(list[0]), "✅") {
				t.Errorf("got %+v, messages %+v", res, list)
			}
		})
	}
}

// An edit is the same when done twice, so a lost answer to it is no doubt about the reply.
func TestALostAnswerToAnEdit(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	head := delivered(t, s, message()).Head
	w.fault(t, slacktest.Fault{Method: "chat.update", Kind: slacktest.KindReset, Accept: true, Count: 1})
	if res := send(t, s, resolved(head)); res.Outcome != notify.Retry {
		t.Fatalf("got %+v, want Retry", res)
	}
	delivered(t, s, resolved(head))
	if list := w.Messages(channel); len(list) != 2 {
		t.Errorf("%d messages, want head and one reply", len(list))
	}
}

func TestAMessageThatNeverArrivedIsSentOnce(t *testing.T) {
	w := newWorkspace(t, nil)
	delivered(t, w.sink(t, channel), again(message()))
	res := delivered(t, w.sink(t, channel), again(message()))
	if n := count(w, message().Key); n != 1 || res.PossibleDuplicate != "" {
		t.Errorf("%d copies, %+v", n, res)
	}
}

// Where the history can't be read, one more copy at most, and it is marked.
func TestWithoutHistoryOneMoreCopyIsMarked(t *testing.T) {
	for name, c := range map[string]struct {
		channel string
		change  func(*slacktest.Options)
		fault   slacktest.Fault
		says    string
	}{
		"missing scope":          {channel: channel, change: withScopes("chat:write"), says: "channels:history"},
		"not a member":           {channel: "C0000000002", says: "not_in_channel"},
		"name can't be resolved": {channel: "#prod", change: withScopes("chat:write", "channels:history"), says: "channels:read"},
		"history broken":         {channel: channel, fault: slacktest.Fault{Kind: slacktest.KindStatus, Status: 500}, says: "500"},
		"history is garbage":     {channel: channel, fault: slacktest.Fault{Kind: slacktest.KindGarbage}, says: "can't be looked up"},
		"history is empty":       {channel: channel, fault: slacktest.Fault{Kind: slacktest.KindEmpty}, says: "can't be looked up"},
		"history resets":         {channel: channel, fault: slacktest.Fault{Kind: slacktest.KindReset}, says: "can't be looked up"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, c.change)
			lose(t, w, c.channel, message(), slacktest.Fault{Kind: slacktest.KindReset})
			if c.fault.Kind != "" {
				c.fault.Method = "conversations.history"
				w.fault(t, c.fault)
			}
			res := delivered(t, w.sink(t, c.channel), again(message()))
			if n := count(w, message().Key); n != 2 {
				t.Errorf("%d copies, want the lost one and one more", n)
			}
			if !strings.Contains(res.PossibleDuplicate, c.says) || len([]rune(res.PossibleDuplicate)) > 256 {
				t.Errorf("marked %q, want %q in it", res.PossibleDuplicate, c.says)
			}
		})
	}
}

// A history that hangs must leave time to send.
func TestAHangingHistoryLeavesTimeToSend(t *testing.T) {
	w := newWorkspace(t, nil)
	lose(t, w, channel, message(), slacktest.Fault{Kind: slacktest.KindReset})
	w.fault(t, slacktest.Fault{Method: "conversations.history", Kind: slacktest.KindHang})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	res := w.sink(t, channel).Send(ctx, again(message()))
	if res.Outcome != notify.Delivered || res.PossibleDuplicate == "" || count(w, message().Key) != 2 {
		t.Errorf("got %+v", res)
	}
}

// A look-up that is only told to wait, or fails once, makes no copy.
func TestAPassingFailureOfTheLookUpMakesNoCopy(t *testing.T) {
	for name, c := range map[string]struct {
		fault slacktest.Fault
		want  notify.Outcome
	}{
		"told to wait": {slacktest.Fault{Kind: slacktest.KindRateLimit, RetryAfter: 7, Count: 1}, notify.Unknown},
		"one 500":      {slacktest.Fault{Kind: slacktest.KindStatus, Status: 500, Count: 1}, notify.Delivered},
		"one reset":    {slacktest.Fault{Kind: slacktest.KindReset, Count: 1}, notify.Delivered},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, nil)
			lose(t, w, channel, message(), slacktest.Fault{Kind: slacktest.KindReset})
			c.fault.Method = "conversations.history"
			w.fault(t, c.fault)
			res := send(t, w.sink(t, channel), again(message()))
			if res.Outcome != c.want || c.want == notify.Unknown && res.RetryAfter != 7*time.Second {
				t.Errorf("got %+v, want %s", res, c.want)
			}
			delivered(t, w.sink(t, channel), again(message()))
			if n := count(w, message().Key); n != 1 {
				t.Errorf("%d copies, want 1", n)
			}
		})
	}
}

// As long as an earlier attempt is open, no outcome may say that the receiver surely has nothing.
func TestWhatWasUnknownStaysUnknown(t *testing.T) {
	w := newWorkspace(t, nil)
	w.fault(t, slacktest.Fault{Method: "chat.postMessage", Kind: slacktest.KindRateLimit, RetryAfter: 3})
	if res := send(t, w.sink(t, channel), again(message())); res.Outcome != notify.Unknown || res.RetryAfter != 3*time.Second {
		t.Errorf("got %+v", res)
	}
}

// The key is found among many other messages, over several pages, and those of others are not mistaken for it.
func TestTheHistoryIsReadToItsEnd(t *testing.T) {
	w := newWorkspace(t, nil)
	lose(t, w, channel, message(), slacktest.Fault{Kind: slacktest.KindReset})
	s := w.sink(t, channel)
	for i := range 1100 {
		other := message()
		other.Key = fmt.Sprintf("other-%d", i)
		delivered(t, s, other)
	}
	res := delivered(t, w.sink(t, channel), again(message()))
	if n := count(w, message().Key); n != 1 || res.Head.ID != w.Messages(channel)[0].TS {
		t.Errorf("%d copies, found %+v", n, res.Head)
	}
}
