package pipeline

import (
	"maps"
	"slices"

	"github.com/kubebot/kubebot/internal/decide"
)

// SetTeams replaces the routes of teams and the receivers that they name. Decisions that are stored stay; the routes count
// for what changes from now on. A receiver that is gone keeps its gate while calls to it run, so that one that comes back does not get
// more of them at a time. One that comes back is sent what has waited for it.
func (p *Pipeline) SetTeams(routes []decide.TeamRoute, receivers []Receiver) {
	if fresh := p.setTeams(routes, receivers); len(fresh) > 0 {
		p.resume(fresh...)
	}
}

// setTeams returns the names of the receivers that were not there.
func (p *Pipeline) setTeams(routes []decide.TeamRoute, receivers []Receiver) []string {
	p.teamMu.Lock()
	defer p.teamMu.Unlock()
	var names, fresh []string
	noStorm, noDigest := map[string]bool{}, map[string]bool{}
	maps.Copy(noStorm, p.Rules.NoStorm)
	maps.Copy(noDigest, p.Rules.NoDigest)
	next := make(map[string]*receiver, len(receivers))
	for name, r := range p.team {
		if r.gate.busy() {
			next[name] = r
		}
	}
	for _, r := range receivers {
		names = append(names, r.Name)
		noStorm[r.Name], noDigest[r.Name] = r.OneByOne, r.NoDigest
		before, known := p.team[r.Name]
		switch {
		case !known:
			next[r.Name] = &receiver{Receiver: r, gate: newGate()}
			fresh = append(fresh, r.Name)
		case before.Sink != r.Sink:
			next[r.Name] = &receiver{Receiver: r, gate: before.gate}
		default:
			next[r.Name] = before
		}
	}
	p.team, p.teamNames, p.teamRoutes = next, names, routes
	p.noStorm, p.noDigest = noStorm, noDigest
	return fresh
}

// withTeams are the rules with what the teams have set.
func (p *Pipeline) withTeams(rules decide.Rules) decide.Rules {
	p.teamMu.RLock()
	defer p.teamMu.RUnlock()
	rules.Teams, rules.NoStorm, rules.NoDigest = p.teamRoutes, p.noStorm, p.noDigest
	return rules
}

// receiver returns a receiver of the KubeBot or of a team.
func (p *Pipeline) receiver(name string) (*receiver, bool) {
	if r, ok := p.receivers[name]; ok {
		return r, true
	}
	p.teamMu.RLock()
	defer p.teamMu.RUnlock()
	r, ok := p.team[name]
	return r, ok
}

// active returns a receiver that the KubeBot or a team has now.
func (p *Pipeline) active(name string) (*receiver, bool) {
	r, ok := p.receiver(name)
	if !ok || !decide.OfTeam(name) {
		return r, ok
	}
	p.teamMu.RLock()
	defer p.teamMu.RUnlock()
	return r, slices.Contains(p.teamNames, name)
}

// every returns all receivers that there are.
func (p *Pipeline) every() []*receiver {
	p.teamMu.RLock()
	defer p.teamMu.RUnlock()
	list := make([]*receiver, 0, len(p.receivers)+len(p.team))
	for _, r := range p.receivers {
		list = append(list, r)
	}
	for _, r := range p.team {
		list = append(list, r)
	}
	return list
}

// configured are the names of the receivers that the KubeBot and the teams have now.
func (p *Pipeline) configured() []string {
	p.teamMu.RLock()
	defer p.teamMu.RUnlock()
	return slices.Concat(p.names, p.teamNames)
}

// teamsByLabels tells whether a team's route looks at labels of alerts.
func (p *Pipeline) teamsByLabels() bool {
	p.teamMu.RLock()
	defer p.teamMu.RUnlock()
	return slices.ContainsFunc(p.teamRoutes, func(r decide.TeamRoute) bool { return len(r.Match.Labels) > 0 })
}
