package pipeline

import (
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/learn/judged"
)

// decide asks for the decision when something changed, when it depends on time, and when this process sees the Incident
// for the first time, because its rules may be new. Else the stored one is kept: while a change of the rules is rolled
// out, replicas with the old and the new ones must not undo each other's decisions.
func (p *Pipeline) decide(before, inc *v1alpha1.Incident, changed bool, now time.Time) decide.Outcome {
	if d := inc.Status.Decision; d != nil && !looksAgain(inc, d) {
		escalates := d.EscalatesAt != nil && standing(inc) && !now.Before(d.EscalatesAt.Time)
		if !changed && !p.firstSight(inc) && !escalates || inc.Status.State == v1alpha1.IncidentClosed {
			return kept(*d)
		}
	}
	rules := p.withTeams(p.Rules)
	rules.Learned = p.learned(inc, changed)
	facts := p.facts(before, inc, rules.Learned != nil, now)
	facts.PartOf, facts.PartTold = p.partOf(inc, now)
	return decide.Decide(rules, facts, now)
}

// kept is a decision that stands.
func kept(d v1alpha1.Decision) decide.Outcome {
	out := decide.Outcome{Decision: d}
	if d.EscalatesAt != nil {
		out.Again = d.EscalatesAt.Time
	}
	return out
}

// age finds out whether an Incident that is new is older than the KubeBot.
func (p *Pipeline) age(inc *v1alpha1.Incident, facts *decide.Facts) {
	if !p.Rules.QuietStart || p.Began == nil {
		return
	}
	facts.Began = p.Began()
	if inc.Status.Decision == nil && !facts.Began.IsZero() {
		facts.Since, _ = p.Topology.Since(inc.Spec.Subject)
	}
}

// facts are what is known of an Incident for a decision; described tells whether the learning is to be asked.
func (p *Pipeline) facts(before, inc *v1alpha1.Incident, described bool, now time.Time) decide.Facts {
	facts := decide.Facts{Severity: inc.Status.Severity, Namespace: inc.Spec.Subject.Namespace}
	if described {
		about := judged.Of(inc, judged.Recurrence(inc, p.index.ByKey(inc.Spec.GroupKey)))
		facts.Incident = &about
	}
	if p.byLabels || p.teamsByLabels() {
		for i := range inc.Status.Alerts {
			facts.AlertLabels = append(facts.AlertLabels, labelsOf(inc.Status.Alerts[i]))
		}
	}
	if inc.Status.StartedAt != nil {
		facts.Opened = inc.Status.StartedAt.Time
	}
	facts.Made = inc.CreationTimestamp.Time
	facts.Fires, facts.Over, facts.Lower = lasting(inc, now)
	facts.Told, facts.Flaps, facts.Before = len(inc.Status.Deliveries) > 0, flaps(inc), inc.Status.Decision
	facts.Attended = inc.Spec.Acknowledge != nil || inc.Spec.Silence != nil && inc.Spec.Silence.Until.After(now) || !standing(inc)
	p.age(inc, &facts)
	if facts.Severity != v1alpha1.SeverityCritical {
		facts.LostNode, facts.LostNodeIncident = p.lostNode(inc)
	}
	if before := p.index.Get(IncidentName(p.Config.UID, inc.Spec.GroupKey, inc.Spec.Number-1)); before != nil {
		s := before.Status
		if s.ClosedAt != nil && s.Decision != nil && s.Decision.Verdict == v1alpha1.VerdictNotify {
			facts.Previous = s.ClosedAt.Time
		}
	}
	facts.Crowded = p.rush.crowded(inc.Name, p.Rules.StormAbove, now)
	if alert.Rank(before.Status.Severity) >= alert.Rank(inc.Status.Severity) {
		facts.Bundled, facts.BundledReason = bundled(inc)
	}
	facts.SilencedUntil, facts.SilencedBy = p.silencedBefore(inc, now)
	return facts
}

// learned returns what people taught about an Incident: as it was when the Incident last changed, else as it is now.
func (p *Pipeline) learned(inc *v1alpha1.Incident, changed bool) decide.Learned {
	if p.Learned == nil {
		return nil
	}
	if d := inc.Status.Decision; d != nil && !changed && (d.Learned != nil || !decide.Timed(d.Reason)) {
		return decide.Keep(d.Learned)
	}
	return p.Learned()
}

// labelsOf returns the labels of a stored alert with those that have fields of their own.
func labelsOf(r v1alpha1.IncidentAlert) map[string]string {
	labels := map[string]string{alert.LabelName: r.Name, alert.LabelSeverity: string(r.Severity)}
	for name, value := range r.Labels {
		labels[name] = value
	}
	return labels
}

// lostNode returns the lost node that explains the Incident, if that node has an open Incident. The pods are looked at only
// when there is one of any node.
func (p *Pipeline) lostNode(inc *v1alpha1.Incident) (node, incident string) {
	if inc.Spec.Subject.Kind == "Node" || inc.Spec.Subject.Namespace == "" || !p.nodesInTrouble() {
		return "", ""
	}
	node, ok := p.Topology.LostNode(inc.Spec.Subject)
	if !ok {
		return "", ""
	}
	list := p.index.ByKey(NodeGroup(node).Key)
	if len(list) == 0 || firing(list[len(list)-1]) == 0 || list[len(list)-1].Status.State == v1alpha1.IncidentClosed {
		return "", ""
	}
	return node, list[len(list)-1].Name
}
