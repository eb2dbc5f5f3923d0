package notifytest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

var begin = time.Date(2026, 11, 21, 3, 20, 0, 0, time.UTC)

// Message is the opening of an incident with a cause, a fix and an alert.
func Message() notify.Message {
	start := metav1.NewTime(begin.Add(-time.Minute))
	return notify.Message{
		Key: "2c4f1e9a-oncall-1", Transition: v1alpha1.TransitionOpened, Sequence: 1, At: begin, Text: "Requests to checkout fail.",
		Incident: &v1alpha1.Incident{
			ObjectMeta: metav1.ObjectMeta{Name: "main-7f3a-1", Namespace: "kubebot", UID: types.UID("0d3b6d5e-0000-4000-8000-000000000001")},
			Spec: v1alpha1.IncidentSpec{
				KubeBot: "main", ClusterName: "prod-eu", GroupKey: "shop/checkout", Number: 1,
				Subject: v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout", Display: "Deployment shop/checkout"},
			},
			Status: v1alpha1.IncidentStatus{
				State: v1alpha1.IncidentOpen, Severity: v1alpha1.SeverityCritical, Title: "checkout answers with errors",
				Cause: "The rollout of catalog at 03:18 UTC", StartedAt: &start,
				Causes: []v1alpha1.Cause{{
					Kind: "config", ScorePercent: 90, Sentence: "The rollout of catalog at 03:18 UTC",
					Fix: &v1alpha1.CauseFix{Explanation: "Undo the rollout.", Commands: []string{"kubectl rollout undo deploy/catalog -n shop"}},
				}},
				Alerts: []v1alpha1.IncidentAlert{{
					Fingerprint: "a1", Name: "HTTPErrorsHigh", Severity: v1alpha1.SeverityCritical, State: v1alpha1.AlertFiring, StartsAt: start,
					Labels: map[string]string{"namespace": "shop", "workload": "checkout"}, Summary: "40% of requests fail",
				}},
			},
		},
	}
}

// Later is a later change of the same incident.
func Later(kind v1alpha1.TransitionKind, sequence int64) notify.Message {
	msg := Message()
	end := metav1.NewTime(begin.Add(5 * time.Minute))
	msg.Key, msg.Transition, msg.Sequence, msg.At, msg.Text = "2c4f1e9a-oncall-2", kind, sequence, end.Time, "It changed."
	if kind == v1alpha1.TransitionResolved {
		msg.Text = "All alerts ended."
		msg.Incident.Status.State, msg.Incident.Status.ResolvedAt = v1alpha1.IncidentResolved, &end
		msg.Incident.Status.Alerts[0].State, msg.Incident.Status.Alerts[0].EndsAt = v1alpha1.AlertResolved, &end
	}
	return msg
}

// HostileText is what a pod's name or log line may hold to be more than text at some receiver: markup of every kind,
// mentions, commands of templates, lines of protocols, and characters that hide or turn text around.
const HostileText = "x\r\nBcc: victim@example.com\r\n\r\n.\r\nMAIL FROM:<a@b>\n**bold** [click](https://evil.example.com) <at>everyone</at> <!channel> @here " +
	"<script>alert(1)</script> {{DATE(2026-01-01T00:00:00Z,SHORT)}} {{.Values}} ${expr} \u202egpj.exe\u202c \u2066a\u2069 \u200b \x00\x1b[31m \"quoted\" \\ end"

// Hostile is the opening with HostileText wherever the cluster has a say.
func Hostile() notify.Message {
	msg := Message()
	inc := msg.Incident
	msg.Text = HostileText
	inc.Spec.ClusterName, inc.Spec.Subject.Display, inc.Spec.Subject.Name = HostileText, HostileText, HostileText
	inc.Status.Title, inc.Status.Cause = HostileText, HostileText
	inc.Status.Causes[0].Sentence, inc.Status.Causes[0].Fix.Explanation = HostileText, HostileText
	inc.Status.Causes[0].Fix.Commands = []string{HostileText}
	a := &inc.Status.Alerts[0]
	a.Name, a.Summary, a.Description, a.RunbookURL = HostileText, HostileText, HostileText, HostileText
	a.Labels = map[string]string{"workload": HostileText}
	return msg
}

// Secret writes a value where a mounted Secret would have it.
func Secret(t *testing.T, name, key, value string) secretfile.Ref {
	t.Helper()
	file := filepath.Join(t.TempDir(), key)
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return secretfile.Ref{File: file, Secret: name, Key: key}
}

// Absent names a Secret that is not there.
func Absent(t *testing.T) secretfile.Ref {
	t.Helper()
	return secretfile.Ref{File: filepath.Join(t.TempDir(), "gone"), Secret: "gone", Key: "key"}
}
