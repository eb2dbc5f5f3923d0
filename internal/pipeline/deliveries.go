package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
)

const (
	// callTime is the deadline of one call to a receiver. It ends well before the claim, so that the answer can be
	// written while the claim holds.
	callTime = 10 * time.Second
	// claimTime is how long a claim holds.
	claimTime = callTime + 15*time.Second
	// refusedPause is how long nothing is sent to a receiver that refuses: a person must change something first.
	refusedPause = time.Minute
	// refusedYield is how long after that the delivery that was refused lets others go first, so that one that a receiver
	// refuses as if it refused all of them does not hold up the others for good.
	refusedYield = 5 * time.Second
	// maxRefusedPause between attempts of a message that is refused for what is in it.
	maxRefusedPause = 15 * time.Minute
	// maxBackoff between attempts.
	maxBackoff = time.Minute
	// giveUpAfter is how long after its end an Incident's messages are still tried.
	giveUpAfter = 24 * time.Hour
	// removedAfter is how long a receiver must be gone from the configuration: replicas with the old and the new one run
	// side by side while it is rolled out.
	removedAfter = time.Hour
	// keptDeliveries per receiver that are done; older ones are dropped.
	keptDeliveries = 3
	// fullDeliveries is the number up to which those are kept. Above it, only what waits and the last of each receiver is.
	fullDeliveries = 128
	// maxDeliveries of an Incident, as its schema has it.
	maxDeliveries = 256
	// maxAttempts kept per delivery, and fewer once an Incident has many deliveries.
	maxAttempts = 5
	// manyDeliveries is the number from which on one attempt each is kept.
	manyDeliveries = 16
)

// plan makes the deliveries that the decision and the current transition ask for.
//
// Each receiver is told the current transition once. Earlier ones that surely did not arrive are superseded: the later
// message says more. So a receiver that never heard of an Incident is told of it as opened, or, if that is over, as
// already resolved.
//
// ends says which digest tells a receiver of the end of what a digest told of, and when.
func plan(inc *v1alpha1.Incident, out decide.Outcome, receivers []string, first bool, ends func(receiver string, head notify.Ref) ending) {
	t := inc.Status.Transition
	if t == nil {
		return
	}
	over := inc.Status.State == v1alpha1.IncidentResolved || inc.Status.State == v1alpha1.IncidentClosed
	add := func(receiver string, kind v1alpha1.TransitionKind) *v1alpha1.Delivery {
		inc.Status.Deliveries = append(inc.Status.Deliveries, v1alpha1.Delivery{
			Key:        deliveryKey(inc.UID, receiver, t.Sequence),
			Receiver:   receiver,
			Transition: kind,
			Sequence:   t.Sequence,
			Text:       t.Text,
			Details:    slices.Clone(t.Details),
			At:         t.At.DeepCopy(),
			State:      v1alpha1.DeliveryPending,
		})
		return &inc.Status.Deliveries[len(inc.Status.Deliveries)-1]
	}
	if part(inc, out) {
		for _, receiver := range receivers {
			if told, _ := history(inc, receiver); !told && !slices.Contains(out.Receivers, receiver) && !digested(inc, receiver) {
				supersede(inc, receiver) // it is told of what this is part of
			}
		}
	}
	for _, receiver := range targets(inc, out, receivers) {
		told, sequence := history(inc, receiver)
		if sequence >= t.Sequence || sequence == 0 && over && !first {
			continue
		}
		left := supersede(inc, receiver)
		kind := t.Kind
		if !told && kind != v1alpha1.TransitionResolved {
			kind = v1alpha1.TransitionOpened
		}
		d := add(receiver, kind)
		if told && toldUntil(inc, receiver) < inc.Status.CriticalSequence {
			left = append(left, v1alpha1.DetailBecameCritical)
		}
		for _, detail := range left {
			if !slices.Contains(d.Details, detail) {
				d.Details = append(d.Details, detail)
			}
		}
	}
	for _, receiver := range out.Bundle {
		if _, sequence := history(inc, receiver); sequence > 0 || over && !first || !slices.Contains(receivers, receiver) {
			continue // the digest that tells of it shows it as it stands then
		}
		d := add(receiver, v1alpha1.TransitionOpened)
		d.Digest, d.NextAttempt = digestKey(inc.Spec.KubeBot, inc.Namespace, receiver, out.Digest), microStamp(out.Digest)
	}
	follow(inc, out, ends, add)
}

