package decide

import (
	"slices"
	"strings"

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
// people taught) holds for teams too; whom the KubeBot's routes name, and when, does not. What can wait comes in the team's
// digest, and what is part of an incident that the team was told of is not told again.
func (q question) withTeams(out Outcome) Outcome {
	receivers := q.ofTeams()
	if len(receivers) == 0 {
		return out
	}
	switch out.Reason {
	case ReasonDuplicate:
		receivers = slices.DeleteFunc(receivers, func(r string) bool { return slices.Contains(q.facts.PartTold, r) })
		if len(receivers) == 0 {
			return out
		}
		return q.teamAlone(out, receivers)
	case ReasonNoReceivers, ReasonNotRouted, ReasonRoutedToNobody, ReasonMuted:
		return q.teamAlone(out, receivers)
	case ReasonDigest:
		for _, r := range receivers {
			if !q.rules.NoDigest[r] {
				out.Bundle = append(slices.Clone(out.Bundle), r)
			}
		}
		if len(out.Bundle) > 0 {
			out.Verdict, out.Digest = v1alpha1.VerdictDigest, digestTime(q.now, q.rules.DigestEvery)
		}
		return out
	}
	if out.Verdict == v1alpha1.VerdictNotify {
		out.Receivers = append(slices.Clone(out.Receivers), receivers...)
	}
	return out
}

// ofTeams are the receivers of the teams' routes that match, each once.
func (q question) ofTeams() []string {
	var receivers []string
	for _, t := range q.rules.Teams {
		m := v1alpha1.RouteMatch{Severities: t.Match.Severities, Labels: t.Match.Labels}
		if q.facts.Namespace == "" || t.Namespace != q.facts.Namespace || !matches(m, q.facts) {
			continue
		}
		for _, r := range t.Receivers {
			if !slices.Contains(receivers, r) {
				receivers = append(receivers, r)
			}
		}
	}
	return receivers
}

// teamAlone tells the team of what the KubeBot's own receivers are not told of.
func (q question) teamAlone(out Outcome, receivers []string) Outcome {
	for _, holds := range []check{silenced, inhibited, repeated} {
		held, ok := holds(q)
		switch {
		case ok && out.Reason == ReasonMuted:
			return out // its end is the next time to look
		case ok:
			return held
		}
	}
	reason := ReasonTeam
	if out.Reason == ReasonMuted {
		reason = ReasonTeamAlone
	}
	out.Verdict, out.Reason, out.Message = v1alpha1.VerdictNotify, reason, "A route of its namespace takes it. "+out.Message
	out.Receivers = receivers
	return out
}
