package teams_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/teams"
)

func sink(t *testing.T, url string) *teams.Sink {
	t.Helper()
	return teams.New(teams.Options{URLSecret: notifytest.Secret(t, "teams", "url", url)})
}

// card is what Teams is sent, read back.
type card struct {
	Type        string
	Attachments []struct {
		ContentType string
		Content     struct {
			Type, Version string
			MSTeams       map[string]any
			Body          []struct {
				Type    string
				Inlines []struct{ Type, Text string }
			}
		}
	}
}

func sent(t *testing.T, msg notify.Message) (card, string) {
	t.Helper()
	r := notifytest.NewRecorder(t)
	if res := sink(t, r.URL).Send(t.Context(), msg); res.Outcome != notify.Delivered {
		t.Fatalf("got %+v", res)
	}
	calls := r.Calls()
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	var c card
	if err := json.Unmarshal([]byte(calls[0].Body), &c); err != nil {
		t.Fatal(err)
	}
	return c, calls[0].Body
}

func texts(c card) string {
	var b strings.Builder
	for _, e := range c.Attachments[0].Content.Body {
		for _, r := range e.Inlines {
			b.WriteString(r.Text)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestACardTellsTheIncident(t *testing.T) {
	c, _ := sent(t, notifytest.Message())
	if c.Type != "message" || c.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" || c.Attachments[0].Content.Type != "AdaptiveCard" {
		t.Errorf("not a card: %+v", c)
	}
	for _, want := range []string{"[critical] checkout answers with errors", "Subject: Deployment shop/checkout", "Cluster: prod-eu", "Likely cause: The rollout",
		"Fix: Undo the rollout.", "kubectl rollout undo", "HTTPErrorsHigh", "Since: 2026-11-21 03:19:00 UTC", "kubectl describe incident main-7f3a-1"} {
		if !strings.Contains(texts(c), want) {
			t.Errorf("the card has no %q:\n%s", want, texts(c))
		}
	}
	if c, _ = sent(t, notifytest.Later(v1alpha1.TransitionResolved, 2)); !strings.Contains(texts(c), "[resolved]") {
		t.Errorf("the end is not told:\n%s", texts(c))
	}
}

func TestNoCommandIsCut(t *testing.T) {
	msg := notifytest.Message()
	fix := msg.Incident.Status.Causes[0].Fix
	fix.Explanation = strings.Repeat("Give it time. ", 36)
	fix.Commands = []string{"kubectl -n shop patch deployment web --type=json -p '" + strings.Repeat("x", 400) + "'", "kubectl -n shop logs web-1"}
	c, _ := sent(t, msg)
	for _, want := range append(fix.Commands, strings.TrimSpace(fix.Explanation)) {
		if !strings.Contains(texts(c), want) {
			t.Errorf("the card has no %q:\n%s", want, texts(c))
		}
	}
}

func TestTextFromTheClusterIsOnlyText(t *testing.T) {
	c, body := sent(t, notifytest.Hostile())
	for _, e := range c.Attachments[0].Content.Body {
		if e.Type != "RichTextBlock" {
			t.Errorf("an element of type %s may read Markdown", e.Type)
		}
		for _, r := range e.Inlines {
			if r.Type != "TextRun" || strings.Contains(r.Text, "{{") || strings.ContainsAny(r.Text, "\r\n\u202e\u2066\x00") {
				t.Errorf("a run that is more than text: %+v", r)
			}
		}
	}
	if _, mentions := c.Attachments[0].Content.MSTeams["entities"]; mentions {
		t.Error("the card can mention people")
	}
	if len(body) > 28<<10 {
		t.Errorf("the card has %d bytes, more than Teams takes", len(body))
	}
}

func TestALargeIncidentFits(t *testing.T) {
	msg := notifytest.Hostile()
	long := strings.Repeat("\u4e16<>", 3000)
	msg.Incident.Status.Title, msg.Text = long, long
	for range 499 {
		a := msg.Incident.Status.Alerts[0]
		a.Summary, a.Name = long, long
		msg.Incident.Status.Alerts = append(msg.Incident.Status.Alerts, a)
	}
	c, body := sent(t, msg)
	if len(body) > 28<<10 {
		t.Errorf("the card has %d bytes, more than Teams takes", len(body))
	}
	if !strings.Contains(texts(c), "and 490 more") {
		t.Error("the other alerts are not counted")
	}
}

func TestOnlyBeginningAndEndAreTold(t *testing.T) {
	r := notifytest.NewRecorder(t)
	res := sink(t, r.URL).Send(t.Context(), notifytest.Later(v1alpha1.TransitionUpdated, 2))
	if res.Outcome != notify.Delivered || res.Word != "NotNeeded" || len(r.Calls()) != 0 {
		t.Errorf("got %+v after %d calls", res, len(r.Calls()))
	}
}

func TestWhatBecameCriticalIsTold(t *testing.T) {
	msg := notifytest.Later(v1alpha1.TransitionUpdated, 2)
	msg.Details = []v1alpha1.TransitionDetail{v1alpha1.DetailBecameCritical}
	if c, _ := sent(t, msg); !strings.Contains(texts(c), "[critical] checkout answers with errors") {
		t.Errorf("got:\n%s", texts(c))
	}
}

func TestARepeatAfterALostAnswerIsMarked(t *testing.T) {
	r := notifytest.NewRecorder(t, 0)
	s, msg := sink(t, r.URL), notifytest.Message()
	if res := s.Send(t.Context(), msg); res.Outcome != notify.Unknown {
		t.Fatalf("a lost answer gives %+v", res)
	}
	msg.MayHaveArrived = true
	if res := s.Send(t.Context(), msg); res.Outcome != notify.Delivered || res.PossibleDuplicate == "" {
		t.Errorf("the repeat gives %+v", res)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		options teams.Options
		word    string
		reason  string
	}{
		"URL":       {teams.Options{URLSecret: notifytest.Absent(t)}, "SecretMissing", v1alpha1.ReasonSecretMissing},
		"no URL":    {teams.Options{URLSecret: notifytest.Secret(t, "teams", "url", "teams")}, "InvalidURL", v1alpha1.ReasonInvalidSpec},
		"authority": {teams.Options{URLSecret: notifytest.Secret(t, "teams", "url", "https://a"), CASecret: notifytest.Absent(t)}, "SecretMissing", v1alpha1.ReasonSecretMissing},
	} {
		s := teams.New(c.options)
		if res := s.Send(t.Context(), notifytest.Message()); res.Outcome != notify.Refused || res.Word != c.word {
			t.Errorf("%s: %+v", name, res)
		}
		if reason, message := s.Check(t.Context()); reason != c.reason || message == "" {
			t.Errorf("%s: %s %q", name, reason, message)
		}
	}
	if reason, _ := sink(t, "https://a.example.com").Check(t.Context()); reason != "" {
		t.Errorf("a good receiver is complained of: %s", reason)
	}
}
