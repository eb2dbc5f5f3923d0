package pipeline

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
)

var (
	push  = decide.Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictNotify}, Receivers: []string{"oncall"}}
	quiet = decide.Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet, Reason: decide.ReasonNotRouted}}
	muted = decide.Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet, Reason: decide.ReasonMuted}}
)

// changed makes an Incident whose last change is the given one.
func changed(kind v1alpha1.TransitionKind, sequence int64, deliveries ...v1alpha1.Delivery) *v1alpha1.Incident {
	inc := &v1alpha1.Incident{}
	inc.UID = "uid"
	inc.Status.State = v1alpha1.IncidentOpen
	if kind == v1alpha1.TransitionResolved {
		inc.Status.State = v1alpha1.IncidentResolved
	}
	inc.Status.Transition = &v1alpha1.TransitionRecord{Kind: kind, Sequence: sequence}
	inc.Status.Deliveries = deliveries
	return inc
}

func delivery(sequence int64, kind v1alpha1.TransitionKind, state v1alpha1.DeliveryState) v1alpha1.Delivery {
	return v1alpha1.Delivery{Key: deliveryKey("uid", "oncall", sequence), Receiver: "oncall", Transition: kind, Sequence: sequence, State: state}
}

func TestPlan(t *testing.T) {
	open, update, resolve := v1alpha1.TransitionOpened, v1alpha1.TransitionUpdated, v1alpha1.TransitionResolved
	pending, delivered, claimed := v1alpha1.DeliveryPending, v1alpha1.DeliveryDelivered, v1alpha1.DeliveryClaimed
	superseded := v1alpha1.DeliverySuperseded
	// critical marks the change by which an incident became critical, and what tells of it.
	critical := func(inc *v1alpha1.Incident, sequence int64) *v1alpha1.Incident {
		inc.Status.CriticalSequence = sequence
		return inc
	}
	loud := func(d v1alpha1.Delivery) v1alpha1.Delivery {
		d.Details = []v1alpha1.TransitionDetail{v1alpha1.DetailBecameCritical}
		return d
	}
	for name, c := range map[string]struct {
		incident *v1alpha1.Incident
		outcome  decide.Outcome
		first    bool
		want     []v1alpha1.Delivery
	}{
		"a push tells its receivers": {changed(open, 1), push, true, []v1alpha1.Delivery{delivery(1, open, pending)}},
		"quiet tells nobody":         {changed(open, 1), quiet, true, nil},
		"nobody is told twice":       {changed(open, 1, delivery(1, open, delivered)), push, false, []v1alpha1.Delivery{delivery(1, open, delivered)}},
		"a change follows what was delivered": {changed(update, 2, delivery(1, open, delivered)), push, false,
			[]v1alpha1.Delivery{delivery(1, open, delivered), delivery(2, update, pending)}},
		"what never arrived is superseded, and the first message says opened": {changed(update, 2, delivery(1, open, pending)), push, false,
			[]v1alpha1.Delivery{delivery(1, open, superseded), delivery(2, open, pending)}},
		"an end before the first message is told as resolved": {changed(resolve, 2, delivery(1, open, pending)), push, false,
			[]v1alpha1.Delivery{delivery(1, open, superseded), delivery(2, resolve, pending)}},
		"what may have arrived is followed, not superseded": {changed(resolve, 2, delivery(1, open, claimed)), push, false,
			[]v1alpha1.Delivery{delivery(1, open, claimed), delivery(2, resolve, pending)}},
		"an incident that became quiet still ends where it was told": {changed(resolve, 2, delivery(1, open, delivered)), quiet, false,
			[]v1alpha1.Delivery{delivery(1, open, delivered), delivery(2, resolve, pending)}},
		"a mute time holds the end back": {changed(resolve, 2, delivery(1, open, delivered)), muted, false,
			[]v1alpha1.Delivery{delivery(1, open, delivered)}},
		"what is over when it is first seen is told":                {changed(resolve, 2), push, true, []v1alpha1.Delivery{delivery(2, resolve, pending)}},
		"a receiver added after the end hears nothing of it":        {changed(resolve, 2), push, false, nil},
		"a change that makes it worth a push is told as an opening": {changed(update, 3), push, false, []v1alpha1.Delivery{delivery(3, open, pending)}},
		"what became critical in a mute time is told so after it, though more has changed": {critical(changed(update, 3, delivery(1, open, delivered)), 2), push, false,
			[]v1alpha1.Delivery{delivery(1, open, delivered), loud(delivery(3, update, pending))}},
		"the news that it became critical is kept when a later change supersedes it": {critical(changed(update, 3, delivery(1, open, delivered), loud(delivery(2, update, pending))), 2), push, false,
			[]v1alpha1.Delivery{delivery(1, open, delivered), loud(delivery(2, update, superseded)), loud(delivery(3, update, pending))}},
		"that it became critical is told once": {critical(changed(update, 3, delivery(1, open, delivered), loud(delivery(2, update, delivered))), 2), push, false,
			[]v1alpha1.Delivery{delivery(1, open, delivered), loud(delivery(2, update, delivered)), delivery(3, update, pending)}},
	} {
		t.Run(name, func(t *testing.T) {
			plan(c.incident, c.outcome, []string{"oncall"}, c.first, noEnds)
			for i := range c.want {
				if c.want[i].State == v1alpha1.DeliveryPending && c.want[i].Sequence == c.incident.Status.Transition.Sequence {
					c.want[i].At = c.incident.Status.Transition.At.DeepCopy()
				}
			}
			assert.Equal(t, c.want, c.incident.Status.Deliveries)
		})
	}
}

