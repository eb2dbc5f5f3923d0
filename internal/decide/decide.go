// Package decide says whether an incident is pushed, to whom and why: an ordered list of pure checks, each with a named
// reason. A critical incident is held back only by what people asked for: no receivers, a route that names none, a mute
// time of its route, or a silence; and where it is part of another one of which the same people are told. What was learned
// is asked about others alone.
package decide

import (
	"fmt"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/truncate"
)

// Reasons of a decision, in the order of the checks.
const (
	// ReasonNoReceivers: the KubeBot has no receivers.
	ReasonNoReceivers = "NoReceivers"
	// ReasonNotRouted: no route takes the incident, and it is not critical.
	ReasonNotRouted = "NotRouted"
	// ReasonRoutedToNobody: the route that takes the incident names no receivers.
	ReasonRoutedToNobody = "RoutedToNobody"
	// ReasonSilenced: a person has silenced the same alerts; the push comes when the silence ends if the incident is still
	// open then.
	ReasonSilenced = "Silenced"
	// ReasonMuted: a mute time of the route holds; the push comes when it ends if the incident is still open then.
	ReasonMuted = "Muted"
	// ReasonDuplicate: the incident is part of another one, of which everybody who was to be told of this one is told.
	ReasonDuplicate = "Duplicate"
	// ReasonInhibited: the incident is not critical and follows from a node that is lost and has an incident of its own.
	ReasonInhibited = "Inhibited"
	// ReasonRepeated: the incident is not critical and the same trouble was told of a short while ago.
	ReasonRepeated = "Repeated"
	// ReasonUnimportant: the incident is not critical, and people taught that such ones are noise.
	ReasonUnimportant = "Unimportant"
	// ReasonDigest: the incident is not critical, and by what people taught the next digest is soon enough for it.
	ReasonDigest = "Digest"
	// ReasonSettling: the incident is not critical and has not lasted long enough to be pushed; that comes once it has.
	ReasonSettling = "Settling"
	// ReasonBrief: the incident was not critical and over before it had lasted long enough to be pushed.
	ReasonBrief = "Brief"
	// ReasonImportant: no route takes the incident, and people taught that such ones matter, so every receiver is told.
	ReasonImportant = "Important"
	// ReasonStorm: so many incidents are new that its receivers are told of it together with others, at once.
	ReasonStorm = "Storm"
	// ReasonQuietStart: the incident is older than the KubeBot, so its receivers are told of it together with others.
	ReasonQuietStart = "QuietStart"
	// ReasonEscalated: nobody acknowledged the incident in time, so the escalation of its route is told too.
	ReasonEscalated = "Escalated"
	// ReasonTeam: a route of a team takes the incident, and the KubeBot's own routes tell nobody of it.
	ReasonTeam = "RoutedByTeam"
	// ReasonTeamAlone: the same, while a mute time of the KubeBot's own route holds: its receivers follow when that ends.
	ReasonTeamAlone = "MutedExceptTeam"
	// ReasonRouted: a route takes the incident.
	ReasonRouted = "Routed"
	// ReasonCritical: the incident is critical and no route takes it, so every receiver is told.
	ReasonCritical = "Critical"
)

// Reasons returns every reason with the verdict that goes with it.
func Reasons() []v1alpha1.Decision {
	var list []v1alpha1.Decision
	for verdict, reasons := range map[v1alpha1.Verdict][]string{
		v1alpha1.VerdictQuiet: {ReasonNoReceivers, ReasonNotRouted, ReasonRoutedToNobody, ReasonSilenced, ReasonMuted, ReasonDuplicate, ReasonInhibited,
			ReasonRepeated, ReasonUnimportant, ReasonSettling, ReasonBrief},
		v1alpha1.VerdictDigest: {ReasonDigest, ReasonStorm, ReasonQuietStart},
		v1alpha1.VerdictNotify: {ReasonImportant, ReasonRouted, ReasonCritical, ReasonEscalated, ReasonTeam, ReasonTeamAlone},
	} {
		for _, reason := range reasons {
			list = append(list, v1alpha1.Decision{Verdict: verdict, Reason: reason})
		}
	}
	return list
}

// RepeatedWithin is how long after an incident was closed the same trouble, when it is not critical, is not pushed
// again.
const RepeatedWithin = 30 * time.Minute

