//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	slacktest "github.com/kubebot/kubebot/test/slack"
	"github.com/kubebot/kubebot/test/stack"
)

// document is the webhook's body, as far as it is looked at.
type document struct {
	Transition string
	Incident   struct {
		Name    string
		Subject struct{ Kind, Namespace, Name string }
		Title   string
	}
}

// about returns the webhooks about a subject.
func about(t *testing.T, hooks []slacktest.Webhook, namespace, name string) []document {
	t.Helper()
	var found []document
	for _, h := range hooks {
		var d document
		must(t, json.Unmarshal([]byte(h.Body), &d))
		if d.Incident.Subject.Namespace == namespace && d.Incident.Subject.Name == name {
			if h.Signature != "valid" {
				t.Errorf("the signature of webhook %s is %s", h.Key, h.Signature)
			}
			found = append(found, d)
		}
	}
	return found
}

// headsAbout returns the top-level Slack messages that name a workload in their subject.
func headsAbout(ctx context.Context, workload string) ([]stack.Message, error) {
	all, err := cluster.SlackMessages(ctx)
	var found []stack.Message
	for _, m := range all {
		if strings.Contains(m.String(), workload) {
			found = append(found, m)
		}
	}
	return found, err
}

func TestBadRolloutIsOneMessageThatIsUpdatedWhenItIsOver(t *testing.T) {
	ctx := contextOf(t, 24*time.Minute)
	before, err := cluster.SlackMessages(ctx)
	must(t, err)
	if len(before) > 0 {
		t.Errorf("a quiet cluster has %d messages in Slack: %s", len(before), before[0])
	}
	whyFindsNothing(t, ctx)
	must(t, cluster.BreakShop(ctx))
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		heads, err := headsAbout(ctx, "shop/catalog")
		if err != nil {
			return err
		}
		if len(heads) == 0 {
			return fmt.Errorf("no message about the catalog")
		}
		if !strings.Contains(heads[0].String(), "Likely cause (") {
			return fmt.Errorf("the message does not name the cause yet: %s", heads[0])
		}
		return nil
	}))
	whyFollowsTheError(t, ctx)
	must(t, cluster.MendShop(ctx))
	must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		heads, err := headsAbout(ctx, "shop/catalog")
		if err != nil {
			return err
		}
		if len(heads) != 1 || !heads[0].Resolved() || len(heads[0].Replies) == 0 {
			return fmt.Errorf("want one resolved message with a thread, have %d: %v", len(heads), heads)
		}
		return nil
	}))
	all, err := cluster.SlackMessages(ctx)
	must(t, err)
	if len(all) != 1 {
		t.Errorf("want the one message and nothing else, have %d: %v", len(all), all)
	}
	must(t, stack.Eventually(ctx, 30*time.Second, time.Second, func(ctx context.Context) error {
		hooks, err := cluster.Webhooks(ctx)
		if err != nil {
			return err
		}
		docs := about(t, hooks, "shop", "catalog")
		if len(docs) < 2 || docs[0].Transition != "Opened" || docs[len(docs)-1].Transition != "Resolved" {
			return fmt.Errorf("want the webhook told from Opened to Resolved, have %+v", docs)
		}
		return nil
	}))
}