func TestDue(t *testing.T) {
	later := noon.Add(time.Minute)
	for name, c := range map[string]struct {
		deliveries []v1alpha1.Delivery
		due        bool
		at         time.Time
	}{
		"a new one is due at once":    {[]v1alpha1.Delivery{{Receiver: "r", Sequence: 2, State: v1alpha1.DeliveryPending}}, true, time.Time{}},
		"a failed one waits its time": {[]v1alpha1.Delivery{{Receiver: "r", Sequence: 2, State: v1alpha1.DeliveryFailed, NextAttempt: microStamp(later)}}, true, later},
		"a claim holds to its end":    {[]v1alpha1.Delivery{{Receiver: "r", Sequence: 2, State: v1alpha1.DeliveryClaimed, Until: microStamp(later)}}, true, later},
		"one that was given up":       {[]v1alpha1.Delivery{{Receiver: "r", Sequence: 2, State: v1alpha1.DeliveryFailed}}, false, time.Time{}},
		"one behind an unknown one": {[]v1alpha1.Delivery{{Receiver: "r", Sequence: 2, State: v1alpha1.DeliveryPending},
			{Receiver: "r", Sequence: 1, State: v1alpha1.DeliveryUnknown, NextAttempt: microStamp(later)}}, false, time.Time{}},
		"one behind another receiver's": {[]v1alpha1.Delivery{{Receiver: "r", Sequence: 2, State: v1alpha1.DeliveryPending},
			{Receiver: "s", Sequence: 1, State: v1alpha1.DeliveryClaimed, Until: microStamp(later)}}, true, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			inc := changed(v1alpha1.TransitionOpened, 2, c.deliveries...)
			at, ok := due(inc, &inc.Status.Deliveries[0])
			assert.Equal(t, c.due, ok)
			assert.True(t, c.at.Equal(at), "%s, not %s", at, c.at)
		})
	}
}

func TestConclude(t *testing.T) {
	for name, c := range map[string]struct {
		before v1alpha1.DeliveryState
		result notify.Result
		want   v1alpha1.DeliveryState
		wait   time.Duration
	}{
		"delivered":                     {v1alpha1.DeliveryPending, notify.Result{Outcome: notify.Delivered, Head: notify.Ref{Channel: "C", ID: "1"}}, v1alpha1.DeliveryDelivered, 0},
		"to be tried again":             {v1alpha1.DeliveryPending, notify.Result{Outcome: notify.Retry}, v1alpha1.DeliveryPending, time.Second},
		"asked to wait":                 {v1alpha1.DeliveryPending, notify.Result{Outcome: notify.Retry, RetryAfter: 30 * time.Second}, v1alpha1.DeliveryPending, 30 * time.Second},
		"no answer":                     {v1alpha1.DeliveryPending, notify.Result{Outcome: notify.Unknown}, v1alpha1.DeliveryUnknown, time.Second},
		"refused":                       {v1alpha1.DeliveryPending, notify.Result{Outcome: notify.Refused}, v1alpha1.DeliveryFailed, refusedPause + refusedYield},
		"refused for what is in it":     {v1alpha1.DeliveryPending, notify.Result{Outcome: notify.Refused, OnlyThis: true}, v1alpha1.DeliveryFailed, refusedPause},
		"not taken after a lost answer": {v1alpha1.DeliveryUnknown, notify.Result{Outcome: notify.Retry}, v1alpha1.DeliveryUnknown, time.Second},
		"not taken after a lost claim":  {v1alpha1.DeliveryClaimed, notify.Result{Outcome: notify.Refused}, v1alpha1.DeliveryUnknown, refusedPause + refusedYield},
	} {
		t.Run(name, func(t *testing.T) {
			inc := changed(v1alpha1.TransitionOpened, 1, delivery(1, v1alpha1.TransitionOpened, c.before))
			d := &inc.Status.Deliveries[0]
			a := claim(d, "me", noon)
			assert.Equal(t, v1alpha1.DeliveryClaimed, d.State)
			require.True(t, conclude(inc, "me", result{attempt: a, Result: c.result, at: noon}, time.Second))
			assert.Equal(t, c.want, d.State)
			assert.Empty(t, d.Holder)
			if c.wait > 0 {
				assert.True(t, d.NextAttempt.Time.Equal(noon.Add(c.wait)))
			}
			assert.Equal(t, c.result.Head.ID, d.MessageID)
		})
	}
}

