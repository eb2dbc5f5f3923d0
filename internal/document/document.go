// Package document is the JSON document that tells of a change of an incident, and the templates that write another
// body from it. Everything here is pure.
package document

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Version of the document. A field may be added within a version; none is removed or changes its meaning.
const Version = "v1"

// Document is the JSON body. docs/receivers.md describes it to users.
type Document struct {
	// Version of the document's form.
	Version string `json:"version"`
	// Key identifies the change for ever; a repeat has the same.
	Key string `json:"key"`
	// Transition is Opened, Updated, Resolved or Reopened, and Sequence counts those of an incident from 1; Digest for a
	// document that tells of several incidents.
	Transition v1alpha1.TransitionKind `json:"transition"`
	Sequence   int64                   `json:"sequence"`
	// At is when the change was recorded.
	At time.Time `json:"at"`
	// Text says the change in a sentence.
	Text string `json:"text"`
	// Details are what the change holds besides: BecameCritical, Acknowledged; left out while there are none.
	Details []v1alpha1.TransitionDetail `json:"details,omitempty"`
	// Incident as of the change. Of a digest it is a summary that is no Incident in the cluster.
	Incident Incident `json:"incident"`
	// Incidents are those of a digest, the worst first, each with a few of its alerts; left out otherwise.
	Incidents []Incident `json:"incidents,omitempty"`
}

// Incident is the incident as of the change.
type Incident struct {
	Namespace string  `json:"namespace"`
	Name      string  `json:"name"`
	Cluster   string  `json:"cluster"`
	Subject   Subject `json:"subject"`
	// Severity is the highest of the alerts: critical, warning or info.
	Severity v1alpha1.Severity `json:"severity"`
	// State is Open or Resolved, as in the status of an Incident.
	State v1alpha1.IncidentState `json:"state"`
	Title string                 `json:"title"`
	// Cause is the most likely cause in a sentence; empty when not known.
	Cause string `json:"cause"`
	// Causes are the likely causes that an analysis found, the likeliest first; left out while there is none.
	Causes     []Cause    `json:"causes,omitempty"`
	StartedAt  *time.Time `json:"startedAt,omitempty"`
	ResolvedAt *time.Time `json:"resolvedAt,omitempty"`
	// Alerts by fingerprint, at most 500.
	Alerts []Alert `json:"alerts"`
}

// Cause is a likely cause.
type Cause struct {
	// Object is what has to be repaired.
	Object Subject `json:"object"`
	// Kind of the cause, such as config, and ScorePercent how likely it is.
	Kind         string `json:"kind"`
	ScorePercent int32  `json:"scorePercent"`
	Sentence     string `json:"sentence"`
	// Evidence is what a person can check, with where it comes from: Kubernetes, Logs, Metrics or Traces.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Links lead to where the evidence can be seen; left out where people can't open Grafana.
	Links []Link `json:"links,omitempty"`
	Fix   *Fix   `json:"fix,omitempty"`
}

// Evidence is one observation.
type Evidence struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// Link leads to where evidence can be seen.
type Link struct {
	// Title says what it shows: Dashboard or Traces.
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Fix says how a person can repair a cause.
type Fix struct {
	Explanation string   `json:"explanation"`
	Commands    []string `json:"commands,omitempty"`
}

// Subject is what is affected.
type Subject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	// Display is the subject for people.
	Display string `json:"display"`
}

// Alert is one alert of the incident.
type Alert struct {
	// Fingerprint of the labels, as Alertmanager computes it.
	Fingerprint string              `json:"fingerprint"`
	Name        string              `json:"name"`
	Severity    v1alpha1.Severity   `json:"severity"`
	State       v1alpha1.AlertState `json:"state"`
	StartsAt    time.Time           `json:"startsAt"`
	EndsAt      *time.Time          `json:"endsAt,omitempty"`
	Labels      map[string]string   `json:"labels"`
	Summary     string              `json:"summary"`
	Description string              `json:"description"`
	RunbookURL  string              `json:"runbookURL"`
}

// Change is what is told: a change of an incident, which depends on nothing else.
type Change struct {
	// Key identifies the delivery for ever.
	Key string
	// Transition is the change, Sequence its number in the incident, Text the change in a sentence.
	Transition v1alpha1.TransitionKind
	Sequence   int64
	Text       string
	// Details are what the change holds besides.
	Details []v1alpha1.TransitionDetail
	// Incident as it stands.
	Incident *v1alpha1.Incident
	// Digest are the incidents that are told of together, the worst first; nil for a change of one.
	Digest []*v1alpha1.Incident
	// At is when the change was recorded.
	At time.Time
	// ClusterName stands for incidents that name no cluster.
	ClusterName string
}

// New makes the document. It depends on the change alone: alerts that began after it are left out and those that ended
// after it fire, so that a repeat of an incident that has moved on is as near to the first document as can be.
func New(c Change) Document {
	inc, cluster := c.Incident, c.ClusterName
	if inc.Spec.ClusterName != "" {
		cluster = inc.Spec.ClusterName
	}
	doc := Document{
		Version:    Version,
		Key:        c.Key,
		Transition: c.Transition,
		Sequence:   c.Sequence,
		At:         c.At.UTC().Truncate(time.Second),
		Text:       c.Text,
		Details:    c.Details,
		Incident:   incident(inc, cluster, c.At, c.Transition == v1alpha1.TransitionResolved),
	}
	for _, one := range c.Digest {
		over := one.Status.ResolvedAt != nil && !one.Status.ResolvedAt.After(c.At)
		line := incident(one, cluster, c.At, over)
		line.Causes, line.Alerts = nil, line.Alerts[:min(len(line.Alerts), digestAlerts)]
		doc.Incidents = append(doc.Incidents, line)
	}
	return doc
}

