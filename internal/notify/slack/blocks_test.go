package slack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

// fixed is when the golden messages happen.
var fixed = time.Date(2026, 11, 21, 3, 20, 0, 0, time.UTC)

// hostile is an incident whose every text tries to be more than text.
func hostile() notify.Message {
	const nasty = "<!channel> <!here|x> <@U123> <#C1|prod> <https://evil.example.com|ok> @here @\u200bchannel &lt; *b* _i_ ~s~ `c` :boom: a@b.co \u202Eevil\u0007"
	msg := messageAt(fixed)
	msg.Text = nasty
	inc := msg.Incident
	inc.Name, inc.Spec.ClusterName = "x<!channel>", nasty
	inc.Spec.Subject = v1alpha1.Subject{Kind: "Pod", Namespace: "shop", Name: nasty, Display: "Pod shop/" + nasty}
	inc.Status.Title, inc.Status.Cause = nasty, nasty
	for i := range inc.Status.Alerts {
		inc.Status.Alerts[i].Name, inc.Status.Alerts[i].Summary, inc.Status.Alerts[i].RunbookURL = nasty, nasty+"\n> quote\n• <!everyone>", nasty
	}
	inc.Spec.Acknowledge = &v1alpha1.Request{By: nasty}
	return msg
}

// huge is an incident at every limit of the API, and beyond.
func huge() notify.Message {
	msg := messageAt(fixed)
	msg.Text = strings.Repeat("💥&", 2000)
	inc := msg.Incident
	inc.Spec.ClusterName = strings.Repeat("c", 63)
	inc.Spec.Subject.Display = strings.Repeat("<", 400)
	inc.Status.Title, inc.Status.Cause = strings.Repeat("&", 512), strings.Repeat("ж", 512)
	inc.Status.Alerts = nil
	for i := range 500 {
		inc.Status.Alerts = append(inc.Status.Alerts, v1alpha1.IncidentAlert{
			Fingerprint: fmt.Sprintf("%016x", i), Name: fmt.Sprintf("Alert%03d%s", i/2, strings.Repeat("n", 240)), Severity: v1alpha1.SeverityWarning,
			State: v1alpha1.AlertFiring, StartsAt: metav1.NewTime(fixed), Summary: strings.Repeat("<s>&", 256), RunbookURL: "https://r.example.com/" + strings.Repeat("r", 2000),
		})
	}
	return msg
}

// mended is an incident with a cause that the commands mend.
func mended(commands ...string) notify.Message {
	msg := messageAt(fixed)
	msg.Incident.Status.Causes = []v1alpha1.Cause{{
		Kind: "config", ScorePercent: 90, Sentence: msg.Incident.Status.Cause, Fix: &v1alpha1.CauseFix{Explanation: "Make the Job anew.", Commands: commands},
	}}
	return msg
}

// cases are messages with the head and, for changes, the reply that they make.
func cases() map[string]notify.Message {
	bare := notify.Message{Key: "k", Transition: v1alpha1.TransitionOpened, Sequence: 1, At: fixed, Incident: &v1alpha1.Incident{
		ObjectMeta: metav1.ObjectMeta{Name: "main-1", Namespace: "kubebot"},
		Spec: v1alpha1.IncidentSpec{Subject: v1alpha1.Subject{Kind: "Node", Name: "n1"}, OpeningAlerts: []v1alpha1.IncidentAlert{
			{Fingerprint: "a", Name: "NodeDown", Severity: v1alpha1.SeverityWarning, State: v1alpha1.AlertFiring, StartsAt: metav1.NewTime(fixed)},
		}},
	}}
	acknowledged := messageAt(fixed)
	acknowledged.Incident.Status.State = v1alpha1.IncidentAcknowledged
	acknowledged.Incident.Spec.Acknowledge = &v1alpha1.Request{By: "anna@example.com"}
	return map[string]notify.Message{
		"opened": messageAt(fixed), "resolved": resolvedAt(fixed, notify.Ref{}), "acknowledged": acknowledged,
		"bare": bare, "hostile": hostile(), "huge": huge(),
		"mended":               mended("kubectl -n shop delete job/report", "kubectl -n shop apply -f FILE"),
		"mended-at-length":     mended("kubectl -n shop delete job/report", strings.Repeat("<", 1024)),
		"mended-by-an-odd-one": mended("kubectl -n shop delete job/report", "kubectl -n shop exec web-1 -- sh -c 'echo  @here'"),
	}
}

func TestBlocks(t *testing.T) {
	for name, msg := range cases() {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, nil)
			s := w.sink(t, channel)
			msg.Head = delivered(t, s, msg).Head
			delivered(t, s, msg)
			var got bytes.Buffer
			for _, m := range w.Messages(channel) {
				if m.Blocks == nil {
					t.Fatal("the server refused the blocks")
				}
				fmt.Fprintf(&got, "text: %s\n", m.Text)
				if err := json.Indent(&got, m.Blocks, "", "  "); err != nil {
					t.Fatal(err)
				}
				got.WriteByte('\n')
				inert(t, m)
			}
			golden.Compare(t, filepath.Join("testdata", name+".txt"), got.Bytes())
		})
	}
}

// labels are the only texts in which Slack looks for formats.
var labels = map[string]bool{"*Severity*": true, "*Subject*": true, "*Cluster*": true, "*Since*": true, "*State*": true}

// inert fails the test if anything in the message could be a mention, a link, a format or a button.
func inert(t *testing.T, m slacktest.Message) {
	t.Helper()
	harmless(t, m.Text)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			switch v["type"] {
			case "header", "section", "context":
			case "mrkdwn":
				if !labels[v["text"].(string)] || v["verbatim"] != true {
					t.Errorf("a text with formats: %v", v)
				}
			case "plain_text":
				if v["emoji"] != false {
					t.Errorf("a text with emoji codes: %v", v)
				}
				harmless(t, v["text"].(string))
			default:
				t.Errorf("an element of type %v", v["type"])
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	var blocks any
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil {
		t.Fatal(err)
	}
	walk(blocks)
}

// harmless fails the test if a text holds Slack's syntax or what can't be seen.
func harmless(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsAny(text, "<>") {
		t.Errorf("an unescaped bracket in %q", text)
	}
	rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(text)
	if strings.Contains(rest, "&") {
		t.Errorf("an ampersand that is no whole escape in %q", text)
	}
	for _, mention := range []string{"@here", "@channel", "@everyone", "@group"} {
		if strings.Contains(strings.ToLower(text), mention) {
			t.Errorf("%s in %q", mention, text)
		}
	}
	for _, r := range text {
		if r < ' ' && r != '\n' || strings.ContainsRune("\u200b\u200d\u202a\u202e\u2066\u2069\ufeff\u00ad", r) {
			t.Errorf("the invisible %U in %q", r, text)
		}
	}
}