func TestConcludeLeavesAClaimThatIsNotItsOwn(t *testing.T) {
	inc := changed(v1alpha1.TransitionOpened, 1, delivery(1, v1alpha1.TransitionOpened, v1alpha1.DeliveryPending))
	d := &inc.Status.Deliveries[0]
	mine := claim(d, "me", noon)
	theirs := claim(d, "other", noon.Add(claimTime))
	assert.True(t, theirs.arrived)
	assert.False(t, conclude(inc, "me", result{attempt: mine, Result: notify.Result{Outcome: notify.Delivered}}, 0))
	later := claim(d, "me", noon.Add(2*claimTime))
	assert.False(t, conclude(inc, "me", result{attempt: mine, Result: notify.Result{Outcome: notify.Retry}}, 0), "an earlier claim's result")
	assert.True(t, conclude(inc, "me", result{attempt: later, Result: notify.Result{Outcome: notify.Delivered}}, 0))
}

func TestOnlyTheLastAttemptsAndDeliveriesAreKept(t *testing.T) {
	inc := changed(v1alpha1.TransitionOpened, 1, delivery(1, v1alpha1.TransitionOpened, v1alpha1.DeliveryPending))
	for range 8 {
		a := claim(&inc.Status.Deliveries[0], "me", noon)
		conclude(inc, "me", result{attempt: a, Result: notify.Result{Outcome: notify.Retry, Word: "Timeout"}}, 0)
	}
	assert.Len(t, inc.Status.Deliveries[0].Attempts, maxAttempts)
	assert.EqualValues(t, 8, inc.Status.Deliveries[0].AttemptCount)

	head := delivery(1, v1alpha1.TransitionOpened, v1alpha1.DeliveryDelivered)
	head.MessageID = "1.2"
	inc.Status.Deliveries = []v1alpha1.Delivery{head}
	for n := range int64(10) {
		inc.Status.Deliveries = append(inc.Status.Deliveries, delivery(n+2, v1alpha1.TransitionUpdated, v1alpha1.DeliverySuperseded))
	}
	inc.Status.Deliveries = append(inc.Status.Deliveries, delivery(12, v1alpha1.TransitionResolved, v1alpha1.DeliveryPending))
	prune(inc)
	assert.Len(t, inc.Status.Deliveries, keptDeliveries+2)
	assert.Equal(t, "1.2", headOf(inc, "oncall").ID)
}

