package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
)

const (
	// settleTime is how long after a digest is due it is sent: until then what other replicas have put into it is seen.
	settleTime = 2 * time.Second
	// maxDigest is how many Incidents one digest tells of; further ones go into the next. The names of all are in the
	// message's metadata, of which Slack takes some KiB.
	maxDigest = 150
	// digestClaim is how long a claim of a digest holds; it has to be written into each of its Incidents first.
	digestClaim = time.Minute
	// claimsAtOnce are the writes that claim a digest at a time, and claimingTime how long that may take.
	claimsAtOnce = 8
	claimingTime = 20 * time.Second
)

// A digest is one message that tells a receiver of several Incidents. Which Incidents it has is in these: each holds a
// delivery with the digest's key. Whoever sends it claims each of the deliveries first, the first of them before the
// others so that two that try do not both go on, then sends, then writes the result into each. So a replica that dies is
// followed by another one that finds the same key: before it sends again it looks whether the message is there. What is
// surely in no message when a digest has gone out goes into another one. So does what is put in once it was tried: receivers
// know a message by its key, and must not take one that tells of more for one that they have.

// digests are those that this replica sends now.
type digests struct {
	mu   sync.Mutex
	busy map[string]bool
}

func (d *digests) begin(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy == nil {
		d.busy = map[string]bool{}
	}
	if d.busy[key] {
		return false
	}
	d.busy[key] = true
	return true
}

func (d *digests) end(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, key)
}

// gathers tells whether a delivery waits for its digest to become due.
func gathers(d *v1alpha1.Delivery) bool {
	return d.Digest != "" && d.State == v1alpha1.DeliveryPending && d.AttemptCount == 0
}

// unsent tells whether a delivery of a digest is surely in no message yet.
func unsent(d *v1alpha1.Delivery) bool {
	return d.Digest != "" && waits(d) && (d.State == v1alpha1.DeliveryPending || d.State == v1alpha1.DeliveryFailed)
}

// member is an Incident's delivery in a digest.
type member struct {
	incident *v1alpha1.Incident
	delivery v1alpha1.Delivery
}

// digest is what the Incidents say of one.
type digest struct {
	key, receiver string
	// send are the members that a message is to tell of, told those that an earlier one did, tried those of an attempt that
	// surely did not arrive, and late those that go into another digest.
	send, told, tried, late []member
	// sent: a message may be there already.
	sent bool
	// at is when it can be sent.
	at time.Time
}

// digestsOf returns the digests that wait to be sent and that nobody holds, by key.
func digestsOf(incidents []*v1alpha1.Incident, now time.Time) []digest {
	found, held := map[string]*digest{}, map[string]bool{}
	for _, inc := range incidents {
		for i := range inc.Status.Deliveries {
			d := &inc.Status.Deliveries[i]
			if d.Digest == "" || d.State == v1alpha1.DeliverySuperseded {
				continue
			}
			g := found[d.Digest]
			if g == nil {
				g = &digest{key: d.Digest, receiver: d.Receiver, at: now}
				found[d.Digest] = g
			}
			g.add(member{inc, *d})
			held[d.Digest] = held[d.Digest] || d.State == v1alpha1.DeliveryClaimed && d.Until != nil && now.Before(d.Until.Time)
		}
	}
	var list []digest
	for key, g := range found {
		if g.close(); !held[key] && (len(g.send) > 0 || len(g.late) > 0) {
			list = append(list, *g)
		}
	}
	slices.SortFunc(list, func(a, b digest) int { return cmp.Compare(a.key, b.key) })
	return list
}

// add sorts a member in. That of an expired claim may have been told of.
func (g *digest) add(m member) {
	d := &m.delivery
	switch {
	case d.State == v1alpha1.DeliveryDelivered:
		g.told, g.sent = append(g.told, m), true
	case !waits(d):
	case gathers(d):
		g.late = append(g.late, m)
	case unsent(d):
		g.tried = append(g.tried, m)
	default:
		g.send, g.sent = append(g.send, m), true
	}
}

