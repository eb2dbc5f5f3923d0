// Package decide says whether an incident is pushed, to whom and why: an ordered list of pure checks, each with a named
// reason. A critical incident is held back only by what the user configured: no receivers, a route that names none, or
// a mute time of its route.
package decide

import (
	"fmt"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Reasons of a decision, in the order of the checks.
const (
	// ReasonNoReceivers: the KubeBot has no receivers.
	ReasonNoReceivers = "NoReceivers"
	// ReasonNotRouted: no route takes the incident, and it is not critical.
	ReasonNotRouted = "NotRouted"
	// ReasonRoutedToNobody: the route that takes the incident names no receivers.
	ReasonRoutedToNobody = "RoutedToNobody"
	// ReasonMuted: a mute time of the route holds; the push comes when it ends if the incident is still open then.
	ReasonMuted = "Muted"
	// ReasonInhibited: the incident is not critical and follows from a node that is lost and has an incident of its own.
	ReasonInhibited = "Inhibited"
	// ReasonRepeated: the incident is not critical and the same trouble was told of a short while ago.
	ReasonRepeated = "Repeated"
	// ReasonRouted: a route takes the incident.
	ReasonRouted = "Routed"
	// ReasonCritical: the incident is critical and no route takes it, so every receiver is told.
	ReasonCritical = "Critical"
)

// RepeatedWithin is how long after an incident was closed the same trouble, when it is not critical, is not pushed
// again.
const RepeatedWithin = 30 * time.Minute

// Rules are the user's.
type Rules struct {
	Receivers []string
	Routes    []v1alpha1.Route
	Mutes     map[string]Mute
}

// Facts are what is known of an incident.
type Facts struct {
	Severity  v1alpha1.Severity
	Namespace string
	// AlertLabels of each alert.
	AlertLabels []map[string]string
	// LostNode is the node that explains the incident and has an open incident, LostNodeIncident its name; empty for none.
	LostNode, LostNodeIncident string
	// Previous is when the incident of the same group before this one was closed, if that was pushed; else zero.
	Previous time.Time
	// Opened is when the incident began.
	Opened time.Time
}

// Outcome is a decision and what follows from it.
type Outcome struct {
	v1alpha1.Decision
	// Receivers to tell when the verdict is to notify.
	Receivers []string
	// Again is when to decide again because of time alone; zero for never.
	Again time.Time
}

// Timed tells whether a decision for this reason may change by time or by other incidents alone.
func Timed(reason string) bool {
	return reason == ReasonMuted || reason == ReasonInhibited || reason == ReasonRepeated
}

// question is what the checks look at.
type question struct {
	rules Rules
	facts Facts
	now   time.Time
	// route is the first that matches, nil for none.
	route *v1alpha1.Route
}

// check decides or passes.
type check func(q question) (Outcome, bool)

// checks in order; the first that decides wins, and the last always does.
var checks = []check{noReceivers, notRouted, routedToNobody, muted, inhibited, repeated, notify}

// Decide answers for one incident at one time.
func Decide(rules Rules, facts Facts, now time.Time) Outcome {
	q := question{rules: rules, facts: facts, now: now, route: firstRoute(rules.Routes, facts)}
	for _, c := range checks {
		if out, decided := c(q); decided {
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
	message := fmt.Sprintf("No route takes it, and its severity is %s, not critical", q.facts.Severity)
	return quiet(ReasonNotRouted, message), q.route == nil && !q.critical()
}

func routedToNobody(q question) (Outcome, bool) {
	return quiet(ReasonRoutedToNobody, "Its route names no receivers"), q.route != nil && len(q.route.Receivers) == 0
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
	out := Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictNotify}}
	if q.route != nil {
		out.Reason, out.Message, out.Receivers = ReasonRouted, "A route takes it", q.route.Receivers
	} else {
		out.Reason, out.Message = ReasonCritical, "It is critical and no route takes it, so every receiver is told"
		out.Receivers = q.rules.Receivers
	}
	return out, true
}

func quiet(reason, message string) Outcome {
	return Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet, Reason: reason, Message: message}}
}
