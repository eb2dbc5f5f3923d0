package summary_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/summary"
)

func TestASummaryIsTheSameHoweverOftenItIsMade(t *testing.T) {
	if a, b := summary.Of(notifytest.Message(), "c").Plain(), summary.Of(notifytest.Message(), "c").Plain(); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestTheStateIsSaid(t *testing.T) {
	msg := notifytest.Message()
	if got := summary.Of(msg, "").State(); got != "Open" {
		t.Error(got)
	}
	msg.Incident.Spec.Acknowledge = &v1alpha1.Request{By: "anna"}
	if got := summary.Of(msg, "").State(); got != "Acknowledged by anna" {
		t.Error(got)
	}
	if got := summary.Of(notifytest.Later(v1alpha1.TransitionResolved, 2), "").State(); got != "Resolved" {
		t.Error(got)
	}
}

func TestAFixIsToldOfTheStatedCauseAlone(t *testing.T) {
	const sentence, fix, command = "The rollout of catalog at 03:18 UTC", "Undo the rollout.", "kubectl rollout undo deploy/catalog -n shop"
	for why, c := range map[string]struct {
		stated string
		told   bool
	}{
		"the analysis found it":                    {stated: sentence, told: true},
		"no cause stands out":                      {stated: ""},
		"the cause is what the alert says":         {stated: "ImagePullFailed of checkout"},
		"the sentence is cut to the field's limit": {stated: sentence[:20], told: true},
	} {
		t.Run(why, func(t *testing.T) {
			msg := notifytest.Message()
			msg.Incident.Status.Cause = c.stated
			got := summary.Of(msg, "")
			if told := got.Fix == fix && slices.Equal(got.Commands, []string{command}); told != c.told || !told && (got.Fix != "" || got.Commands != nil) {
				t.Errorf("fix %q with %q", got.Fix, got.Commands)
			}
			if plain := got.Plain(); strings.Contains(plain, "(90 %)") != c.told || !strings.Contains(plain, c.stated) {
				t.Error(plain)
			}
		})
	}
}

func TestCommandsAreShownAllAndAsTheyAreOrNot(t *testing.T) {
	remove, create := "kubectl -n shop delete job/report", "kubectl -n shop apply -f FILE"
	patch := "kubectl -n shop patch deployment web --type=json -p '" + strings.Repeat("x", 500) + "'"
	why := []string{"kubectl kubebot why incident/main-7f3a-1 -n kubebot"}
	for name, c := range map[string]struct{ commands, want []string }{
		"a long one":             {[]string{patch, create}, []string{patch, create}},
		"more than is shown":     {[]string{patch, patch, patch, patch}, why},
		"one that is not a line": {[]string{remove, create + " -l 'a  b'"}, why},
	} {
		t.Run(name, func(t *testing.T) {
			msg := notifytest.Message()
			msg.Text = "Likely cause (90 %): x\nFix: y\n    " + strings.Join(c.commands, "\n    ") + "\nEvidence:"
			msg.Incident.Status.Causes[0].Fix.Commands = c.commands
			got := summary.Of(msg, "")
			if !slices.Equal(got.Commands, c.want) {
				t.Errorf("%q", got.Commands)
			}
			if got.Text != "Likely cause (90 %): x Fix: y Evidence:" {
				t.Errorf("%q is cut, so it may hold no command", got.Text)
			}
			if told := strings.Contains(got.Fix, "The command below prints"); told != slices.Equal(c.want, why) {
				t.Error(got.Fix)
			}
		})
	}
}

func FuzzLine(f *testing.F) {
	f.Add(notifytest.HostileText, 20)
	f.Add("\xff\u2028a\u0085b", 3)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 1 || limit > 1000 {
			t.Skip("no limit that is used")
		}
		got := summary.Line(text, limit)
		if n := utf8.RuneCountInString(got); n > limit || !utf8.ValidString(got) {
			t.Errorf("%q has %d characters, at most %d", got, n, limit)
		}
		if strings.ContainsFunc(got, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
		}) {
			t.Errorf("%q is more than a line", got)
		}
	})
}
