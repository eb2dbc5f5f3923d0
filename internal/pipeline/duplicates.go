package pipeline

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
)

const (
	// releaseAfter is how long after an Incident is over its duplicates that still fire stand for themselves again: their
	// own alerts often end a little later.
	releaseAfter = 2 * time.Minute
	// maxChain is how many duplicates of duplicates are followed.
	maxChain = 8
)

// An Incident is part of another one, its duplicate, where the analysis found its cause in the subject of that one or in
// the same object, or where it runs on a lost node of which that one tells. Receivers that hold its message see it edited
// to point there, and nobody else is told. So that nothing is lost, the other one must be open, and whoever was to be told
// of the duplicate and has not been must be told of the other one, which then is as severe.

// relate makes an Incident the duplicate of another one, or ends that; before is how the pass began.
func (p *Pipeline) relate(before, inc *v1alpha1.Incident, now time.Time) {
	s := &inc.Status
	if s.State == v1alpha1.IncidentClosed {
		return
	}
	if s.DuplicateOf == "" {
		if s.State == v1alpha1.IncidentResolved {
			return
		}
		if main := p.mainOf(before, inc, now); main != nil {
			s.DuplicateOf = main.Name
			tellMore(inc, sequenceOf(before), "Part of "+about(main), now)
		}
		return
	}
	main := p.index.Get(s.DuplicateOf)
	switch {
	case main != nil && main.Status.State == v1alpha1.IncidentClosed && (main.Spec.Close != nil || s.State == v1alpha1.IncidentResolved):
		if s.State != v1alpha1.IncidentResolved {
			tellMore(inc, sequenceOf(before), "Closed with "+about(main), now)
			s.Transition.Kind = v1alpha1.TransitionResolved
		}
		closeIncident(inc, now)
	case s.State != v1alpha1.IncidentResolved && !p.holds(before, inc, main, now):
		s.DuplicateOf = ""
		tellMore(inc, sequenceOf(before), "No longer part of another incident", now)
	}
}

// tellMore records a change that receivers are told of, together with one of the same pass.
func tellMore(inc *v1alpha1.Incident, before int64, text string, now time.Time) {
	if t := inc.Status.Transition; t != nil && t.Sequence > before {
		t.Text = cut(t.Text+"\n"+text, maxTold)
		return
	}
	transit(inc, v1alpha1.TransitionUpdated, text, now)
}

func about(inc *v1alpha1.Incident) string {
	return fmt.Sprintf("%s (%s)", inc.Spec.Subject.Display, inc.Name)
}

// partOf says of which other Incident one is part, and who is told of that one if it is as severe; empty for none.
func (p *Pipeline) partOf(inc *v1alpha1.Incident, now time.Time) (text string, told []string) {
	name := inc.Status.DuplicateOf
	if name == "" {
		return "", nil
	}
	main := p.index.Get(name)
	if main == nil {
		return "It is part of " + name, nil
	}
	if alert.Rank(main.Status.Severity) >= alert.Rank(inc.Status.Severity) {
		told = p.promised(main, now)
		for _, d := range main.Status.Deliveries {
			if counts(d) {
				told = append(told, d.Receiver)
			}
		}
	}
	return "It is part of " + about(main), told
}

// counts tells whether a delivery tells its receiver, or will.
func counts(d v1alpha1.Delivery) bool {
	return d.State != v1alpha1.DeliverySuperseded && d.State != v1alpha1.DeliveryFailed
}

// holds tells whether an Incident still is a duplicate of main.
func (p *Pipeline) holds(before, inc, main *v1alpha1.Incident, now time.Time) bool {
	if main == nil ||
		alert.Rank(inc.Status.Severity) > alert.Rank(before.Status.Severity) && alert.Rank(inc.Status.Severity) > alert.Rank(main.Status.Severity) {
		return false
	}
	if p.contradicted(inc, main) {
		return false
	}
	switch main.Status.State {
	case v1alpha1.IncidentClosed:
		return false
	case v1alpha1.IncidentResolved:
		return main.Status.ResolvedAt != nil && now.Before(main.Status.ResolvedAt.Add(releaseAfter))
	}
	// Two that were written at a time may name each other; the one that began first stands for itself.
	return !p.leadsTo(main, inc) || !first(inc, main)
}

