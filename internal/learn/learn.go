// Package learn learns from what people say and do which incidents matter to them, and proposes per incident that is
// not critical whether to push it, to put it into the digest, or to keep it quiet.
//
// A team's judgements are the state (State): a bounded list, one versioned JSON document. Everything else derives from
// it (Model): a linear support vector machine over the features of an incident, its calibration, and the record of each
// cell, that is of one kind of alert in one team. So the same judgements always give the same proposals, on every
// replica, and a judgement that is taken back leaves no trace.
//
// Guard rails. A critical incident can't be asked about: only a Holdable can, and none exists for it. Without enough
// judgements of its own cell a proposal is what the plain rules say. No proposal is below the floor that a user set by an
// explicit route. Exploring never makes an incident quieter than the digest. A pin of a user beats what was learned.
//
// The package is pure: no clock, no client, no random source.
package learn

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/kubebot/kubebot/internal/truncate"
)

// Action is what is done with an incident. Higher is louder.
type Action uint8

const (
	// Quiet keeps the incident visible without telling anybody.
	Quiet Action = iota
	// Digest tells of the incident in the next digest.
	Digest
	// Push tells of the incident at once.
	Push
)

// Actions are all actions, the quietest first.
var Actions = [...]Action{Quiet, Digest, Push}

var actionNames = [...]string{"Quiet", "Digest", "Push"}

// String returns the name.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// MarshalText writes the name.
func (a Action) MarshalText() ([]byte, error) {
	if int(a) >= len(actionNames) {
		return nil, fmt.Errorf("there is no action %d", uint8(a))
	}
	return []byte(actionNames[a]), nil
}

