package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// DefaultEscalation is how long after an incident was first told of as critical it is escalated, where the route does not say.
const DefaultEscalation = 15 * time.Minute

// EscalatesAfter returns how long after an incident was first told of as critical an escalation tells of it.
func EscalatesAfter(e v1alpha1.Escalation) time.Duration {
	if d, err := model.ParseDuration(string(e.After)); err == nil && d > 0 {
		return time.Duration(d)
	}
	return DefaultEscalation
}

// escalate adds the receivers of the route's escalation once it is due, and says when it will be: the time runs from the
// first decision to tell of it, so that nobody is blamed for what a mute time or another incident held back.
func (q question) escalate(out Outcome) Outcome {
	if q.route == nil || q.route.Escalation == nil || !q.critical() || q.facts.Attended || q.facts.Made.IsZero() {
		return out
	}
	after := EscalatesAfter(*q.route.Escalation)
	due := q.now.Add(after).Truncate(time.Second)
	if d := q.facts.Before; d != nil && d.Reason == ReasonEscalated {
		due = q.now
	} else if d != nil && d.EscalatesAt != nil && d.EscalatesAt.Time.Before(due) {
		due = d.EscalatesAt.Time
	}
	if q.now.Before(due) {
		at := metav1.NewTime(due.UTC())
		out.Again, out.EscalatesAt, out.Later = due, &at, q.route.Escalation.Receivers
		return out
	}
	out.Receivers = slices.Clone(out.Receivers)
	for _, r := range q.route.Escalation.Receivers {
		if !slices.Contains(out.Receivers, r) {
			out.Receivers = append(out.Receivers, r)
		}
	}
	out.Reason = ReasonEscalated
	out.Message = fmt.Sprintf("Nobody acknowledged it within %s, so %s is told too", model.Duration(after), strings.Join(q.route.Escalation.Receivers, ", "))
	return out
}
