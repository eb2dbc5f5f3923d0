package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
)

// Who was told of an Incident by a digest alone hears of its end and its return without another push. Where a message can
// be edited, the digest's is, and shows each of its Incidents as it stands then: at whole minutes, so that many ends are
// one edit. Elsewhere the next digest of what can wait tells of the end. Such a delivery belongs to a digest of its own
// key, or to that next digest, and is claimed and sent as the others are.

// editEvery is how often at most a digest's message is edited.
const editEvery = time.Minute

// ending is where the end of what a digest told is told: the digest's key, when it is due, and whether it is an edit. The
// zero value is nowhere.
type ending struct {
	key  string
	due  time.Time
	edit bool
}

// follow plans what is told of an Incident after a digest told of it.
func follow(
	inc *v1alpha1.Incident, out decide.Outcome, ends func(receiver string, head notify.Ref) ending,
	add func(string, v1alpha1.TransitionKind) *v1alpha1.Delivery,
) {
	t := inc.Status.Transition
	if t.Kind != v1alpha1.TransitionResolved && t.Kind != v1alpha1.TransitionReopened {
		return
	}
	list, _ := bundled(inc)
	for _, receiver := range list {
		_, sequence := history(inc, receiver)
		if !digested(inc, receiver) || sequence >= t.Sequence || out.Reason == decide.ReasonMuted ||
			out.Reason == decide.ReasonTeamAlone && !decide.OfTeam(receiver) {
			continue
		}
		dropEnds(inc, receiver)
		e := ends(receiver, digestHead(inc, receiver))
		if e.key == "" || t.Kind == v1alpha1.TransitionReopened && !e.edit && !toldOver(inc, receiver) {
			continue // it was told as open, and is
		}
		d := add(receiver, t.Kind)
		d.Digest, d.NextAttempt = e.key, microStamp(e.due)
	}
}

// digested tells whether a digest told a receiver of an Incident, or may have.
func digested(inc *v1alpha1.Incident, receiver string) bool {
	return slices.ContainsFunc(inc.Status.Deliveries, func(d v1alpha1.Delivery) bool {
		return d.Receiver == receiver && d.Digest != "" && mayHold(d)
	})
}

// toldOver tells whether the last that a digest told a receiver of an Incident is, or may be, its end. One that was told of
// later than it opened may have been over then.
func toldOver(inc *v1alpha1.Incident, receiver string) bool {
	over := false
	for _, d := range inc.Status.Deliveries {
		if d.Receiver == receiver && d.Digest != "" && mayHold(d) {
			over = d.Transition == v1alpha1.TransitionResolved || !follows(&d) && d.Sequence > 1
		}
	}
	return over
}

// dropEnds supersedes what waits to be told of earlier ends and returns.
func dropEnds(inc *v1alpha1.Incident, receiver string) {
	for i := range inc.Status.Deliveries {
		if d := &inc.Status.Deliveries[i]; d.Receiver == receiver && follows(d) && gathers(d) {
			d.State, d.NextAttempt = v1alpha1.DeliverySuperseded, nil
		}
	}
}

// follows tells whether a delivery in a digest tells of the end or the return of what an earlier one told of.
func follows(d *v1alpha1.Delivery) bool {
	return d.Digest != "" && d.Transition != v1alpha1.TransitionOpened
}

// ends says where a receiver is told of an end. head is the message of the digest that told of the Incident, if the
// receiver's messages have names.
func (p *Pipeline) ends(inc *v1alpha1.Incident, now time.Time) func(string, notify.Ref) ending {
	return func(receiver string, head notify.Ref) ending {
		if head != (notify.Ref{}) && p.edits(receiver) {
			due := now.Truncate(editEvery).Add(editEvery)
			return ending{editKey(inc.Spec.KubeBot, inc.Namespace, receiver, head, due), due, true}
		}
		if p.Rules.DigestEvery <= 0 {
			return ending{}
		}
		due := now.Truncate(p.Rules.DigestEvery).Add(p.Rules.DigestEvery)
		return ending{key: digestKey(inc.Spec.KubeBot, inc.Namespace, receiver, due), due: due}
	}
}

// edits tells whether a receiver's digests can be edited.
func (p *Pipeline) edits(receiver string) bool {
	r, ok := p.active(receiver)
	if !ok {
		return false
	}
	_, can := r.Sink.(notify.DigestEditor)
	return can
}

// editKey of the edit of a digest's message that is due at a time.
func editKey(kubeBot, namespace, receiver string, head notify.Ref, due time.Time) string {
	sum := sha256.Sum256([]byte("edit\x00" + namespace + "\x00" + kubeBot + "\x00" + receiver + "\x00" +
		head.Channel + "\x00" + head.ID + "\x00" + strconv.FormatInt(due.UnixMicro(), 10)))
	return hex.EncodeToString(sum[:16])
}

// digestHead is the message of the last digest that told a receiver of an Incident; zero for none.
func digestHead(inc *v1alpha1.Incident, receiver string) notify.Ref {
	for _, d := range slices.Backward(inc.Status.Deliveries) {
		if d.Receiver == receiver && d.Digest != "" && d.MessageID != "" {
			return notify.Ref{Channel: d.Channel, ID: d.MessageID}
		}
	}
	return notify.Ref{}
}

// edited returns the message that a digest is an edit of, with all Incidents that the message tells of; zero for a digest
// that is a message of its own.
func (p *Pipeline) edited(g digest) (notify.Ref, []*v1alpha1.Incident) {
	if len(g.send) == 0 || !p.edits(g.receiver) || slices.ContainsFunc(g.send, func(m member) bool { return !follows(&m.delivery) }) {
		return notify.Ref{}, nil
	}
	head := digestHead(g.send[0].incident, g.receiver)
	if head == (notify.Ref{}) {
		return head, nil
	}
	var list []*v1alpha1.Incident
	for _, inc := range p.index.All() {
		if digestHead(inc, g.receiver) == head {
			list = append(list, inc)
		}
	}
	return head, list
}