// part tells whether an Incident is told of as part of another one, but to a team that is not told of that.
func part(inc *v1alpha1.Incident, out decide.Outcome) bool {
	return out.Reason == decide.ReasonDuplicate || out.Reason == decide.ReasonTeam && inc.Status.DuplicateOf != ""
}

// targets returns who is to hear of the current transition by a message of its own: the receivers of a push, and whoever
// was promised or holds an earlier such message, unless a mute time holds. Only configured receivers count.
func targets(inc *v1alpha1.Incident, out decide.Outcome, receivers []string) []string {
	var list []string
	if out.Verdict == v1alpha1.VerdictNotify {
		list = slices.Clone(out.Receivers)
	}
	if part(inc, out) {
		return slices.DeleteFunc(slices.Clone(receivers), func(r string) bool {
			told, _ := history(inc, r)
			return !told && !slices.Contains(list, r)
		})
	}
	if out.Reason != decide.ReasonMuted {
		for _, d := range inc.Status.Deliveries {
			mutedToo := out.Reason == decide.ReasonTeamAlone && !decide.OfTeam(d.Receiver)
			if d.Digest == "" && !mutedToo && !slices.Contains(list, d.Receiver) {
				list = append(list, d.Receiver)
			}
		}
	}
	return slices.DeleteFunc(list, func(r string) bool { return !slices.Contains(receivers, r) })
}

// history tells whether a receiver holds, or may hold, a message of the Incident's own, and the last sequence planned for it.
func history(inc *v1alpha1.Incident, receiver string) (told bool, sequence int64) {
	for _, d := range inc.Status.Deliveries {
		if d.Receiver != receiver {
			continue
		}
		sequence = max(sequence, d.Sequence)
		told = told || mayHold(d) && d.Digest == ""
	}
	return told, sequence
}

// toldUntil returns the last sequence that a receiver was told of, or may have been.
func toldUntil(inc *v1alpha1.Incident, receiver string) (sequence int64) {
	for _, d := range inc.Status.Deliveries {
		if d.Receiver == receiver && mayHold(d) && d.Digest == "" {
			sequence = max(sequence, d.Sequence)
		}
	}
	return sequence
}

func mayHold(d v1alpha1.Delivery) bool {
	switch d.State {
	case v1alpha1.DeliveryDelivered, v1alpha1.DeliveryUnknown, v1alpha1.DeliveryClaimed:
		return true
	}
	return false
}

// supersede marks the deliveries of a receiver that surely did not arrive, and returns the details that they had told.
func supersede(inc *v1alpha1.Incident, receiver string) []v1alpha1.TransitionDetail {
	var details []v1alpha1.TransitionDetail
	for i := range inc.Status.Deliveries {
		d := &inc.Status.Deliveries[i]
		if d.Receiver == receiver && (d.State == v1alpha1.DeliveryPending || d.State == v1alpha1.DeliveryFailed) {
			d.State, d.NextAttempt = v1alpha1.DeliverySuperseded, nil
			details = append(details, d.Details...)
		}
	}
	return details
}

// due returns when a delivery can be claimed; false for never. A delivery waits for the earlier ones of its receiver; one
// of a digest is claimed with the others of the digest.
func due(inc *v1alpha1.Incident, d *v1alpha1.Delivery) (time.Time, bool) {
	if d.Digest != "" {
		return time.Time{}, false
	}
	for i := range inc.Status.Deliveries {
		e := &inc.Status.Deliveries[i]
		if e.Receiver == d.Receiver && e.Sequence < d.Sequence && waits(e) {
			return time.Time{}, false
		}
	}
	switch {
	case !waits(d):
		return time.Time{}, false
	case d.State == v1alpha1.DeliveryClaimed && d.Until != nil:
		return d.Until.Time, true
	case d.NextAttempt != nil:
		return d.NextAttempt.Time, true
	}
	return time.Time{}, true
}

// waits tells whether a delivery is still to be made.
func waits(d *v1alpha1.Delivery) bool {
	return d.State != v1alpha1.DeliveryDelivered && d.State != v1alpha1.DeliverySuperseded &&
		(d.State != v1alpha1.DeliveryFailed || d.NextAttempt != nil)
}

// attempt is a claimed delivery that is to be sent.
type attempt struct {
	key, receiver string
	// to is the receiver with the place that was taken at its gate, although it may be gone meanwhile; nil in digests.
	to *receiver
	// until is the end of the claim, which tells it from other claims of the same delivery.
	until time.Time
	// arrived: an earlier attempt may have arrived.
	arrived bool
}