// blamed returns the cause that counts for what an Incident is part of: the one that a person chose, else the first if it
// stands out. It is false where there is none, or where a person said that it is wrong.
func blamed(inc *v1alpha1.Incident) (v1alpha1.Cause, bool) {
	causes := inc.Status.Causes
	if says := inc.Spec.Cause; says != nil {
		switch {
		case says.Confirm != nil && *says.Confirm >= 1 && int(*says.Confirm) <= len(causes):
			return causes[*says.Confirm-1], true
		case says.Correct != nil, says.Reject != nil && *says.Reject == 1:
			return v1alpha1.Cause{}, false
		}
	}
	if !stood(&inc.Status) {
		return v1alpha1.Cause{}, false
	}
	return causes[0], true
}

// contradicted tells whether a person or the analysis says that an Incident is not part of main. What would make it a
// duplicate asks this as well as what ends that, so that it does not become one again.
func (p *Pipeline) contradicted(inc, main *v1alpha1.Incident) bool {
	own := inc.Spec.Subject
	c, blames := blamed(inc)
	if blames && p.isCause(own, own, c) {
		return true
	}
	says := inc.Spec.Cause
	switch {
	case says == nil:
		return false
	case says.Correct != nil:
		return !p.anyOther(inc, main, func(part *v1alpha1.Incident) bool { return part.Spec.Subject.Name == says.Correct.Workload })
	case says.Reject != nil:
		follows := main.Spec.Subject.Kind == "Node" && main.Spec.Subject.Name == p.nodeOf(inc) &&
			(len(inc.Status.Causes) == 0 || !p.isCause(main.Spec.Subject, own, inc.Status.Causes[0]))
		return !blames && !follows
	}
	return blames && !p.anyOther(inc, main, func(part *v1alpha1.Incident) bool {
		theirs, ok := blamed(part)
		return p.isCause(part.Spec.Subject, own, c) || ok && alike(theirs, c)
	})
}

// anyOther tells whether something holds for main or for a duplicate of it that is another one than inc.
func (p *Pipeline) anyOther(inc, main *v1alpha1.Incident, holds func(*v1alpha1.Incident) bool) bool {
	return slices.ContainsFunc(p.index.All(), func(other *v1alpha1.Incident) bool {
		return other.Name != inc.Name && (other.Name == main.Name || p.leadsTo(other, main)) && holds(other)
	})
}

// leadsTo tells whether one Incident is, over others, a duplicate of another.
func (p *Pipeline) leadsTo(from, to *v1alpha1.Incident) bool {
	for range maxChain {
		if from == nil || from.Status.DuplicateOf == "" {
			return false
		}
		if from.Status.DuplicateOf == to.Name {
			return true
		}
		from = p.index.Get(from.Status.DuplicateOf)
	}
	return false
}

// first orders Incidents by when they were made.
func first(a, b *v1alpha1.Incident) bool {
	if at := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); at != 0 {
		return at < 0
	}
	return a.Name < b.Name
}

// rootOf follows duplicates to the Incident that stands for itself; where they go round it is one of them.
func (p *Pipeline) rootOf(inc *v1alpha1.Incident) *v1alpha1.Incident {
	for range maxChain {
		if inc == nil || inc.Status.DuplicateOf == "" {
			break
		}
		inc = p.index.Get(inc.Status.DuplicateOf)
	}
	return inc
}

// releaseTime is when a duplicate is looked at again because what it is part of is over; zero for never.
func (p *Pipeline) releaseTime(inc *v1alpha1.Incident) time.Time {
	if inc.Status.DuplicateOf == "" || inc.Status.State == v1alpha1.IncidentClosed {
		return time.Time{}
	}
	if main := p.index.Get(inc.Status.DuplicateOf); main != nil && main.Status.State == v1alpha1.IncidentResolved && main.Status.ResolvedAt != nil {
		return main.Status.ResolvedAt.Add(releaseAfter)
	}
	return time.Time{}
}

// mainOf returns the Incident that another one is part of, nil for none.
func (p *Pipeline) mainOf(before, inc *v1alpha1.Incident, now time.Time) *v1alpha1.Incident {
	node := p.nodeOf(inc)
	if _, blames := blamed(inc); !blames && node == "" {
		return nil
	}
	var best *v1alpha1.Incident
	for _, other := range p.index.All() {
		if other.Name == inc.Name || !standing(other) || !p.explains(other, inc, node) {
			continue
		}
		root := p.rootOf(other)
		if root == nil || root.Name == inc.Name || root.Status.DuplicateOf != "" || !standing(root) || best != nil && first(best, root) {
			continue
		}
		if !p.contradicted(inc, root) && p.covers(root, before, inc, now) {
			best = root
		}
	}
	return best
}

// standing tells whether an Incident is not over.
func standing(inc *v1alpha1.Incident) bool {
	return inc.Status.State == v1alpha1.IncidentOpen || inc.Status.State == v1alpha1.IncidentAcknowledged
}

