package pipeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
)

// TestARefusedMessageHoldsUpNoOther lets a receiver refuse everything about one incident, which lasts for hours, while others come.
func TestARefusedMessageHoldsUpNoOther(t *testing.T) {
	for name, c := range map[string]struct {
		result notify.Result
		// latest is how late the others are told of, and tries how often the refused one is tried within three hours.
		latest        time.Duration
		fewest, tries int
	}{
		"for what is in it":                     {notify.Result{Outcome: notify.Refused, Word: "Rejected", OnlyThis: true}, time.Second, 10, 16},
		"as a receiver does that takes nothing": {notify.Result{Outcome: notify.Refused, Word: "AccessDenied"}, refusedPause + refusedYield, 100, 180},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(o *Options) { o.Rules.StormAbove = 0 }, func(b *bubble) {
				poisoned, told := 0, map[string]time.Time{}
				b.oncall.answer = func(msg notify.Message) notify.Result {
					subject := msg.Incident.Spec.Subject.Name
					if subject == "poison" {
						poisoned++
						return c.result
					}
					told[subject] = time.Now()
					return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: notify.Ref{Channel: "C", ID: msg.Key}}
				}
				end := time.Now().Add(3 * time.Hour)
				b.take(failing("poison", v1alpha1.SeverityCritical))
				came := map[string]time.Time{}
				for i := range 60 {
					time.Sleep(17 * time.Second)
					name := fmt.Sprint("healthy", i)
					came[name] = time.Now()
					b.take(failing(name, v1alpha1.SeverityCritical))
				}
				time.Sleep(time.Until(end))
				b.oncall.mu.Lock()
				defer b.oncall.mu.Unlock()
				for name, at := range came {
					if assert.Contains(t, told, name) {
						assert.LessOrEqual(t, told[name].Sub(at), c.latest, name)
					}
				}
				assert.GreaterOrEqual(t, poisoned, c.fewest)
				assert.LessOrEqual(t, poisoned, c.tries)
			})
		})
	}
}

func TestAChangeIsNotHeldUpByTheOneBeforeThatWasRefused(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		b.oncall.answer = func(msg notify.Message) notify.Result {
			if msg.Transition == v1alpha1.TransitionResolved {
				return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: notify.Ref{Channel: "C", ID: msg.Key}}
			}
			return notify.Result{Outcome: notify.Refused, Word: "Rejected", OnlyThis: true}
		}
		a := failing("a", v1alpha1.SeverityCritical)
		b.take(a)
		time.Sleep(time.Hour)
		b.end(a)
		time.Sleep(2 * time.Second)
		assert.Equal(t, "oncall:Delivered", b.incident("a").Status.Receivers)
	})
}

func TestRefusedAfter(t *testing.T) {
	for _, c := range []struct {
		n        int64
		onlyThis bool
		want     time.Duration
	}{
		{0, true, time.Minute}, {1, true, 2 * time.Minute}, {3, true, 8 * time.Minute}, {4, true, maxRefusedPause}, {1 << 40, true, maxRefusedPause},
		{0, false, refusedPause + refusedYield}, {99, false, refusedPause + refusedYield},
	} {
		assert.Equal(t, c.want, refusedAfter(c.n, c.onlyThis), "%d %v", c.n, c.onlyThis)
	}
}