// claim takes a delivery for a holder. An expired claim and an unknown answer may have arrived.
func claim(d *v1alpha1.Delivery, holder string, now time.Time) attempt {
	a := attempt{key: d.Key, receiver: d.Receiver}
	a.arrived = d.State == v1alpha1.DeliveryClaimed || d.State == v1alpha1.DeliveryUnknown
	d.State, d.Holder, d.Until, d.NextAttempt = v1alpha1.DeliveryClaimed, holder, microStamp(now.Add(claimTime)), nil
	a.until = d.Until.Time
	return a
}

// result is how an attempt ended; released attempts were not begun.
type result struct {
	attempt
	incident string
	notify.Result
	released bool
	at       time.Time
}

// conclude writes the result of an attempt into its delivery, if this holder still has it. It tells whether it had.
func conclude(inc *v1alpha1.Incident, holder string, r result, backoff time.Duration) bool {
	i := slices.IndexFunc(inc.Status.Deliveries, func(d v1alpha1.Delivery) bool { return d.Key == r.key })
	if i < 0 {
		return false
	}
	d := &inc.Status.Deliveries[i]
	if d.State != v1alpha1.DeliveryClaimed || d.Holder != holder || d.Until == nil || !d.Until.Time.Equal(r.until) {
		return false
	}
	d.Holder, d.Until = "", nil
	if r.released {
		d.State = notArrived(r, v1alpha1.DeliveryPending)
		return true
	}
	wait := max(backoff, r.RetryAfter)
	if r.Outcome == notify.Refused {
		wait = refusedAfter(d.AttemptCount, r.OnlyThis)
	}
	d.AttemptCount++
	d.Attempts = append(d.Attempts, v1alpha1.Attempt{At: *microStamp(r.at), Result: cut(r.Word, 63), Message: cut(r.Detail, 160)})
	if n := len(d.Attempts); n > maxAttempts {
		d.Attempts = slices.Clone(d.Attempts[n-maxAttempts:])
	}
	if r.BodySHA256 != "" {
		d.BodySHA256 = cut(r.BodySHA256, 64)
	}
	if r.PossibleDuplicate != "" {
		d.PossibleDuplicate = cut(r.PossibleDuplicate, 256)
	}
	switch r.Outcome {
	case notify.Delivered:
		d.State, d.DeliveredAt = v1alpha1.DeliveryDelivered, microStamp(r.at)
		d.Channel, d.MessageID = cut(r.Head.Channel, 64), cut(r.Head.ID, 64)
	case notify.Refused:
		d.State, d.NextAttempt = notArrived(r, v1alpha1.DeliveryFailed), microStamp(r.at.Add(wait))
	case notify.Retry:
		d.State, d.NextAttempt = notArrived(r, v1alpha1.DeliveryPending), microStamp(r.at.Add(wait))
	default:
		d.State, d.NextAttempt = v1alpha1.DeliveryUnknown, microStamp(r.at.Add(wait))
	}
	return true
}

// notArrived returns the state after an attempt that surely did not arrive: it stays unknown if an earlier one may have.
func notArrived(r result, state v1alpha1.DeliveryState) v1alpha1.DeliveryState {
	if r.arrived {
		return v1alpha1.DeliveryUnknown
	}
	return state
}

// refusedAfter returns the wait of a delivery that was refused after n earlier attempts. One that is refused for what is in
// it waits a minute, doubled each time up to maxRefusedPause; where the receiver refuses, its gate is closed meanwhile.
func refusedAfter(n int64, onlyThis bool) time.Duration {
	if !onlyThis {
		return refusedPause + refusedYield
	}
	return min(refusedPause<<min(max(n, 0), 8), maxRefusedPause)
}

// backoffAfter returns the wait after n failed attempts: 1 s, doubled each time up to a minute, and scattered by up to
// a fifth by scatter in 0..1, so that replicas and Incidents do not try in step.
func backoffAfter(n int64, scatter float64) time.Duration {
	wait := maxBackoff
	if n < 6 {
		wait = time.Second << max(n, 0)
	}
	return time.Duration(float64(wait) * (0.8 + 0.2*scatter))
}