// JSON writes the document as it is sent.
func (d Document) JSON() ([]byte, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode the document: %w", err)
	}
	return body, nil
}

// digestAlerts of an incident in a digest.
const digestAlerts = 5

// incident is an Incident as of a time.
func incident(inc *v1alpha1.Incident, cluster string, at time.Time, over bool) Incident {
	out := Incident{
		Namespace: inc.Namespace, Name: inc.Name, Cluster: cluster, Subject: subject(inc.Spec.Subject),
		State: v1alpha1.IncidentOpen, Title: inc.Status.Title, Cause: inc.Status.Cause,
		Causes: causes(inc), Alerts: alerts(inc, at),
	}
	out.Severity = severity(inc, out.Alerts)
	if inc.Status.StartedAt != nil {
		out.StartedAt = utc(inc.Status.StartedAt.Time)
	}
	if over {
		out.State, out.ResolvedAt = v1alpha1.IncidentResolved, utc(at)
		if inc.Status.ResolvedAt != nil && !inc.Status.ResolvedAt.After(at) {
			out.ResolvedAt = utc(inc.Status.ResolvedAt.Time)
		}
	}
	return out
}

// Stated is the cause that the incident states, nil if no analysis found that: a cause may be of an alert's own words, and
// the likeliest of an analysis is stated only where it stands out. The score and the fix are told of a stated one alone.
func Stated(inc *v1alpha1.Incident) *v1alpha1.Cause {
	// The sentence is cut to what status.cause may hold.
	if c := inc.Status.Causes; len(c) > 0 && inc.Status.Cause != "" && strings.HasPrefix(c[0].Sentence, inc.Status.Cause) {
		return &c[0]
	}
	return nil
}

// Why is the command that asks the question of an incident again, and prints the fix with all of its commands.
func Why(inc *v1alpha1.Incident) string {
	return fmt.Sprintf("kubectl kubebot why incident/%s -n %s", inc.Name, inc.Namespace)
}

// causes are those of the incident.
func causes(inc *v1alpha1.Incident) []Cause {
	var out []Cause
	for _, c := range inc.Status.Causes {
		cause := Cause{
			Object: subject(v1alpha1.Subject{APIVersion: c.Object.APIVersion, Kind: c.Object.Kind, Namespace: c.Object.Namespace, Name: c.Object.Name}),
			Kind:   string(c.Kind), ScorePercent: c.ScorePercent, Sentence: c.Sentence,
		}
		for _, e := range c.Evidence {
			cause.Evidence = append(cause.Evidence, Evidence{From: string(e.From), Text: e.Text})
		}
		for _, l := range c.Links {
			cause.Links = append(cause.Links, Link(l))
		}
		if c.Fix != nil {
			cause.Fix = &Fix{Explanation: c.Fix.Explanation, Commands: c.Fix.Commands}
		}
		out = append(out, cause)
	}
	return out
}

func utc(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Second)
	return &t
}

func subject(s v1alpha1.Subject) Subject {
	out := Subject{APIVersion: s.APIVersion, Kind: s.Kind, Namespace: s.Namespace, Name: s.Name, Display: s.Display}
	if out.Display == "" {
		out.Display = s.Kind + " " + s.Name
		if s.Namespace != "" {
			out.Display = s.Kind + " " + s.Namespace + "/" + s.Name
		}
	}
	return out
}

// alerts returns those that had begun at the time, in the state of then, by fingerprint.
func alerts(inc *v1alpha1.Incident, at time.Time) []Alert {
	list := inc.Status.Alerts
	if len(list) == 0 {
		list = inc.Spec.OpeningAlerts
	}
	out := make([]Alert, 0, len(list))
	for _, a := range list {
		if !at.IsZero() && a.StartsAt.After(at) {
			continue
		}
		alert := Alert{
			Fingerprint: a.Fingerprint, Name: a.Name, Severity: a.Severity, State: a.State, StartsAt: *utc(a.StartsAt.Time),
			Labels: a.Labels, Summary: a.Summary, Description: a.Description, RunbookURL: a.RunbookURL,
		}
		if alert.Labels == nil {
			alert.Labels = map[string]string{}
		}
		switch {
		case a.EndsAt != nil && !at.IsZero() && a.EndsAt.After(at):
			alert.State = v1alpha1.AlertFiring
		case a.EndsAt != nil:
			alert.EndsAt = utc(a.EndsAt.Time)
		}
		out = append(out, alert)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Fingerprint < out[j].Fingerprint })
	return out
}

// severity is the highest of the alerts, or the incident's if it has none.
func severity(inc *v1alpha1.Incident, list []Alert) v1alpha1.Severity {
	rank := map[v1alpha1.Severity]int{v1alpha1.SeverityInfo: 1, v1alpha1.SeverityWarning: 2, v1alpha1.SeverityCritical: 3}
	worst := v1alpha1.Severity("")
	for _, a := range list {
		if rank[a.Severity] > rank[worst] {
			worst = a.Severity
		}
	}
	if worst == "" {
		return inc.Status.Severity
	}
	return worst
}
