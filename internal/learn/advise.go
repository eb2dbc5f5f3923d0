package learn

import (
	"fmt"
	"time"
)

// Reason names why an advice is what it is.
type Reason string

const (
	// ReasonPlain: nothing that was learned speaks against what the plain rules say.
	ReasonPlain Reason = "PlainRules"
	// ReasonFewJudgements: what was learned points elsewhere, and there are too few judgements yet.
	ReasonFewJudgements Reason = "FewJudgements"
	// ReasonTaughtNoise: people taught that this is noise.
	ReasonTaughtNoise Reason = "TaughtNoise"
	// ReasonTaughtImportant: people taught that this matters more than the plain rules say.
	ReasonTaughtImportant Reason = "TaughtImportant"
	// ReasonExplored: louder than what was learned, to see whether that still holds.
	ReasonExplored Reason = "Explored"
	// ReasonPinned: a user pinned it.
	ReasonPinned Reason = "Pinned"
	// ReasonFloor: what was learned would be quieter than the user's explicit route.
	ReasonFloor Reason = "ExplicitRoute"
)

// Question is what the plain rules say of an incident.
type Question struct {
	// Plain is what happens without anything learned.
	Plain Action
	// Floor is the quietest action that the user allows, Quiet for any: Push where a route names this very thing.
	Floor Action
	// Now is when it is asked.
	Now time.Time
}

// Advice is what to do with an incident, and why.
type Advice struct {
	// Action to take, and Plain what it would be without anything learned.
	Action, Plain Action
	// Reason is its name, Message says it in a sentence.
	Reason  Reason
	Message string
	// Permille is the probability with which Action was chosen, in thousandths: to be kept with the decision, and given
	// with the feedback (Feedback.Permille).
	Permille int
	// Chance that the incident matters, in percent.
	Chance int
	// Revision of the state that was asked.
	Revision int64
}

// Advise says what to do with an incident that may be held back.
func (m *Model) Advise(h Holdable, q Question) Advice {
	in := h.incident
	if pin, ok := m.state.pin(in.Team, in.Kind); ok {
		return m.pinned(pin, q)
	}
	b := m.believe(in, q.Now)
	out := Advice{Plain: q.Plain, Permille: 1000, Chance: int(100*b.chance + 0.5), Revision: m.state.Revision}
	cheapest, reason := m.cheapest(b, q.Plain)
	action, probability := cheapest, 1.0
	if reason != ReasonFewJudgements && b.known() > 0 && cheapest <= q.Plain && q.Plain > Quiet {
		costs := m.settings.Costs.of(b.chance)
		action, probability = choose(m.settings.Explore(costs, cheapest, b.known()), min(cheapest, Digest), q.Plain, draw(in.Name))
	}
	out.Permille = min(max(int(1000*probability+0.5), 1), 1000)
	out.Action, out.Reason = action, reason
	switch {
	case action < q.Floor:
		out.Action, out.Reason, out.Permille = q.Floor, ReasonFloor, 1000
	case action != cheapest:
		out.Reason = ReasonExplored
	}
	out.Message = m.sentence(in, b, q, out)
	return out
}

// cheapest returns the action of the least expected cost within the guard rails, without exploring.
func (m *Model) cheapest(b belief, plain Action) (Action, Reason) {
	margin := m.settings.Caution * b.spread
	if low := best(m.settings.Costs.of(max(b.chance-margin, 0))); low > plain {
		if b.important < m.settings.ForPush || b.important <= b.noise {
			return plain, ReasonFewJudgements
		}
		return low, ReasonTaughtImportant
	}
	a := best(m.settings.Costs.of(min(b.chance+margin, 1)))
	switch {
	case a >= plain:
		return plain, ReasonPlain
	case b.noise <= b.important || b.known() < m.settings.ForDigest:
		return plain, ReasonFewJudgements
	case a == Quiet && b.known() < m.settings.ForQuiet:
		if plain == Digest {
			return plain, ReasonFewJudgements
		}
		return Digest, ReasonTaughtNoise
	}
	return a, ReasonTaughtNoise
}

func (m *Model) pinned(p Pin, q Question) Advice {
	out := Advice{Action: p.Action, Plain: q.Plain, Reason: ReasonPinned, Permille: 1000, Revision: m.state.Revision}
	out.Message = fmt.Sprintf("%s pinned %s in %s to %s", orSomebody(p.By), orEvery(p.Kind, "every kind"), orEvery(p.Team, "every team"), p.Action)
	if out.Action < q.Floor {
		out.Action, out.Reason = q.Floor, ReasonFloor
		out.Message += ", but its route names it"
	}
	return out
}

func orSomebody(by string) string {
	if by == "" {
		return "Somebody"
	}
	return by
}

func orEvery(name, every string) string {
	if name == Any {
		return every
	}
	return name
}

// sentence says the advice for people.
func (m *Model) sentence(in Incident, b belief, q Question, a Advice) string {
	record := m.record(in.Team, in.Kind)
	state := fmt.Sprintf("learned state %d", m.state.Revision)
	switch a.Reason {
	case ReasonTaughtNoise:
		done := "kept for the digest"
		if a.Action == Quiet {
			done = "kept quiet"
		}
		return fmt.Sprintf("%s; %s (%s)", record, done, state)
	case ReasonTaughtImportant:
		return fmt.Sprintf("%s, so it is louder than the plain rules say (%s)", record, state)
	case ReasonExplored:
		return fmt.Sprintf("%s; louder this time, as once in %d times, to see whether that still holds (%s)",
			record, max((1000+a.Permille/2)/a.Permille, 1), state)
	case ReasonFloor:
		return fmt.Sprintf("%s, but its route names it (%s)", record, state)
	case ReasonFewJudgements:
		return fmt.Sprintf("%s: too few to change what the plain rules say (%s)", record, state)
	}
	if b.known() == 0 {
		return fmt.Sprintf("Nothing was learned of %s in %s (%s)", in.Kind, teamName(in.Team), state)
	}
	return fmt.Sprintf("%s, as the plain rules say (%s)", record, state)
}

// record sums up a cell, such as: Noise in 7 of 8 judgements of PodCrashLooping in shop, last on 2026-03-02.
func (m *Model) record(team, kind string) string {
	c := m.cells[[2]string{team, kind}]
	if c == nil || len(c.cell.Judgements) == 0 {
		return fmt.Sprintf("No judgement of %s in %s", kind, teamName(team))
	}
	important, said := 0, 0
	for _, j := range c.cell.Judgements {
		if j.Signal.Important() {
			important++
		}
		if j.Signal.Explicit() {
			said++
		}
	}
	n := len(c.cell.Judgements)
	word, count := "Noise", n-important
	if important > n-important {
		word, count = "Mattered", important
	}
	judgements := "judgements"
	if n == 1 {
		judgements = "judgement"
	}
	text := fmt.Sprintf("%s in %d of %d %s of %s in %s, last on %s",
		word, count, n, judgements, kind, teamName(team), c.cell.Judgements[n-1].At.Format(time.DateOnly))
	if hints := n - said; hints > 0 {
		text += fmt.Sprintf(" (%d from what people did)", hints)
	}
	return text
}

func teamName(team string) string {
	if team == "" {
		return "no namespace"
	}
	return team
}
