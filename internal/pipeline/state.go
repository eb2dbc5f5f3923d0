package pipeline

import (
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
)

// QuietTime is how long a resolved Incident may reopen; after it the Incident is closed and the next alert opens the
// next one. Alertmanager's users know it as the time in which a flapping alert is the same trouble.
const QuietTime = 10 * time.Minute

// Apply returns the Incident after alerts came and time passed, and the alerts that are not its own: those that do not
// fit any more, and all that a closed Incident does not hold already. It is pure: in is not changed, and the same input
// gives the same output.
func Apply(in *v1alpha1.Incident, alerts []alert.Alert, damping decide.Damping, now time.Time) (*v1alpha1.Incident, []alert.Alert) {
	out := in.DeepCopy()
	s := &out.Status
	if s.State == v1alpha1.IncidentResolved && s.ResolvedAt != nil && !now.Before(s.ResolvedAt.Add(QuietTime)) {
		closeIncident(out, now)
	}
	if s.State == v1alpha1.IncidentClosed {
		return out, absorb(out, alerts, now)
	}
	fresh := s.State == ""
	if fresh {
		open(out)
	}
	known := names(s.Alerts)
	severity := s.Severity
	rest := merge(out, alerts, now)
	sum(out)
	before := sequenceOf(out)
	advance(out, change{fresh: fresh, newNames: added(known, names(s.Alerts)), severity: severity, damping: damping}, now)
	if a := s.Analysis; a != nil && severity != s.Severity && s.Severity == v1alpha1.SeverityCritical {
		a.Runs = 0 // what became critical is looked at as often as what is new
	}
	if !fresh && severity != s.Severity && s.Severity == v1alpha1.SeverityCritical && sequenceOf(out) > before {
		s.CriticalSequence = s.Transition.Sequence
		s.Transition.Details = append(s.Transition.Details, v1alpha1.DetailBecameCritical)
	}
	return out, rest
}

// change is what merge found.
type change struct {
	fresh    bool
	newNames []string
	severity v1alpha1.Severity
	damping  decide.Damping
}

// open fills the status of an Incident that was created and not yet looked at.
func open(inc *v1alpha1.Incident) {
	s := &inc.Status
	s.State = v1alpha1.IncidentOpen
	s.Alerts = slices.Clone(inc.Spec.OpeningAlerts)
	for i := range s.Alerts {
		s.Alerts[i] = *s.Alerts[i].DeepCopy()
	}
}

// merge puts alerts into the status and returns those that do not fit.
func merge(inc *v1alpha1.Incident, alerts []alert.Alert, now time.Time) []alert.Alert {
	s := &inc.Status
	at := make(map[string]int, len(s.Alerts))
	for i := range s.Alerts {
		at[s.Alerts[i].Fingerprint] = i
	}
	records := s.Alerts
	before := len(records)
	var appended []alert.Alert
	for _, a := range alerts {
		r := record(a, now)
		i, ok := at[r.Fingerprint]
		if !ok {
			at[r.Fingerprint] = len(records)
			records = append(records, r)
			appended = append(appended, a)
			continue
		}
		update(&records[i], r)
	}
	kept, n := fit(records, statusBytes)
	s.Alerts = kept
	if n >= before {
		return appended[n-before:]
	}
	return appended
}

// update brings a stored record up to date. Texts stay as they were stored first while the alert goes on, because many
// rules write the current value into them and each would be a write.
func update(have *v1alpha1.IncidentAlert, r v1alpha1.IncidentAlert) {
	switch {
	case r.State == v1alpha1.AlertResolved:
		if have.State == v1alpha1.AlertFiring {
			have.State, have.EndsAt = r.State, r.EndsAt
		}
	case have.State == v1alpha1.AlertResolved:
		*have = r
	}
}

// sum derives severity, title, cause and start from the alerts.
func sum(inc *v1alpha1.Incident) {
	s := &inc.Status
	for i := range s.Alerts {
		r := &s.Alerts[i]
		if alert.Rank(r.Severity) > alert.Rank(s.Severity) {
			s.Severity = r.Severity
		}
		if s.StartedAt == nil || r.StartsAt.Before(s.StartedAt) {
			s.StartedAt = r.StartsAt.DeepCopy()
		}
	}
	if s.Cause == "" {
		s.Cause = obviousCause(s.Alerts)
	}
	if s.Title == "" || firing(inc) > 0 {
		s.Title = title(inc)
	}
}

