package sim

import (
	"time"

	"github.com/kubebot/kubebot/internal/learn"
)

// User is how the people of a simulation think and behave. Shares are 0 to 1.
type User struct {
	Name string `json:"name"`
	// AnswerPush, AnswerDigest: the share of pushed incidents and of those in the digest of which they say whether they
	// mattered. FindOut: of the quiet ones that mattered.
	AnswerPush, AnswerDigest, FindOut float64 `json:"-"`
	// Wrong is the share of answers that are the contrary of what they think.
	Wrong float64 `json:"-"`
	// Acknowledge is the share of pushed incidents that matter, Silence of those that do not, that they acknowledge or
	// silence where they do not answer.
	Acknowledge, Silence float64 `json:"-"`
	// OwnTaste is the share of kinds of alert about which a team has a taste of its own.
	OwnTaste float64 `json:"-"`
	// Context is the share of kinds of alert that matter at times: in working hours, at first, when they last.
	Context float64 `json:"-"`
	// Drift is the share of tastes that become the contrary at half-time.
	Drift float64 `json:"-"`
}

// Users of the report.
var Users = []User{
	{Name: "strict", AnswerPush: 0.9, AnswerDigest: 0.6, FindOut: 0.2, Wrong: 0.01, Acknowledge: 0.8, Silence: 0.3, OwnTaste: 0.1, Context: 0.1},
	{Name: "lazy", AnswerPush: 0.1, AnswerDigest: 0.05, FindOut: 0.05, Wrong: 0.02, Acknowledge: 0.5, Silence: 0.05, OwnTaste: 0.1, Context: 0.1},
	{Name: "contradictory", AnswerPush: 0.6, AnswerDigest: 0.3, FindOut: 0.1, Wrong: 0.25, Acknowledge: 0.5, Silence: 0.1, OwnTaste: 0.1, Context: 0.1},
	{Name: "team-specific", AnswerPush: 0.5, AnswerDigest: 0.25, FindOut: 0.1, Wrong: 0.02, Acknowledge: 0.5, Silence: 0.1, OwnTaste: 0.7, Context: 0.1},
	{Name: "drifting", AnswerPush: 0.5, AnswerDigest: 0.25, FindOut: 0.1, Wrong: 0.02, Acknowledge: 0.5, Silence: 0.1, OwnTaste: 0.1, Context: 0.1, Drift: 0.5},
	{Name: "by-context", AnswerPush: 0.5, AnswerDigest: 0.25, FindOut: 0.1, Wrong: 0.02, Acknowledge: 0.5, Silence: 0.1, OwnTaste: 0.1, Context: 0.6},
}

// DigestInterval is how long after an incident its digest is read, at most.
const DigestInterval = 8 * time.Hour

// react returns what the user says or does about an incident after an action, and false for nothing.
func (u User) react(e event, shown learn.Action, permille int) (learn.Feedback, bool) {
	f := learn.Feedback{Incident: e.incident, Shown: shown, Permille: permille}
	said := learn.Noise
	if e.matters != (e.luck[1] < u.Wrong) {
		said = learn.Mattered
	}
	switch shown {
	case learn.Push:
		f.At = e.opened.Add(time.Minute + time.Duration(e.luck[3]*float64(time.Hour)))
		switch {
		case e.luck[0] < u.AnswerPush:
			f.Signal, f.By = said, "oncall"
		case e.matters && e.luck[2] < u.Acknowledge:
			f.Signal = learn.Acknowledged
		case !e.matters && e.luck[2] < u.Silence:
			f.Signal = learn.Silenced
		default:
			f.Signal = learn.Ignored
		}
		return f, true
	case learn.Digest:
		f.At = e.opened.Add(time.Duration((0.1 + 0.9*e.luck[3]) * float64(DigestInterval)))
		f.Signal, f.By = said, "oncall"
		return f, e.luck[0] < u.AnswerDigest
	}
	f.At = e.opened.Add(time.Duration(e.luck[3] * float64(24*time.Hour)))
	f.Signal, f.By = learn.Mattered, "oncall"
	return f, e.matters && e.luck[0] < u.FindOut
}