// close decides about the members that are in no message yet: those that were tried are sent again, by themselves; without
// such they are a digest that was not sent.
func (g *digest) close() {
	switch {
	case g.sent:
		g.late = append(g.late, g.tried...)
	case len(g.tried) > 0:
		g.send = g.tried
	default:
		g.send, g.late = g.late, nil
	}
	for _, m := range g.send {
		wait := time.Duration(0)
		if gathers(&m.delivery) {
			wait = settleTime
		}
		if at := m.delivery.NextAttempt; at != nil && at.Add(wait).After(g.at) {
			g.at = at.Add(wait)
		}
	}
	for _, list := range [][]member{g.send, g.told} {
		slices.SortFunc(list, func(a, b member) int { return worse(a.incident, b.incident) })
	}
	if len(g.send) > maxDigest && !g.sent {
		g.send = g.send[:maxDigest] // once these are told the others are late
	}
}

// worse orders Incidents: the most severe first, open before over, then the oldest.
func worse(a, b *v1alpha1.Incident) int {
	over := func(inc *v1alpha1.Incident) int {
		if inc.Status.State == v1alpha1.IncidentResolved || inc.Status.State == v1alpha1.IncidentClosed {
			return 1
		}
		return 0
	}
	return cmp.Or(alert.Rank(b.Status.Severity)-alert.Rank(a.Status.Severity), over(a)-over(b),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// sendDigests sends the digests that are due, if it is on this replica to do so.
func (p *Pipeline) sendDigests() {
	if p.Leader != nil && !p.Leader.Holds() || !p.index.WaitForDigest() {
		return
	}
	now := p.Now()
	for _, g := range digestsOf(p.index.All(), now) {
		r, ok := p.active(g.receiver)
		due := len(g.send) > 0 && !g.at.After(now)
		if !ok || !due && len(g.late) == 0 || !p.digests.begin(g.key) {
			continue
		}
		p.sendMu.Lock()
		stopping := p.stopping.Load()
		if !stopping {
			p.sends.Add(1)
		}
		p.sendMu.Unlock()
		if stopping {
			p.digests.end(g.key)
			return
		}
		go func() {
			defer p.sends.Done()
			defer p.digests.end(g.key)
			p.postpone(g.late)
			if due && r.gate.enter("digest/"+g.key, now) {
				p.sendDigest(r, g)
			}
		}()
	}
}

// postpone moves members into the next digest; what tells of an end, into the next edit or the next digest of what can wait.
func (p *Pipeline) postpone(late []member) {
	for _, m := range late {
		now := p.Now()
		_, err := p.change(m, func(inc *v1alpha1.Incident, d *v1alpha1.Delivery) bool {
			if !unsent(d) {
				return false
			}
			due := decide.StormTime(now)
			key := digestKey(inc.Spec.KubeBot, inc.Namespace, d.Receiver, due)
			if follows(d) {
				e := p.ends(inc, now)(d.Receiver, digestHead(inc, d.Receiver))
				if key, due = e.key, e.due; key == "" {
					d.State, d.NextAttempt = v1alpha1.DeliverySuperseded, nil
					return true
				}
			}
			d.Digest, d.NextAttempt = key, microStamp(due)
			d.State, d.AttemptCount, d.BodySHA256 = v1alpha1.DeliveryPending, 0, "" // of that message
			return true
		})
		if err != nil {
			p.Log.Error(err, "Incident was not moved into the next digest and is tried again", "incident", ref(m.incident))
		}
	}
}

// sendDigest claims, sends and concludes; the place at the gate is given back.
func (p *Pipeline) sendDigest(r *receiver, g digest) {
	claims := p.onlyOf(g, p.claimDigest(g))
	if len(claims) == 0 {
		p.wake(r.gate.cancel())
		return
	}
	head, all := p.edited(g)
	msg := digestMessage(g, claims, head, all)
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	res := call(ctx, r.Sink, msg)
	now := p.Now()
	p.Metrics.deliveries.WithLabelValues(r.Type, string(res.Outcome)).Inc()
	if res.Outcome == notify.Delivered {
		p.Metrics.bundled.WithLabelValues(r.Type).Add(float64(opening(claims)))
	}
	p.Log.Info("Digest was sent", "receiver", g.receiver, "incidents", len(claims), "outcome", res.Outcome, "result", res.Word)
	for _, c := range claims {
		p.conclude(c.incident, result{attempt: c.attempt, Result: res, at: now})
	}
	p.wake(r.gate.leave(res, now))
}

// onlyOf gives back the claims of members that surely are in no message, where one with the digest's key may be there: it does
// not name them.
func (p *Pipeline) onlyOf(g digest, claims []claimed) []claimed {
	if !g.sent && !slices.ContainsFunc(claims, func(c claimed) bool { return c.attempt.arrived }) {
		return claims
	}
	return slices.DeleteFunc(claims, func(c claimed) bool {
		if !c.attempt.arrived {
			p.conclude(c.incident, result{attempt: c.attempt, released: true, at: p.Now()})
		}
		return !c.attempt.arrived
	})
}

// opening counts the members that are told of for the first time.
func opening(claims []claimed) int {
	n := 0
	for _, c := range claims {
		if !follows(&c.delivery) {
			n++
		}
	}
	return n
}

// claimed is a member that this replica holds, or may hold.
type claimed struct {
	member
	attempt attempt
}

// claimDigest claims the members of a digest; none if another replica is at it, or if it took too long. What may have been
// claimed counts: a line too many is better than one that nobody tells.
func (p *Pipeline) claimDigest(g digest) []claimed {
	began := p.Now()
	first, sure := p.claimMember(g.send[0])
	if !sure {
		return nil
	}
	claims := make([]*claimed, len(g.send))
	claims[0] = first
	var working sync.WaitGroup
	places := make(chan struct{}, claimsAtOnce)
	for i := range g.send[1:] {
		places <- struct{}{}
		working.Go(func() {
			claims[i+1], _ = p.claimMember(g.send[i+1])
			<-places
		})
	}
	working.Wait()
	var list []claimed
	for _, c := range claims {
		if c != nil {
			list = append(list, *c)
		}
	}
	if now := p.Now(); now.Sub(began) > claimingTime {
		for _, c := range list {
			p.conclude(c.incident, result{attempt: c.attempt, released: true, at: now})
		}
		return nil
	}
	return list
}

// claimMember claims one delivery; nil if it is no longer there to be claimed. sure is false where the answer was lost.
func (p *Pipeline) claimMember(m member) (c *claimed, sure bool) {
	var a attempt
	taken := false
	written, err := p.change(m, func(inc *v1alpha1.Incident, d *v1alpha1.Delivery) bool {
		now := p.Now()
		if taken = waits(d) && d.Digest == m.delivery.Digest && (d.State != v1alpha1.DeliveryClaimed || d.Until == nil || !now.Before(d.Until.Time)); !taken {
			return false
		}
		a = claim(d, p.Replica, now)
		d.Until = microStamp(now.Add(digestClaim))
		a.until = d.Until.Time
		d.Sequence = max(d.Sequence, sequenceOf(inc)) // it is shown as it stands
		return true
	})
	if !taken || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil, false
	}
	if err != nil {
		p.Log.Error(err, "Whether a digest's Incident was claimed is not known", "incident", ref(m.incident))
		return &claimed{m, a}, false
	}
	return &claimed{member{written, m.delivery}, a}, true
}

// change writes a change of a member's delivery by compare-and-swap, again where others wrote in between; edit tells
// whether there is anything to write.
func (p *Pipeline) change(m member, edit func(*v1alpha1.Incident, *v1alpha1.Delivery) bool) (*v1alpha1.Incident, error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	inc := m.incident
	if known := p.index.Get(inc.Name); known != nil && known.UID == inc.UID {
		inc = known
	}
	var err error
	for range maxConflicts {
		out := inc.DeepCopy()
		i := slices.IndexFunc(out.Status.Deliveries, func(d v1alpha1.Delivery) bool { return d.Key == m.delivery.Key })
		if i < 0 || !edit(out, &out.Status.Deliveries[i]) {
			return inc, nil
		}
		out.Status.Receivers = summary(out)
		err = p.Client.Status().Update(ctx, out)
		p.count("update", err)
		if err == nil {
			p.wrote(out)
			return out, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, fmt.Errorf("update Incident %s: %w", inc.Name, err)
		}
		live, readErr := p.refresh(ctx, inc.Name)
		if readErr != nil {
			return nil, readErr
		}
		inc = live
	}
	return nil, err
}