// Rules are the user's.
type Rules struct {
	Receivers []string
	Routes    []v1alpha1.Route
	Mutes     map[string]Mute
	// Learned is what people taught; nil where nothing was learned, which changes no decision.
	Learned Learned
	// DigestEvery is how often a digest is sent; 0 for never: what would wait for one is then decided as without learning.
	DigestEvery time.Duration
	// StormAbove is how many new incidents within a minute a receiver is told of one by one; 0 for any number.
	StormAbove int
	// PushAfter is how long an incident that is not critical must last before it is first pushed; 0 for at once.
	PushAfter time.Duration
	// Teams are the routes that teams have made for their own namespaces.
	Teams []TeamRoute
	// NoStorm are receivers that are told of incidents one by one in storms too: programs read them. NoDigest are those
	// that take no digest at all: what can wait is not told there. Those of teams are in it too.
	NoStorm, NoDigest map[string]bool
	// QuietStart tells of what is older than the KubeBot in digests.
	QuietStart bool
}

// Facts are what is known of an incident.
type Facts struct {
	Severity v1alpha1.Severity
	// SilencedUntil is until when a person has silenced the same alerts in an earlier incident, as SilencedBy that; zero
	// for no silence.
	SilencedUntil time.Time
	SilencedBy    string
	Namespace     string
	// AlertLabels of each alert.
	AlertLabels []map[string]string
	// LostNode is the node that explains the incident and has an open incident, LostNodeIncident its name; empty for none.
	LostNode, LostNodeIncident string
	// PartOf says of which other incident this one is part; empty for none. Whoever asks has made sure that everybody who
	// was to be told of this one is told of that one.
	PartOf string
	// PartTold are the receivers that were told of that other incident, or will be: it is no news for them. Empty where this
	// one is more severe.
	PartTold []string
	// Previous is when the incident of the same group before this one was closed, if that was pushed; else zero.
	Previous time.Time
	// Opened is when the incident began, Made when it was recorded, Since when the trouble began as far as the objects of
	// the cluster show, which may be long before; zero for not known.
	Opened, Made, Since time.Time
	// Began is when the KubeBot began its work; zero for not known.
	Began time.Time
	// Fires is since when the incident fires at its severity, and Over when that ended; zero where it has not. Lower is the
	// highest severity that still fires then, empty for none.
	Fires, Over time.Time
	Lower       v1alpha1.Severity
	// Told: some receiver was told of it, or was promised that. Flaps: it is kept open because it comes and goes.
	Told, Flaps bool
	// Before is the decision before this one, nil for none.
	Before *v1alpha1.Decision
	// Attended: somebody acknowledged or silenced the incident.
	Attended bool
	// Crowded are the receivers for which more than StormAbove incidents were new within the last minute.
	Crowded []string
	// Bundled are the receivers that were told, or are to be told, of the incident by digests alone, for BundledReason. They
	// stay so unless it became more severe.
	Bundled       []string
	BundledReason string
	// Incident is the incident as the learning sees it; nil where it is not asked. Severity above counts.
	Incident *learn.Incident
}

// Outcome is a decision and what follows from it.
type Outcome struct {
	v1alpha1.Decision
	// Receivers to tell of it by a message of its own.
	Receivers []string
	// Bundle are the receivers to tell of it in the digest that is due at Digest.
	Bundle []string
	Digest time.Time
	// Later are the receivers of an escalation that is still to come.
	Later []string
	// Again is when to decide again because of time alone; zero for never.
	Again time.Time
	// Learned is the advice that was followed, or that left the decision as it is; nil where none was asked.
	Learned *learn.Advice
}

// Timed tells whether a decision for this reason may change by time or by other incidents alone.
func Timed(reason string) bool {
	return reason == ReasonSilenced || reason == ReasonMuted || reason == ReasonTeamAlone || reason == ReasonInhibited || reason == ReasonRepeated ||
		reason == ReasonSettling
}

// question is what the checks look at.
type question struct {
	rules Rules
	facts Facts
	now   time.Time
	// route is the first that matches, nil for none.
	route *v1alpha1.Route
	// taught is the advice of what was learned, nil for none.
	taught *learn.Advice
}