// expire gives up on deliveries of an Incident that ended long ago, and on receivers that are no longer configured.
func expire(inc *v1alpha1.Incident, receivers []string, now time.Time) {
	late := inc.Status.ResolvedAt != nil && now.After(inc.Status.ResolvedAt.Add(giveUpAfter))
	old := inc.Status.Transition != nil && now.After(inc.Status.Transition.At.Add(removedAfter))
	for i := range inc.Status.Deliveries {
		d := &inc.Status.Deliveries[i]
		gone := old && !slices.Contains(receivers, d.Receiver)
		// A digest may come once a week.
		over := late && !(gathers(d) && d.NextAttempt != nil && now.Before(d.NextAttempt.Add(giveUpAfter)))
		if !waits(d) || !over && !gone || d.State == v1alpha1.DeliveryClaimed && d.Until != nil && now.Before(d.Until.Time) {
			continue
		}
		word := "GivenUp"
		if gone {
			word = "ReceiverRemoved"
		}
		d.State, d.NextAttempt, d.Holder, d.Until = v1alpha1.DeliveryFailed, nil, "", nil
		d.Attempts = append(d.Attempts, v1alpha1.Attempt{At: *microStamp(now), Result: word})
		if n := len(d.Attempts); n > maxAttempts {
			d.Attempts = slices.Clone(d.Attempts[n-maxAttempts:])
		}
	}
}

// prune drops old deliveries: per receiver the last ones stay, and always those that wait and the last delivered one,
// which names the receiver's message. With many receivers nothing else stays but the newest of each, which says what it was
// told of. Where even that is more than an Incident takes, those of teams go first: a team can't silence others.
func prune(inc *v1alpha1.Incident) {
	all := inc.Status.Deliveries
	ranks := rank(all)
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	ofTeam := func(i int) int {
		if decide.OfTeam(all[i].Receiver) {
			return 1
		}
		return 0
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(ranks[a]-ranks[b], ofTeam(a)-ofTeam(b), b-a) })
	kept := order[:0:0]
	for _, i := range order {
		if ranks[i] <= rankLast && len(kept) < maxDeliveries || ranks[i] <= keptDeliveries && len(kept) < fullDeliveries {
			kept = append(kept, i)
		}
	}
	slices.Sort(kept)
	list := make([]v1alpha1.Delivery, 0, len(kept))
	for _, i := range kept {
		d := all[i]
		if n := len(d.Attempts); n > 1 && len(kept) > manyDeliveries {
			d.Attempts = slices.Clone(d.Attempts[n-1:])
		}
		list = append(list, d)
	}
	inc.Status.Deliveries = list
}

// Ranks of deliveries: those that wait, then of each receiver the newest and the last delivered one. An older one's is its
// place among those of its receiver that are done.
const (
	rankWaits = 0
	rankLast  = 1
)

// rank says how much each delivery matters, the least number the most.
func rank(all []v1alpha1.Delivery) []int {
	ranks := make([]int, len(all))
	newer, headKept, done := map[string]bool{}, map[string]bool{}, map[string]int{}
	for i := len(all) - 1; i >= 0; i-- {
		d := &all[i]
		head := d.State == v1alpha1.DeliveryDelivered && !headKept[d.Receiver]
		if !waits(d) {
			done[d.Receiver]++
		}
		switch {
		case waits(d):
			ranks[i] = rankWaits
		case head || !newer[d.Receiver]:
			ranks[i] = rankLast
		default:
			ranks[i] = max(done[d.Receiver], rankLast+1)
		}
		newer[d.Receiver], headKept[d.Receiver] = true, headKept[d.Receiver] || head
	}
	return ranks
}

// headOf returns the message that a receiver holds of an Incident, zero for none.
func headOf(inc *v1alpha1.Incident, receiver string) notify.Ref {
	if inc == nil {
		return notify.Ref{}
	}
	for i := len(inc.Status.Deliveries) - 1; i >= 0; i-- {
		if d := &inc.Status.Deliveries[i]; d.Receiver == receiver && d.MessageID != "" && d.Digest == "" {
			return notify.Ref{Channel: d.Channel, ID: d.MessageID}
		}
	}
	return notify.Ref{}
}

// summary sums up the last delivery of each receiver, such as oncall:Delivered.
func summary(inc *v1alpha1.Incident) string {
	last := map[string]string{}
	var order []string
	for i := range inc.Status.Deliveries {
		d := &inc.Status.Deliveries[i]
		if _, ok := last[d.Receiver]; !ok {
			order = append(order, d.Receiver)
		}
		if last[d.Receiver] = string(d.State); gathers(d) {
			last[d.Receiver] = "InDigest"
		}
	}
	slices.Sort(order)
	parts := make([]string, len(order))
	for i, receiver := range order {
		parts[i] = fmt.Sprintf("%s:%s", receiver, last[receiver])
	}
	return cut(strings.Join(parts, ","), 1024)
}
