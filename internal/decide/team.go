package decide

import (
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// TeamRoute is a route that a team has made for its own namespace.
type TeamRoute struct {
	// Namespace of the subjects that it can take: no other ever matches.
	Namespace string
	Match     v1alpha1.AlertRouteMatch
	// Receivers are the team's own, by full names.
	Receivers []string
}

// OfTeam tells whether a receiver is a team's: the names of the KubeBot's own have no slash.
func OfTeam(receiver string) bool { return strings.Contains(receiver, "/") }

// withTeams adds the receivers of the teams' routes that match. They come on top of what the KubeBot's own routes do and
// change nothing for its receivers. What holds an incident back for what it is (a silence, a lost node, a repetition, what
// people taught) holds for teams too; whom the KubeBot's routes name, and when, does not.
func withTeams(teams []TeamRoute, facts Facts, out Outcome, now time.Time) Outcome {
	var receivers []string
	for _, t := range teams {
		m := v1alpha1.RouteMatch{Severities: t.Match.Severities, Labels: t.Match.Labels}
		if facts.Namespace == "" || t.Namespace != facts.Namespace || !matches(m, facts) {
			continue
		}
		for _, r := range t.Receivers {
			if !slices.Contains(receivers, r) {
				receivers = append(receivers, r)
			}
		}
	}
	if len(receivers) == 0 {
		return out
	}
	switch out.Reason {
	case ReasonNoReceivers, ReasonNotRouted, ReasonRoutedToNobody, ReasonMuted, ReasonDuplicate:
		for _, holds := range []check{silenced, inhibited, repeated} {
			if held, ok := holds(question{facts: facts, now: now}); ok {
				if out.Reason == ReasonMuted {
					return out // its end is the next time to look
				}
				return held
			}
		}
		reason := ReasonTeam
		if out.Reason == ReasonMuted {
			reason = ReasonTeamAlone
		}
		out.Verdict, out.Reason, out.Message = v1alpha1.VerdictNotify, reason, "A route of its namespace takes it. "+out.Message
	default:
		if out.Verdict == v1alpha1.VerdictQuiet || out.Reason == ReasonDigest {
			return out
		}
		out.Verdict = v1alpha1.VerdictNotify
	}
	out.Receivers = append(slices.Clone(out.Receivers), receivers...)
	return out
}