// check decides or passes.
type check func(q question) (Outcome, bool)

// checks in order; the first that decides wins, and the last always does.
var checks = []check{noReceivers, notRouted, routedToNobody, silenced, muted, duplicate, inhibited, repeated, unimportant, notify}

// Decide answers for one incident at one time.
func Decide(rules Rules, facts Facts, now time.Time) Outcome {
	q := question{rules: rules, facts: facts, now: now, route: firstRoute(rules.Routes, facts)}
	if advice, ok := q.ask(); ok {
		q.taught = &advice
	}
	for _, c := range checks {
		if out, decided := c(q); decided {
			out = q.bundle(q.settle(q.withTeams(out)))
			out.Message = truncate.Bytes(out.Message, 512)
			out.Decision.Learned = record(out.Learned)
			return out
		}
	}
	return quiet(ReasonNotRouted, "No check took the incident")
}

func (q question) critical() bool { return q.facts.Severity == v1alpha1.SeverityCritical }

func noReceivers(q question) (Outcome, bool) {
	return quiet(ReasonNoReceivers, "The KubeBot has no receivers: set spec.alerting.receivers"), len(q.rules.Receivers) == 0
}

func notRouted(q question) (Outcome, bool) {
	out := quiet(ReasonNotRouted, fmt.Sprintf("No route takes it, and its severity is %s, not critical", q.facts.Severity))
	out.Learned = q.taught
	return out, q.route == nil && !q.critical() && !q.taughtImportant()
}

func routedToNobody(q question) (Outcome, bool) {
	return quiet(ReasonRoutedToNobody, "Its route names no receivers"), q.route != nil && len(q.route.Receivers) == 0
}

func silenced(q question) (Outcome, bool) {
	if !q.facts.SilencedUntil.After(q.now) {
		return Outcome{}, false
	}
	out := quiet(ReasonSilenced, "The same alerts were silenced in "+q.facts.SilencedBy)
	out.Again = q.facts.SilencedUntil
	return out, true
}

func muted(q question) (Outcome, bool) {
	if q.route == nil {
		return Outcome{}, false
	}
	for _, name := range q.route.MuteTimes {
		mute, ok := q.rules.Mutes[name]
		if !ok {
			continue
		}
		if until, active := mute.ActiveUntil(q.now); active {
			out := quiet(ReasonMuted, fmt.Sprintf("The mute time %s of its route holds", name))
			out.Again = until
			return out, true
		}
	}
	return Outcome{}, false
}

func duplicate(q question) (Outcome, bool) {
	return quiet(ReasonDuplicate, q.facts.PartOf), q.facts.PartOf != ""
}

func inhibited(q question) (Outcome, bool) {
	if q.critical() || q.facts.LostNode == "" {
		return Outcome{}, false
	}
	message := fmt.Sprintf("It follows from node %s, which is lost: see %s", q.facts.LostNode, q.facts.LostNodeIncident)
	return quiet(ReasonInhibited, message), true
}

func repeated(q question) (Outcome, bool) {
	if q.critical() || q.facts.Previous.IsZero() || q.facts.Opened.Sub(q.facts.Previous) >= RepeatedWithin {
		return Outcome{}, false
	}
	return quiet(ReasonRepeated, "The same trouble was pushed and closed shortly before"), true
}

func notify(q question) (Outcome, bool) {
	out := Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictNotify}, Receivers: q.receivers(), Learned: q.taught}
	switch {
	case q.route != nil:
		out.Reason, out.Message = ReasonRouted, "A route takes it"
		if t := q.taught; t != nil && (t.Reason == learn.ReasonExplored || t.Reason == learn.ReasonFloor) {
			out.Message += ". " + t.Message
		}
	case q.taughtImportant():
		out.Reason, out.Message = ReasonImportant, q.taught.Message
	default:
		out.Reason, out.Message = ReasonCritical, "It is critical and no route takes it, so every receiver is told"
	}
	return q.escalate(out), true
}

// receivers are those of the route, and without a route all.
func (q question) receivers() []string {
	if q.route != nil {
		return q.route.Receivers
	}
	return q.rules.Receivers
}

func quiet(reason, message string) Outcome {
	return Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet, Reason: reason, Message: message}}
}
