package slack_test

import (
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// redrawn is the edit of a digest's message after all of its incidents ended.
func redrawn(head notify.Ref) notify.Message {
	msg := digestOf(3, false)
	msg.Key, msg.Head = "edit-key", head
	msg.Incident.Status.Title, msg.Incident.Status.State = "3 incidents, 1 critical, all over", v1alpha1.IncidentResolved
	msg.Text = msg.Incident.Status.Title
	for _, inc := range msg.Digest {
		inc.Status.State = v1alpha1.IncidentResolved
	}
	return msg
}

func TestADigestIsEditedWithoutAnotherMessage(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, "#prod")
	head := delivered(t, s, digestOf(3, false)).Head
	for range 2 { // twice is the same as once
		if res := delivered(t, s, redrawn(head)); res.Head != head || res.PossibleDuplicate != "" || res.Detail != "" {
			t.Errorf("got %+v", res)
		}
	}
	list := w.Messages(channel)
	if len(list) != 1 || list[0].TS != head.ID || list[0].EditedTS == "" {
		t.Fatalf("want the one message, edited; got %+v", list)
	}
	got := text(list[0])
	if !strings.HasPrefix(got, "✅ 3 incidents, 1 critical, all over") || !strings.Contains(got, "3 in a storm of new incidents; 3 over") || strings.Count(got, "✅") != 4 {
		t.Errorf("it does not show each incident as over:\n%s", got)
	}
	if names, _ := list[0].Metadata.EventPayload["incidents"].([]any); len(names) != 3 {
		t.Errorf("after the edit its metadata names %d of 3 incidents", len(names))
	}
}

func TestADigestThatPeopleDeletedIsNotSentAgain(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	head := delivered(t, s, digestOf(3, false)).Head
	w.Delete(channel, head.ID)
	if res := delivered(t, s, redrawn(head)); res.Head != head || !strings.Contains(res.Detail, "deleted") {
		t.Errorf("got %+v", res)
	}
	if list := w.Messages(channel); len(list) != 0 {
		t.Errorf("the channel holds %+v", list)
	}
}

func TestADigestThatMayNotBeEditedIsToldOfInItsThreadOnce(t *testing.T) {
	for _, code := range []string{"edit_window_closed", "cant_update_message"} {
		t.Run(code, func(t *testing.T) {
			w := newWorkspace(t, nil)
			s := w.sink(t, channel)
			head := delivered(t, s, digestOf(3, false)).Head
			w.fault(t, slacktest.Fault{Method: "chat.update", Kind: slacktest.KindError, Error: code})
			if res := delivered(t, s, redrawn(head)); res.Head != head || !strings.Contains(res.Detail, code) {
				t.Errorf("got %+v", res)
			}
			if res := delivered(t, s, again(redrawn(head))); res.Head != head || res.Word != "AlreadyDelivered" {
				t.Errorf("after a lost answer: got %+v", res)
			}
			list := w.Messages(channel)
			if len(list) != 2 || list[1].ThreadTS != head.ID || list[1].Broadcast || !strings.Contains(text(list[1]), "all over") {
				t.Errorf("want one reply that the channel does not see, got %+v", list)
			}
		})
	}
}

func TestAnEditOfADigestIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		fault slacktest.Fault
		word  string
	}{
		"its answer was lost":     {slacktest.Fault{Kind: slacktest.KindReset, Accept: true}, ""},
		"the connection broke":    {slacktest.Fault{Kind: slacktest.KindReset}, ""},
		"Slack takes no more now": {slacktest.Fault{Kind: slacktest.KindRateLimit, RetryAfter: 7}, "RateLimited"},
		"Slack is out of order":   {slacktest.Fault{Kind: slacktest.KindStatus, Status: 503}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, nil)
			s := w.sink(t, channel)
			head := delivered(t, s, digestOf(3, false)).Head
			c.fault.Method, c.fault.Count = "chat.update", 1
			w.fault(t, c.fault)
			res := send(t, s, redrawn(head))
			if res.Outcome != notify.Retry || c.word != "" && (res.Word != c.word || res.RetryAfter.Seconds() != 7) {
				t.Fatalf("got %+v, want Retry", res)
			}
			delivered(t, s, redrawn(head))
			if list := w.Messages(channel); len(list) != 1 || !strings.Contains(text(list[0]), "all over") {
				t.Errorf("want the one message, edited; got %+v", list)
			}
		})
	}
}
