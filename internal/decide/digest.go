package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

const (
	// StormWindow is the time in which new incidents are counted for Rules.StormAbove.
	StormWindow = time.Minute
	// stormEvery is how often a digest goes out in a storm, and stormLead how long before it an incident still joins it. So
	// an incident is told after stormLead to stormEvery+stormLead; with the time to gather and send that is within 30 s.
	stormEvery, stormLead = 20 * time.Second, 5 * time.Second
)

// bundle moves the receivers of a push that are told by digest from Receivers to Bundle.
func (q question) bundle(out Outcome) Outcome {
	if out.Verdict != v1alpha1.VerdictNotify {
		return out
	}
	old := q.old()
	bundled := func(r string) bool {
		return slices.Contains(q.facts.Bundled, r) || (old || slices.Contains(q.facts.Crowded, r)) && !q.rules.NoStorm[r] && !q.rules.NoDigest[r]
	}
	var push []string
	for _, r := range out.Receivers {
		if bundled(r) {
			out.Bundle = append(out.Bundle, r)
		} else {
			push = append(push, r)
		}
	}
	if len(out.Bundle) == 0 {
		return out
	}
	out.Receivers, out.Digest = push, StormTime(q.now)
	if old {
		out.Digest = startTime(q.facts.Began, q.now)
	}
	reason, message := ReasonStorm, fmt.Sprintf("More than %d incidents were new within a minute, so it is told together with others", q.rules.StormAbove)
	if old {
		reason, message = ReasonQuietStart, "It is older than this KubeBot, so it is told together with others"
	}
	// Of a team the other receivers follow when the mute time ends; an escalation stays one, however it is told.
	if len(push) > 0 || out.Reason == ReasonTeamAlone || out.Reason == ReasonEscalated {
		out.Message += ". " + message + " at " + strings.Join(out.Bundle, ", ")
		return out
	}
	out.Verdict, out.Reason, out.Message = v1alpha1.VerdictDigest, reason, message
	if q.facts.BundledReason != "" && q.facts.BundledReason != reason {
		out.Reason, out.Message = q.facts.BundledReason, "A digest has told of it, or will"
	}
	return out
}

const (
	// startFor is how long after the KubeBot began what is older counts as found at its start: rules wait up to a quarter of
	// an hour until they fire, counted from when Prometheus began.
	startFor = 30 * time.Minute
	// startFirst is how long after the beginning the first digest of it goes out, and startEvery how often later ones do.
	startFirst, startEvery = time.Minute, 5 * time.Minute
)

// old tells whether the incident was there before the KubeBot.
func (q question) old() bool {
	f := q.facts
	if !q.rules.QuietStart || f.Began.IsZero() || f.Made.IsZero() || f.Made.After(f.Began.Add(startFor)) {
		return false
	}
	return !f.Opened.IsZero() && f.Opened.Before(f.Began) || !f.Since.IsZero() && f.Since.Before(f.Began)
}

// startTime returns when the digest is due that tells of an incident that is older than the KubeBot.
func startTime(began, now time.Time) time.Time {
	if first := began.Add(startFirst); now.Before(first.Add(-stormLead)) {
		return first
	}
	due := now.Truncate(startEvery).Add(startEvery)
	if due.Sub(now) < stormLead {
		due = due.Add(startEvery)
	}
	return due
}

// StormTime returns when the digest is due that tells of an incident at once: at whole multiples of some seconds, so that
// every replica says the same.
func StormTime(now time.Time) time.Time {
	due := now.Truncate(stormEvery).Add(stormEvery)
	if due.Sub(now) < stormLead {
		due = due.Add(stormEvery)
	}
	return due
}
