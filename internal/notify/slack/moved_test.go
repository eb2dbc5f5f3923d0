package slack_test

import (
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/notify"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// newChannel is the one that the receiver is moved to, with its ID and its name.
const newChannel, newName = "C0000000009", "#general"

// closings are the ways in which a channel stops taking what the app sends.
var closings = map[string]func(t *testing.T, w workspace, id string){
	"archived": func(_ *testing.T, w workspace, id string) {
		w.SetChannel(slacktest.Channel{ID: id, Name: "prod", Archived: true})
	},
	"the app was removed from a private one": func(_ *testing.T, w workspace, id string) {
		w.SetChannel(slacktest.Channel{ID: id, Name: "prod", Private: true, Outside: true})
	},
	"the app was removed from a public one": func(_ *testing.T, w workspace, id string) {
		w.SetToken(slacktest.Token{Value: token, Scopes: []string{"chat:write", "channels:history", "channels:read"}})
		w.SetChannel(slacktest.Channel{ID: id, Name: "prod", Outside: true})
	},
	"read-only": func(t *testing.T, w workspace, id string) {
		for _, method := range []string{"chat.update", "chat.postMessage"} {
			w.fault(t, slacktest.Fault{Method: method, Kind: slacktest.KindError, Error: "restricted_action_read_only_channel", Channel: id})
		}
	},
}

func TestAChangeIsToldInTheNewChannelWhenTheOldOneTakesNoMore(t *testing.T) {
	for name, closeIt := range closings {
		for _, now := range []string{newChannel, newName} {
			t.Run(name+", now "+now, func(t *testing.T) {
				w := newWorkspace(t, nil)
				head := delivered(t, w.sink(t, channel), message()).Head
				s := w.sink(t, now)
				if res := delivered(t, s, updated(head)); res.Head != head || len(w.Messages(newChannel)) != 0 {
					t.Fatalf("as long as the old channel takes it, it is told there; got %+v", res)
				}
				closeIt(t, w, channel)
				res := delivered(t, s, resolved(head))
				list := w.Messages(newChannel)
				if len(list) != 1 || res.Head != (notify.Ref{Channel: newChannel, ID: list[0].TS}) || !strings.HasPrefix(text(list[0]), "✅ Resolved") || list[0].ThreadTS != "" {
					t.Errorf("got %+v and %+v", res, list)
				}
			})
		}
	}
}

func TestALostAnswerInTheNewChannelIsFoundThere(t *testing.T) {
	w := newWorkspace(t, nil)
	head := delivered(t, w.sink(t, channel), message()).Head
	closings["archived"](t, w, channel)
	w.fault(t, slacktest.Fault{Method: "chat.postMessage", Kind: slacktest.KindReset, Accept: true, Count: 1, Channel: newChannel})
	if res := send(t, w.sink(t, newChannel), resolved(head)); res.Outcome != notify.Unknown {
		t.Fatalf("got %+v", res)
	}
	res := delivered(t, w.sink(t, newChannel), again(resolved(head)))
	if n := len(w.Messages(newChannel)); n != 1 || res.Head.Channel != newChannel || res.Word != "AlreadyDelivered" {
		t.Errorf("got %+v and %d messages", res, n)
	}
}

// A channel of its own that takes nothing is for a person to mend: the receiver waits for that, and no message is made twice.
func TestItsOwnChannelIsNotReplaced(t *testing.T) {
	for name, closeIt := range closings {
		for _, own := range []string{channel, "#prod"} {
			t.Run(name+", "+own, func(t *testing.T) {
				w := newWorkspace(t, nil)
				s := w.sink(t, own)
				head := delivered(t, s, message()).Head
				before := len(w.Messages(""))
				closeIt(t, w, channel)
				res := send(t, s, resolved(head))
				if name == "read-only" && own != channel {
					return // the fault is for calls that name the channel by its ID
				}
				if res.Outcome != notify.Refused || res.OnlyThis || len(w.Messages("")) != before {
					t.Errorf("got %+v and %+v", res, w.Messages(""))
				}
			})
		}
	}
}

func TestAContinuedIncidentIsToldWhereItsThreadIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		now   string
		gone  func(t *testing.T, w workspace, thread notify.Ref)
		where string
	}{
		"its head was deleted, says Slack": {channel, func(t *testing.T, w workspace, thread notify.Ref) {
			w.Delete(channel, thread.ID)
			w.fault(t, slacktest.Fault{Method: "chat.postMessage", Kind: slacktest.KindError, Error: "thread_not_found", Count: 1})
		}, channel},
		"its head was deleted": {channel, func(_ *testing.T, w workspace, thread notify.Ref) { w.Delete(channel, thread.ID) }, channel},
		"it is in a channel that was archived": {newChannel, func(t *testing.T, w workspace, _ notify.Ref) {
			closings["archived"](t, w, channel)
		}, newChannel},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, nil)
			s := w.sink(t, c.now)
			next := message()
			next.Key, next.Thread = "other-1", delivered(t, w.sink(t, channel), message()).Head
			c.gone(t, w, next.Thread)
			head := delivered(t, s, next).Head
			if res := delivered(t, s, again(next)); res.Head != head || res.PossibleDuplicate != "" {
				t.Errorf("after a lost answer: %+v, want %+v", res, head)
			}
			if n := count(w, "other-1"); n != 1 || head.Channel != c.where {
				t.Errorf("%d messages, the head is %+v", n, head)
			}
		})
	}
}

func TestADigestInAChannelThatWasLeftIsNotToldAgain(t *testing.T) {
	for name, closeIt := range closings {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, nil)
			head := delivered(t, w.sink(t, channel), digestOf(3, false)).Head
			closeIt(t, w, channel)
			w.fault(t, slacktest.Fault{Method: "chat.update", Kind: slacktest.KindError, Error: "edit_window_closed", Count: 1, Channel: channel})
			if res := delivered(t, w.sink(t, newChannel), redrawn(head)); res.Head != head || res.Detail == "" || len(w.Messages(newChannel)) != 0 {
				t.Errorf("got %+v", res)
			}
			res := send(t, w.sink(t, newName), redrawn(head))
			if res.Outcome == notify.Refused && !res.OnlyThis || len(w.Messages(newChannel)) != 0 {
				t.Errorf("where the ID behind the name is not known: got %+v", res)
			}
		})
	}
}
