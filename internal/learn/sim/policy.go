package sim

import (
	"time"

	"github.com/kubebot/kubebot/internal/learn"
)

// Policy decides about incidents in the order of time, and hears what people say.
type Policy interface {
	// Decide returns the action, and how likely it was in thousandths.
	Decide(e event) (learn.Action, int)
	// Hear takes feedback.
	Hear(f learn.Feedback)
}

// Contender is a policy with its name and how to start it.
type Contender struct {
	Name string
	New  func() Policy
}

// Contenders of the report: KubeBot with the default settings, never and always pushing, and plain rules.
func Contenders() []Contender {
	return []Contender{
		{"learned", func() Policy { return NewLearned(learn.Defaults()) }},
		{"never", func() Policy { return fixed(learn.Quiet) }},
		{"always", func() Policy { return fixed(learn.Push) }},
		{"plain rules", func() Policy { return plainRules{} }},
		{"mute after 3 marks", func() Policy { return &muting{forget: 1 << 62, marks: map[[2]string]mark{}} }},
		{"mute for a week after 3 marks", func() Policy { return &muting{forget: 7 * 24 * time.Hour, marks: map[[2]string]mark{}} }},
	}
}

// fixed does the same with every incident.
type fixed learn.Action

func (f fixed) Decide(event) (learn.Action, int) { return learn.Action(f), 1000 }
func (f fixed) Hear(learn.Feedback)              {}

// plain is what the rules without learning do: critical and warning are pushed, repeats within half an hour are not
// unless critical, info is quiet.
func plain(e event) learn.Action {
	switch {
	case e.incident.Severity == learn.SeverityCritical:
		return learn.Push
	case e.incident.Severity == learn.SeverityInfo || e.repeated:
		return learn.Quiet
	}
	return learn.Push
}

type plainRules struct{}

func (plainRules) Decide(e event) (learn.Action, int) { return plain(e), 1000 }
func (plainRules) Hear(learn.Feedback)                {}

// muting is the plain rules with a rule that many teams make by hand: when people said three times in a row that a kind
// of alert in a team is noise, it is muted, for good or for some time; that it mattered ends it.
type muting struct {
	forget time.Duration
	marks  map[[2]string]mark
}

type mark struct {
	noise int
	since time.Time
}

func (m *muting) Decide(e event) (learn.Action, int) {
	k := m.marks[[2]string{e.incident.Team, e.incident.Kind}]
	if e.incident.Severity != learn.SeverityCritical && k.noise >= 3 && e.opened.Sub(k.since) < m.forget {
		return learn.Quiet, 1000
	}
	return plain(e), 1000
}

func (m *muting) Hear(f learn.Feedback) {
	key := [2]string{f.Incident.Team, f.Incident.Kind}
	k := m.marks[key]
	switch f.Signal {
	case learn.Noise:
		if k.noise >= 3 && f.At.Sub(k.since) >= m.forget {
			k.noise = 0
		}
		k.noise++
		k.since = f.At
	case learn.Mattered:
		k = mark{}
	}
	m.marks[key] = k
}

// Learned is KubeBot: the plain rules, and where they do not hold an incident back for being a repeat, what was learned.
type Learned struct {
	settings learn.Settings
	state    learn.State
	model    *learn.Model
	fitted   time.Time
}

// refit is how old a model may be that does not know the newest judgements, as the responder's replicas read the state
// from time to time.
const refit = time.Hour

// NewLearned starts with nothing learned.
func NewLearned(settings learn.Settings) *Learned { return &Learned{settings: settings} }

// Decide asks the model as internal/decide does.
func (l *Learned) Decide(e event) (learn.Action, int) {
	h, ok := e.incident.Holdable()
	if !ok || e.repeated {
		return plain(e), 1000
	}
	if now := e.opened; l.model == nil || l.model.State().Revision != l.state.Revision && now.Sub(l.fitted) >= refit {
		l.model, l.fitted = learn.NewModel(l.state, l.settings), now
	}
	a := l.model.Advise(h, learn.Question{Plain: plain(e), Now: e.opened})
	return a.Action, a.Permille
}

// Hear learns.
func (l *Learned) Hear(f learn.Feedback) {
	l.state, _ = l.state.Learn(f)
}