// advance moves the state and records the transition that receivers are told of, at most one in a pass.
func advance(inc *v1alpha1.Incident, c change, now time.Time) {
	s := &inc.Status
	if c.fresh {
		transit(inc, v1alpha1.TransitionOpened, s.Title, now)
	}
	if inc.Spec.Close != nil {
		if s.State != v1alpha1.IncidentResolved {
			transit(inc, v1alpha1.TransitionResolved, asked("Closed", inc.Spec.Close), now)
		}
		closeIncident(inc, now)
		return
	}
	n := firing(inc)
	if calming(inc, n, c.damping, now) {
		return
	}
	switch {
	case n == 0 && s.State != v1alpha1.IncidentResolved:
		at := stamp(now)
		s.State, s.ResolvedAt = v1alpha1.IncidentResolved, &at
		transit(inc, v1alpha1.TransitionResolved, "Resolved: no alert fires any more", now)
		return
	case n > 0 && s.State == v1alpha1.IncidentResolved:
		s.State, s.ResolvedAt = looked(inc), nil
		if text := cameBack(inc, c.damping, now); text != "" {
			transit(inc, v1alpha1.TransitionUpdated, text, now)
			return
		}
		transit(inc, v1alpha1.TransitionReopened, cut("Came back: "+s.Title, 1024), now)
		return
	case n == 0:
		return
	}
	var texts []string
	var details []v1alpha1.TransitionDetail
	if s.Severity == v1alpha1.SeverityCritical && c.severity != s.Severity {
		texts = append(texts, "Now critical: "+s.Title)
	}
	if len(c.newNames) > 0 {
		texts = append(texts, "Now also: "+strings.Join(c.newNames, ", "))
	}
	if s.State != looked(inc) {
		s.State = looked(inc)
		if s.State == v1alpha1.IncidentAcknowledged {
			texts = append(texts, asked("Acknowledged", inc.Spec.Acknowledge))
			details = append(details, v1alpha1.DetailAcknowledged)
		} else {
			texts = append(texts, "No longer acknowledged")
		}
	}
	if text := tellSilence(inc, now); text != "" {
		texts = append(texts, text)
	}
	if len(texts) > 0 && !c.fresh {
		transit(inc, v1alpha1.TransitionUpdated, strings.Join(texts, ". "), now)
		s.Transition.Details = details
	}
}

// looked returns the state of an Incident with firing alerts.
func looked(inc *v1alpha1.Incident) v1alpha1.IncidentState {
	if inc.Spec.Acknowledge != nil {
		return v1alpha1.IncidentAcknowledged
	}
	return v1alpha1.IncidentOpen
}

func asked(what string, r *v1alpha1.Request) string {
	if r.By != "" {
		what += " by " + r.By
	}
	if r.Comment != "" {
		what += ": " + r.Comment
	}
	return what
}

func transit(inc *v1alpha1.Incident, kind v1alpha1.TransitionKind, text string, now time.Time) {
	sequence := int64(1)
	if t := inc.Status.Transition; t != nil {
		sequence = t.Sequence + 1
	}
	inc.Status.Transition = &v1alpha1.TransitionRecord{Kind: kind, Sequence: sequence, Text: cut(text, 1024), At: stamp(now)}
}

func closeIncident(inc *v1alpha1.Incident, now time.Time) {
	at := stamp(now)
	s := &inc.Status
	s.State, s.ClosedAt = v1alpha1.IncidentClosed, &at
	if s.ResolvedAt == nil {
		s.ResolvedAt = &at
	}
}

// absorb takes what a closed Incident knows already: alerts that fired when a person closed it, until they end, and
// repeated news of alerts that ended. The rest is returned; it opens the next Incident.
func absorb(inc *v1alpha1.Incident, alerts []alert.Alert, now time.Time) []alert.Alert {
	var rest []alert.Alert
	for _, a := range alerts {
		i := slices.IndexFunc(inc.Status.Alerts, func(r v1alpha1.IncidentAlert) bool { return r.Fingerprint == a.Fingerprint })
		if i < 0 {
			rest = append(rest, a)
			continue
		}
		r := &inc.Status.Alerts[i]
		newer := record(a, now).StartsAt.After(r.StartsAt.Time) && a.Source != v1alpha1.AlertSourceWatch
		switch {
		case r.State == v1alpha1.AlertFiring && !a.Firing():
			update(r, record(a, now))
		case r.State == v1alpha1.AlertFiring && !newer:
		case r.State == v1alpha1.AlertResolved && !a.Firing() && !newer:
		default:
			rest = append(rest, a)
		}
	}
	return rest
}

// firing counts the alerts that fire.
func firing(inc *v1alpha1.Incident) int {
	n := 0
	for i := range inc.Status.Alerts {
		if inc.Status.Alerts[i].State == v1alpha1.AlertFiring {
			n++
		}
	}
	return n
}

func names(records []v1alpha1.IncidentAlert) map[string]bool {
	set := make(map[string]bool, 4)
	for i := range records {
		set[records[i].Name] = true
	}
	return set
}

func added(before, after map[string]bool) []string {
	var list []string
	for name := range after {
		if !before[name] {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
