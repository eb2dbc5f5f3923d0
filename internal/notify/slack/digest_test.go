package slack_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
)

// digestOf tells of n incidents whose texts are as long as they can be.
func digestOf(n int, long bool) notify.Message {
	msg := message()
	msg.Key, msg.Transition = "digest-key", notify.TransitionDigest
	for i := range n {
		inc := message().Incident.DeepCopy()
		inc.Name = fmt.Sprintf("inc-0123456789abcdef-%d", i+1)
		inc.Status.Decision = &v1alpha1.Decision{Verdict: v1alpha1.VerdictDigest, Reason: "Storm"}
		if long {
			inc.Status.Title, inc.Status.Cause = strings.Repeat("title <!channel> ", 40), strings.Repeat("cause & ", 60)
		}
		if i%2 == 1 {
			inc.Status.State = v1alpha1.IncidentResolved
		}
		msg.Digest = append(msg.Digest, inc)
	}
	msg.Incident = msg.Incident.DeepCopy()
	msg.Incident.Status.Title = fmt.Sprintf("%d incidents, 1 critical", n)
	return msg
}

func TestADigestListsItsIncidentsWithinSlacksLimits(t *testing.T) {
	for n, long := range map[int]bool{1: false, 2: false, 40: true, 150: true} {
		w := newWorkspace(t, nil)
		s := w.sink(t, "#prod")
		delivered(t, s, digestOf(n, long)) // the server refuses what is beyond a limit
		list := w.Messages(channel)
		if len(list) != 1 {
			t.Fatalf("%d messages", len(list))
		}
		got := text(list[0])
		if !strings.HasPrefix(got, fmt.Sprintf("🔴 %d incidents, 1 critical", n)) || !strings.Contains(got, "inc-0123456789abcdef-1)") || !strings.Contains(got, "kubectl get incidents") {
			t.Errorf("digest of %d:\n%s", n, got)
		}
		if more := strings.Contains(got, "… and"); more != (n > 2) {
			t.Errorf("digest of %d says that there are more: %t", n, more)
		}
		if n == 2 && !strings.Contains(got, "2 in a storm of new incidents; 1 over") {
			t.Errorf("it does not say why they come together:\n%s", got)
		}
		names, _ := list[0].Metadata.EventPayload["incidents"].([]any)
		if list[0].Metadata.EventPayload["key"] != "digest-key" || len(names) != n {
			t.Errorf("the metadata names %d of %d incidents", len(names), n)
		}
	}
}

func TestALostDigestIsFoundByItsKey(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	first := delivered(t, s, digestOf(3, false)).Head
	again := digestOf(3, false)
	again.MayHaveArrived = true
	if res := delivered(t, s, again); res.Head != first || res.Word != "AlreadyDelivered" {
		t.Errorf("got %+v", res)
	}
	if n := len(w.Messages(channel)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestAnIncidentThatIsPartOfAnotherPointsThere(t *testing.T) {
	w := newWorkspace(t, nil)
	s := w.sink(t, channel)
	head := delivered(t, s, message()).Head
	msg := updated(head)
	msg.Transition = v1alpha1.TransitionReopened
	msg.Incident = msg.Incident.DeepCopy()
	msg.Incident.Status.DuplicateOf = "inc-2"
	msg.Incident.Status.Decision = &v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet, Reason: "Duplicate", Message: "It is part of Deployment shop/catalog (inc-2)"}
	delivered(t, s, msg)
	list := w.Messages(channel)
	if got := text(list[0]); !strings.HasPrefix(got, "🔗 ") || !strings.Contains(got, "It is part of Deployment shop/catalog (inc-2)") {
		t.Errorf("the head is:\n%s", got)
	}
	if list[1].Broadcast {
		t.Error("the channel is told again")
	}
}
