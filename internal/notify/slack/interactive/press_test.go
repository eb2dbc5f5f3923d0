package interactive

import (
	"fmt"
	"slices"
	"testing"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestWhoBelongsToAnotherWorkspace(t *testing.T) {
	for name, c := range map[string]struct {
		user, team, rest string
		guest            bool
	}{
		"the same workspace":                      {`"team_id":"T1",`, `{"id":"T1"}`, "", false},
		"another workspace":                       {`"team_id":"T2",`, `{"id":"T1"}`, "", true},
		"the workspace's organisation":            {`"team_id":"E1",`, `{"id":"T1","enterprise_id":"E1"}`, "", false},
		"another organisation":                    {`"team_id":"E2",`, `{"id":"T1","enterprise_id":"E1"}`, `"enterprise":{"id":"E1"},`, true},
		"an app of the whole organisation":        {`"team_id":"E1",`, `null`, `"enterprise":{"id":"E1"},`, false},
		"nothing says where the person belongs":   {"", `{"id":"T1"}`, "", true},
		"nothing says where the press comes from": {`"team_id":"T1",`, `null`, "", true},
		"nothing says anything":                   {"", `null`, "", true},
	} {
		p, err := parse(fmt.Appendf(nil, `{"type":"block_actions","user":{%s"id":"U0000000011","name":"anna"},"team":%s,%s"channel":{"id":"C0000000001"},
			"container":{"message_ts":"1.1"},"actions":[{"type":"button","block_id":"b","action_id":"kubebot_acknowledge","value":"uid/name","action_ts":"1795231200.000100"}]}`,
			c.user, c.team, c.rest))
		if err != nil || p.who.guest != c.guest {
			t.Errorf("%s: guest is %t, %v", name, p.who.guest, err)
		}
	}
}

func TestTheRejectedCauseIsNotOfferedAsTheRightOne(t *testing.T) {
	inc := &v1alpha1.Incident{}
	for _, name := range []string{"a", "b", "c"} {
		inc.Status.Causes = append(inc.Status.Causes, v1alpha1.Cause{Kind: "code", Object: v1alpha1.CauseObject{Kind: "Deployment", Name: name}})
	}
	for rejected, want := range map[int32][]string{1: {"b", "c"}, 2: {"a", "c"}} {
		inc.Spec.Cause = &v1alpha1.CauseJudgement{Reject: &rejected}
		var got []string
		for _, b := range others(inc) {
			text := b.(*slackgo.ButtonBlockElement).Text.Text
			got = append(got, text[len("Deployment "):len("Deployment ")+1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("of three causes the one at place %d was rejected, and %v are offered, want %v", rejected, got, want)
		}
	}
}
