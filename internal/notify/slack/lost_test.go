package slack_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/slack"
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
	within := 20 * time.Second
	if f.Kind == slacktest.KindHang {
		within = time.Second // all of it passes
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
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
		"an error nobody knows":  {channel: channel, fault: slacktest.Fault{Kind: slacktest.KindError, Error: "something_new"}, says: "something_new"},
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
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
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

// carry delivers a message as the pipeline does: until it is delivered, and with MayHaveArrived from the first attempt
// that had no answer on. Each attempt is made by a replica that knows nothing of the others. It returns how many
// attempts were marked as possible duplicates.
func carry(t *testing.T, w workspace, msg notify.Message) (marked int) {
	t.Helper()
	for range 100 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		res := w.sink(t, channel).Send(ctx, msg)
		cancel()
		if res.PossibleDuplicate != "" {
			marked++
		}
		switch res.Outcome {
		case notify.Delivered:
			return marked
		case notify.Unknown:
			msg.MayHaveArrived = true
		case notify.Retry:
			if msg.MayHaveArrived {
				t.Fatalf("an open attempt was forgotten: %+v", res)
			}
		case notify.Refused:
			t.Fatalf("got %+v", res)
		}
	}
	t.Fatal("not delivered after 100 attempts")
	return 0
}

// With everything going wrong at random, each message arrives, and each copy too many is marked.
func TestRandomFaults(t *testing.T) {
	w := newWorkspace(t, func(o *slacktest.Options) { o.Seed = 11 })
	for _, f := range []slacktest.Fault{
		{Kind: slacktest.KindReset, Accept: true, Percent: 20}, {Kind: slacktest.KindGarbage, Accept: true, Percent: 15},
		{Kind: slacktest.KindStatus, Status: 502, Percent: 15}, {Kind: slacktest.KindRateLimit, RetryAfter: 1, Percent: 15},
		{Kind: slacktest.KindReset, Percent: 10}, {Kind: slacktest.KindError, Error: "service_unavailable", Percent: 5},
		{Kind: slacktest.KindTruncated, Accept: true, Percent: 5}, {Kind: slacktest.KindEmpty, Percent: 5},
	} {
		f.Method = "*"
		w.fault(t, f)
	}
	copies := 0
	for i := range 80 {
		msg := message()
		msg.Key = fmt.Sprintf("key-%d", i)
		marked := carry(t, w, msg)
		n := count(w, msg.Key)
		if n < 1 || n > 1+marked {
			t.Errorf("%s: %d copies, %d marked", msg.Key, n, marked)
		}
		copies += n - 1
	}
	if copies == 0 {
		t.Error("no copy was ever made, so the marks were not tested")
	}
}

// The incident may have moved on since the message was sent, so the window starts when the incident was made.
func TestALateLookUpFindsAnEarlyMessage(t *testing.T) {
	w := newWorkspace(t, nil)
	msg := message()
	msg.Incident.CreationTimestamp.Time = opened
	lose(t, w, channel, msg, slacktest.Fault{Kind: slacktest.KindReset})
	msg.At = opened.Add(time.Hour)
	delivered(t, w.sink(t, channel), again(msg))
	if n := count(w, msg.Key); n != 1 {
		t.Errorf("%d copies, want 1", n)
	}
}

// A copy whose sender died before it could mark it is marked by who finds it.
func TestCopiesThatAreFoundAreMarked(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	first := delivered(t, s, message()).Head
	delivered(t, s, message())
	if res := delivered(t, s, again(message())); res.Head != first || res.PossibleDuplicate != "The channel holds 2 copies." {
		t.Errorf("got %+v", res)
	}
}

// A second copy is marked also when its own answer is lost and the history answers again.
func TestACopyWithoutAnAnswerIsMarked(t *testing.T) {
	w := newWorkspace(t, nil)
	lose(t, w, channel, message(), slacktest.Fault{Kind: slacktest.KindReset})
	w.fault(t, slacktest.Fault{Method: "conversations.history", Kind: slacktest.KindStatus, Status: 500, Count: 2})
	w.fault(t, slacktest.Fault{Method: "chat.postMessage", Kind: slacktest.KindReset, Accept: true, Count: 1})
	if res := send(t, w.sink(t, channel), again(message())); res.Outcome != notify.Unknown || res.PossibleDuplicate == "" {
		t.Errorf("got %+v", res)
	}
}

// An answer that says nothing is not an empty history.
func TestAnAnswerThatSaysNothingIsNoHistory(t *testing.T) {
	head := notify.Ref{Channel: channel, ID: "1795231200.000100"}
	for name, c := range map[string]struct {
		msg    notify.Message
		answer string
	}{
		"history without ok":      {message(), `{}`},
		"thread without ok":       {resolved(head), `{}`},
		"thread without its head": {resolved(head), `{"ok":true,"messages":[]}`},
	} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "conversations.") {
				_, _ = w.Write([]byte(c.answer))
				return
			}
			_, _ = fmt.Fprintf(w, `{"ok":true,"channel":%q,"ts":%q}`, head.Channel, head.ID)
		}))
		s := newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: web.URL + "/api/"})
		if res := delivered(t, s, again(c.msg)); res.PossibleDuplicate == "" {
			t.Errorf("%s: taken for a history without the message: %+v", name, res)
		}
		web.Close()
	}
}

// An answer without an end is cut off, not read until the deadline.
func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer web.Close()
	s := newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: web.URL + "/api/"})
	if res := send(t, s, message()); res.Outcome != notify.Unknown || res.Word == "Timeout" {
		t.Errorf("got %+v", res)
	}
}