// nodeOf returns the lost node that a critical Incident follows from; others are inhibited by it (package decide).
func (p *Pipeline) nodeOf(inc *v1alpha1.Incident) string {
	if inc.Status.Severity != v1alpha1.SeverityCritical {
		return ""
	}
	node, _ := p.lostNode(inc)
	return node
}

func (p *Pipeline) nodesInTrouble() bool {
	return slices.ContainsFunc(p.index.All(), func(inc *v1alpha1.Incident) bool { return inc.Spec.Subject.Kind == "Node" && standing(inc) })
}

// explains tells whether one Incident is about the cause of another: its subject is that cause, or, of two that have the
// same cause, it began first. node is the lost node of the other one, empty for none.
func (p *Pipeline) explains(main, inc *v1alpha1.Incident, node string) bool {
	subject := main.Spec.Subject
	if node != "" && subject.Kind == "Node" && subject.Name == node {
		return true
	}
	c, blames := blamed(inc)
	if !blames || p.isCause(inc.Spec.Subject, inc.Spec.Subject, c) {
		return false
	}
	if p.isCause(subject, inc.Spec.Subject, c) {
		return true
	}
	theirs, blames := blamed(main)
	return blames && alike(theirs, c) && !p.isCause(subject, subject, theirs) && first(main, inc)
}

// isCause tells whether a subject is what a cause names: the object, the workload in which the trouble began, or, for what
// is known from telemetry alone, the workload of that name. own is the subject of the Incident that has the cause.
func (p *Pipeline) isCause(subject, own v1alpha1.Subject, c v1alpha1.Cause) bool {
	namespace := c.Object.Namespace
	if namespace == "" && c.Object.Kind != "Node" {
		namespace = own.Namespace
	}
	if subject.Name == c.Object.Name && subject.Namespace == namespace && (subject.Kind == c.Object.Kind || subject.Kind == "Dependency") {
		return true
	}
	if c.Workload != "" && subject.Name == c.Workload && subject.Namespace == namespace && apiVersions[subject.Kind] == "apps/v1" {
		return true
	}
	if c.Object.Kind != "Service" || subject.Namespace != namespace || subject.Name != c.Object.Name {
		return false
	}
	named, ok := p.Topology.Named(namespace, c.Object.Name)
	return ok && named.Kind == subject.Kind
}

// covers tells whether nobody misses anything when an Incident is told of as part of main: main is as severe, and whoever is
// told of the Incident now, or by an escalation, is told of main, or somebody looks after that.
func (p *Pipeline) covers(main, before, inc *v1alpha1.Incident, now time.Time) bool {
	if alert.Rank(main.Status.Severity) < alert.Rank(inc.Status.Severity) {
		return false
	}
	rules := p.Rules
	rules.PushAfter = 0 // who is told once it has lasted
	out := decide.Decide(rules, p.facts(before, inc, false, now), now)
	if main.Spec.Acknowledge != nil {
		out.Later = nil
	}
	missing := slices.DeleteFunc(slices.Concat(out.Receivers, out.Bundle, out.Later), func(receiver string) bool {
		told, _ := history(inc, receiver)
		return told
	})
	if len(missing) == 0 {
		return true
	}
	promised := p.promised(main, now)
	return !slices.ContainsFunc(missing, func(receiver string) bool {
		return !slices.Contains(promised, receiver) && !slices.ContainsFunc(main.Status.Deliveries, func(d v1alpha1.Delivery) bool {
			return d.Receiver == receiver && counts(d)
		})
	})
}

// widen looks again at the Incidents that another one holds back or may explain, when that one changed.
func (p *Pipeline) widen(before, after *v1alpha1.Incident) {
	if before != nil && before.Status.State == after.Status.State && before.Status.DuplicateOf == after.Status.DuplicateOf &&
		before.Status.Cause == after.Status.Cause && len(before.Status.Deliveries) == len(after.Status.Deliveries) {
		return
	}
	node := after.Spec.Subject.Kind == "Node"
	for _, inc := range p.index.All() {
		d := inc.Status.Decision
		switch {
		case inc.Name == after.Name || inc.Status.State == v1alpha1.IncidentClosed:
		case inc.Status.DuplicateOf == after.Name,
			node && d != nil && d.Reason == decide.ReasonInhibited,
			inc.Status.DuplicateOf == "" && standing(inc) && (p.explains(after, inc, "") || node && standing(after)):
			p.queue.AddAfter(inc.Spec.GroupKey, window)
		}
	}
}