// TestAnIncidentStaysWithinItsSchemaWithEveryReceiverThatThereCanBe tells all of them of change after change.
func TestAnIncidentStaysWithinItsSchemaWithEveryReceiverThatThereCanBe(t *testing.T) {
	pending, delivered, unknown := v1alpha1.DeliveryPending, v1alpha1.DeliveryDelivered, v1alpha1.DeliveryUnknown
	for name, c := range map[string]struct {
		own, teams int
		// states are those that the deliveries of one change after the other end in.
		states []v1alpha1.DeliveryState
		most   int
		// lost: the heads of teams don't fit in.
		lost bool
	}{
		"few receivers keep their last ones":       {2, 3, slices.Repeat([]v1alpha1.DeliveryState{delivered}, 6), 5 * keptDeliveries, false},
		"eight full routes":                        {1, 64, slices.Repeat([]v1alpha1.DeliveryState{delivered}, 6), fullDeliveries, false},
		"eight full routes, and nobody takes more": {1, 64, []v1alpha1.DeliveryState{delivered, delivered, delivered, pending, pending, pending}, 130, false},
		"as many of the KubeBot":                   {32, 64, []v1alpha1.DeliveryState{delivered, delivered, delivered, pending, pending}, 192, false},
		"answers are lost besides":                 {32, 64, []v1alpha1.DeliveryState{delivered, delivered, unknown, pending, pending}, maxDeliveries, true},
	} {
		t.Run(name, func(t *testing.T) {
			var receivers []string
			for i := range c.own {
				receivers = append(receivers, fmt.Sprint("own-", i))
			}
			for i := range c.teams {
				receivers = append(receivers, fmt.Sprintf("shop/route-%d/r-%d", i/8, i%8))
			}
			inc := changed(v1alpha1.TransitionOpened, 0)
			out := decide.Outcome{Decision: push.Decision, Receivers: receivers}
			for i, state := range c.states {
				inc.Status.Transition.Sequence++
				plan(inc, out, receivers, false, noEnds)
				for j := range inc.Status.Deliveries {
					if d := &inc.Status.Deliveries[j]; d.Sequence == int64(i+1) {
						if d.State = state; state == delivered {
							d.Channel, d.MessageID = "C", fmt.Sprint("head of ", d.Receiver)
						}
					}
				}
				prune(inc)
				require.LessOrEqual(t, len(inc.Status.Deliveries), maxDeliveries)
			}
			assert.LessOrEqual(t, len(inc.Status.Deliveries), c.most)
			again := inc.DeepCopy()
			prune(again)
			assert.Equal(t, inc, again, "replicas agree")
			for _, r := range receivers {
				_, sequence := history(inc, r)
				assert.EqualValues(t, len(c.states), sequence, "%s is told of the last change once", r)
				if !c.lost || !decide.OfTeam(r) {
					assert.Equal(t, "head of "+r, headOf(inc, r).ID)
				}
			}
		})
	}
}

func TestWhatWaitsForItsDigestIsNotGivenUpBeforeIt(t *testing.T) {
	end, week := stamp(noon), noon.Add(7*24*time.Hour)
	inc := inDigest("a", v1alpha1.DeliveryPending, func(d *v1alpha1.Delivery) { d.NextAttempt = microStamp(week) })
	inc.Status.ResolvedAt = &end
	expire(inc, []string{"oncall"}, week)
	assert.Equal(t, v1alpha1.DeliveryPending, inc.Status.Deliveries[0].State)
	expire(inc, []string{"oncall"}, week.Add(giveUpAfter))
	assert.Equal(t, v1alpha1.DeliveryFailed, inc.Status.Deliveries[0].State)
}

func TestWhatCannotBeDeliveredIsGivenUpADayAfterTheEnd(t *testing.T) {
	end := stamp(noon)
	inc := changed(v1alpha1.TransitionResolved, 2, delivery(2, v1alpha1.TransitionResolved, v1alpha1.DeliveryPending))
	inc.Status.ResolvedAt = &end
	expire(inc, []string{"oncall"}, noon.Add(giveUpAfter))
	assert.Equal(t, v1alpha1.DeliveryPending, inc.Status.Deliveries[0].State)
	expire(inc, []string{"oncall"}, noon.Add(giveUpAfter+time.Second))
	assert.False(t, waits(&inc.Status.Deliveries[0]))
}

func TestBackoffGrowsToAMinute(t *testing.T) {
	assert.Equal(t, time.Second, backoffAfter(0, 1))
	assert.Equal(t, 32*time.Second, backoffAfter(5, 1))
	assert.Equal(t, time.Minute, backoffAfter(100, 1))
	assert.Equal(t, 800*time.Millisecond, backoffAfter(0, 0))
}

func TestGate(t *testing.T) {
	g := newGate()
	for range inFlight {
		require.True(t, g.enter("a", noon))
	}
	assert.False(t, g.enter("b", noon), "no place is left")
	assert.Equal(t, []string{"b"}, g.leave(notify.Result{Outcome: notify.Delivered}, noon), "who waited goes on")
	g.leave(notify.Result{Outcome: notify.Retry, RetryAfter: 20 * time.Second}, noon)
	assert.False(t, g.enter("c", noon.Add(19*time.Second)), "the receiver asked to wait")
	assert.Empty(t, g.tick(noon.Add(19*time.Second)))
	assert.Equal(t, []string{"c"}, g.tick(noon.Add(20*time.Second)))
	g.leave(notify.Result{Outcome: notify.Refused, OnlyThis: true}, noon.Add(20*time.Second))
	assert.True(t, g.enter("c", noon.Add(20*time.Second)), "a message that is refused for what is in it closes nothing")
	for range 10 {
		g.failures++
	}
	g.flying = 0
	assert.True(t, g.enter("d", noon.Add(time.Minute)))
	assert.False(t, g.enter("e", noon.Add(time.Minute)), "a receiver that fails is probed by one call")
}

// noEnds tells nobody of the end of what a digest told of.
func noEnds(string, notify.Ref) ending { return ending{} }