// UnmarshalText reads a name.
func (a *Action) UnmarshalText(text []byte) error {
	for i, name := range actionNames {
		if name == string(text) {
			*a = Action(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not an action: use Push, Digest or Quiet", text)
}

// Signal is what a person said or did about an incident.
type Signal string

const (
	// Mattered: a person said that it mattered.
	Mattered Signal = "Mattered"
	// Noise: a person said that it was noise.
	Noise Signal = "Noise"
	// Acknowledged: a person acknowledged it.
	Acknowledged Signal = "Acknowledged"
	// Silenced: a person silenced it.
	Silenced Signal = "Silenced"
	// Ignored: it was pushed, and nobody did anything until it was resolved.
	Ignored Signal = "Ignored"
)

// Signals are all signals.
var Signals = [...]Signal{Mattered, Noise, Acknowledged, Silenced, Ignored}

// Explicit tells whether a person said it, rather than did something that hints at it.
func (s Signal) Explicit() bool { return s == Mattered || s == Noise }

// Important tells whether the signal speaks for the incident.
func (s Signal) Important() bool { return s == Mattered || s == Acknowledged }

// weight is how much a signal counts, 1 for what was said. That hints count less, and silence the least, follows their
// precision in the simulation (package sim): most of what is ignored by people who answer seldom was not noise.
func (s Signal) weight() float64 {
	switch s {
	case Mattered, Noise:
		return 1
	case Acknowledged, Silenced:
		return 0.5
	case Ignored:
		return 0.1
	}
	return 0
}

func (s Signal) valid() bool { return s.weight() > 0 }

// Severities that an incident can have here. They are those of the API.
const (
	SeverityCritical = "critical"
	SeverityWarning  = "warning"
	SeverityInfo     = "info"
)

// Case is an incident as the learning sees it when a decision is due. It is the part of a judgement that is kept.
type Case struct {
	// Severity is critical, warning or info.
	Severity string `json:"severity"`
	// Subject is the kind of the subject, such as Deployment.
	Subject string `json:"subject,omitempty"`
	// Source of the first alert, such as Alertmanager.
	Source string `json:"source,omitempty"`
	// Hour of the week in which it began, in UTC, 0 for Monday from 00:00 to 01:00 (HourOfWeek).
	Hour int `json:"hour,omitempty"`
	// Recurrence is how often the same subject had an incident of this kind in the 24 hours before.
	Recurrence int `json:"recurrence,omitempty"`
	// Seconds is how long it had lasted when the decision was made.
	Seconds int64 `json:"seconds,omitempty"`
	// Symptoms is how many alerts it had.
	Symptoms int `json:"symptoms,omitempty"`
	// Cause tells whether a cause was found.
	Cause bool `json:"cause,omitempty"`
}

// HourOfWeek returns the hour of the week of a time in UTC, 0 to 167, from Monday 00:00.
func HourOfWeek(t time.Time) int {
	t = t.UTC()
	return (int(t.Weekday())+6)%7*24 + t.Hour()
}

// Incident is a Case with its name and its cell.
type Incident struct {
	// Name of the Incident object.
	Name string
	// Team that it belongs to; a namespace is a team.
	Team string
	// Kind is the name of its worst alert.
	Kind string
	Case
}

// Holdable is an incident that may be held back: it is not critical. Only Incident.Holdable makes one.
type Holdable struct{ incident Incident }

// Holdable returns the incident as one that may be held back, and false for a critical one and for one whose severity
// is not known.
func (i Incident) Holdable() (Holdable, bool) {
	if i.Severity != SeverityWarning && i.Severity != SeverityInfo {
		return Holdable{}, false
	}
	return Holdable{i.normal()}, true
}

// Bounds of strings in the state, in bytes.
const (
	maxName     = 63
	maxKind     = 128
	maxIncident = 253
)

// normal bounds what goes into the state.
func (i Incident) normal() Incident {
	i.Name, i.Team, i.Kind = cut(i.Name, maxIncident), cut(i.Team, maxName), cut(i.Kind, maxKind)
	i.Case = i.Case.normal()
	return i
}

func (c Case) normal() Case {
	c.Severity, c.Subject, c.Source = cut(c.Severity, maxName), cut(c.Subject, maxName), cut(c.Source, maxName)
	c.Hour = min(max(c.Hour, 0), 7*24-1)
	c.Recurrence = min(max(c.Recurrence, 0), 1_000_000)
	c.Symptoms = min(max(c.Symptoms, 0), 1_000_000)
	c.Seconds = min(max(c.Seconds, 0), 1_000_000_000)
	return c
}

// second cuts a time to UTC seconds within the years that RFC 3339 can write.
func second(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if y := t.Year(); y < 1 || y > 9999 {
		return time.Time{}
	}
	return t
}

// cut bounds a string, whole characters only, and drops what is not UTF-8.
func cut(s string, limit int) string {
	if !utf8.ValidString(s) {
		valid := make([]rune, 0, len(s))
		for _, r := range s {
			if r != utf8.RuneError {
				valid = append(valid, r)
			}
		}
		s = string(valid)
	}
	return truncate.Bytes(s, limit)
}

// Judgement is what one person said, or what people did, about one incident.
type Judgement struct {
	// Incident is the name of the Incident object.
	Incident string `json:"incident"`
	// By is who said it; empty for what was done.
	By string `json:"by,omitempty"`
	// Signal is what was said or done.
	Signal Signal `json:"signal"`
	// At is when, to the second.
	At time.Time `json:"at"`
	// Shown is what had been done with the incident.
	Shown Action `json:"shown"`
	// Permille is the probability with which Shown had been chosen, in thousandths; 0 stands for 1000.
	Permille int `json:"permille,omitempty"`
	// Case is the incident as it was.
	Case Case `json:"case"`
}

// Feedback is a judgement with the cell it belongs to.
type Feedback struct {
	// Incident that was judged.
	Incident Incident
	// By is who said it; empty for what was done.
	By string
	// Signal is what was said or done.
	Signal Signal
	// At is when.
	At time.Time
	// Shown is what had been done with the incident, Permille how likely that was (Advice.Permille), 0 where no advice
	// was asked.
	Shown    Action
	Permille int
}

func (f Feedback) judgement() Judgement {
	i := f.Incident.normal()
	j := Judgement{
		Incident: i.Name, By: cut(f.By, maxName), Signal: f.Signal, At: second(f.At),
		Shown: min(f.Shown, Push), Permille: min(max(f.Permille, 0), 1000) % 1000, Case: i.Case,
	}
	if !f.Signal.Explicit() {
		j.By = ""
	}
	return j
}
