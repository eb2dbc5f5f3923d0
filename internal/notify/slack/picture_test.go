package slack_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/slack"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

func drawn(context.Context, *v1alpha1.Incident) ([]byte, string, error) {
	return []byte("picture"), "HTTPErrorsHigh <!here>", nil
}

func TestANewIncidentHasAPictureInItsThread(t *testing.T) {
	w := newWorkspace(t, func(o *slacktest.Options) { o.Tokens[0].Scopes = append(allScopes, "files:write") })
	s := newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: w.url, Picture: drawn})
	head := delivered(t, s, message()).Head
	s.Wait()
	list := w.Messages(channel)
	if len(list) != 2 || list[1].ThreadTS != head.ID || len(list[1].Files) != 1 || string(list[1].Files[0].Data) != "picture" {
		t.Fatalf("the channel holds %+v", list)
	}
	if f := list[1].Files[0]; f.Title != "HTTPErrorsHigh &lt;!here&gt;" || f.AltText == "" {
		t.Errorf("the file is %+v", f)
	}
	delivered(t, s, updated(head))
	delivered(t, s, again(message()))
	s.Wait()
	if n := len(w.Files()); n != 1 {
		t.Errorf("%d pictures", n)
	}
}

func TestAMessageNeedsNoPicture(t *testing.T) {
	for name, c := range map[string]struct {
		picture slack.Picture
		fault   slacktest.Fault
		// calls of the upload for two messages.
		calls int
	}{
		"nothing decides":      {func(context.Context, *v1alpha1.Incident) ([]byte, string, error) { return nil, "", errors.New("none") }, slacktest.Fault{}, 0},
		"the scope is missing": {drawn, slacktest.Fault{}, 1},
		"Slack is in trouble":  {drawn, slacktest.Fault{Method: "files.getUploadURLExternal", Kind: slacktest.KindReset}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, nil)
			if c.fault.Method != "" {
				w.fault(t, c.fault)
			}
			s := newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: w.url, Picture: c.picture})
			for range 2 {
				delivered(t, s, message())
				s.Wait()
			}
			calls := 0
			for _, call := range w.Calls() {
				if call.Method == "files.getUploadURLExternal" {
					calls++
				}
			}
			if calls != c.calls || len(w.Files()) != 0 {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
		})
	}
}
