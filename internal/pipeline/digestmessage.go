package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
)

// namedInSummary is how many Incidents the summary of a digest names.
const namedInSummary = 3

// digestMessage makes the message of a digest. One that may be there already tells of all its Incidents again, so that a
// repeat is as near to the first as can be. An edit of the message head has all that this tells of.
func digestMessage(g digest, claims []claimed, head notify.Ref, all []*v1alpha1.Incident) notify.Message {
	msg := notify.Message{Key: g.key, Transition: notify.TransitionDigest, Sequence: 1, MayHaveArrived: g.sent, Head: head}
	for _, m := range g.told {
		msg.Digest = append(msg.Digest, m.incident.DeepCopy())
	}
	var oldest time.Time
	for _, c := range claims {
		msg.Digest = append(msg.Digest, c.incident.DeepCopy())
		msg.MayHaveArrived = msg.MayHaveArrived || c.attempt.arrived
		d := c.delivery
		if msg.BodySHA256 == "" {
			msg.BodySHA256 = d.BodySHA256
		}
		if d.At != nil {
			if d.At.After(msg.At) {
				msg.At = d.At.Time
			}
			if oldest.IsZero() || d.At.Time.Before(oldest) {
				oldest = d.At.Time
			}
		}
	}
	for _, inc := range all {
		if !slices.ContainsFunc(msg.Digest, func(have *v1alpha1.Incident) bool { return have.Name == inc.Name }) {
			msg.Digest = append(msg.Digest, inc.DeepCopy())
		}
	}
	slices.SortFunc(msg.Digest, worse)
	msg.Incident = summarize(g, msg.Digest, oldest)
	msg.Text = msg.Incident.Status.Title
	return msg
}

// summarize makes up an Incident that says what a digest holds.
func summarize(g digest, list []*v1alpha1.Incident, oldest time.Time) *v1alpha1.Incident {
	worst := list[0]
	critical, open := 0, 0
	var names []string
	for _, inc := range list {
		if inc.Status.Severity == v1alpha1.SeverityCritical {
			critical++
		}
		if standing(inc) {
			open++
		}
		if len(names) < namedInSummary {
			names = append(names, inc.Spec.Subject.Display)
		}
	}
	if n := len(list) - len(names); n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	title := fmt.Sprintf("%d incidents", len(list))
	if len(list) == 1 {
		title = "1 incident"
	}
	if critical > 0 {
		title += fmt.Sprintf(", %d critical", critical)
	}
	state := v1alpha1.IncidentOpen
	if open == 0 {
		state, title = v1alpha1.IncidentResolved, title+", all over"
	}
	begin := metav1.NewTime(oldest)
	return &v1alpha1.Incident{
		ObjectMeta: metav1.ObjectMeta{Namespace: worst.Namespace, Name: "digest-" + cut(g.key, 8), CreationTimestamp: begin},
		Spec: v1alpha1.IncidentSpec{
			KubeBot: worst.Spec.KubeBot, ClusterName: worst.Spec.ClusterName, GroupKey: "digest/" + g.receiver, Number: 1,
			Subject: v1alpha1.Subject{Kind: "Digest", Name: g.receiver, Display: cut(strings.Join(names, ", "), 400)},
		},
		Status: v1alpha1.IncidentStatus{State: state, Severity: worst.Status.Severity, Title: title, StartedAt: &begin},
	}
}
