// Package interactive takes the buttons that people press in Slack, through Socket Mode or by signed requests, and does
// what they ask: first it is stored in the Incident, then acknowledged to Slack, then answered to the person.
package interactive

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/interact"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// App is a Slack app whose buttons are in the messages of one or more receivers.
type App struct {
	// AppToken is the file of the app-level token, for Socket Mode; Signing that of the signing secret, for requests by
	// HTTP. One of them has a file.
	AppToken, Signing secretfile.Ref
	// APIURL is the base of the Web API and ends in a slash.
	APIURL string
	// CA holds certificate authorities that are trusted besides the system's.
	CA secretfile.Ref
	// Receivers whose messages have the app's buttons.
	Receivers []*Receiver

	source sync.Once
	client *transport.Source
}

// Receiver is a channel with the app's buttons.
type Receiver struct {
	// Name of the receiver in the KubeBot.
	Name string
	// Token is the file of the bot token.
	Token secretfile.Ref
	// Allow limits who may do what.
	Allow v1alpha1.SlackPermissions

	groups groups
}

// http makes the client that calls Slack.
func (a *App) http() (*http.Client, error) {
	a.source.Do(func() { a.client = &transport.Source{CA: a.CA} })
	return a.client.Client()
}

// web makes the Web API with the receiver's token.
func (a *App) web(r *Receiver) (*slackgo.Client, error) {
	token, err := secretfile.Read(r.Token)
	if err != nil {
		return nil, err
	}
	client, err := a.http()
	if err != nil {
		return nil, err
	}
	return slackgo.New(token, slackgo.OptionAPIURL(a.APIURL), slackgo.OptionHTTPClient(client)), nil
}

// receiver returns the receiver through which the channel was told of the Incident; nil when none of the app's was.
func (a *App) receiver(inc *v1alpha1.Incident, channel string) *Receiver {
	for _, d := range inc.Status.Deliveries {
		if d.Channel != channel || channel == "" {
			continue
		}
		for _, r := range a.Receivers {
			if r.Name == d.Receiver {
				return r
			}
		}
	}
	return nil
}

// person is who pressed.
type person struct {
	// id is the member ID, name the handle.
	id, name string
	// guest means that the person belongs to another workspace.
	guest bool
}

// by names the person in records: the handle for people, the ID because handles can be changed.
func (p person) by() string {
	if p.name == "" {
		return "Slack " + p.id
	}
	return fmt.Sprintf("%s (Slack %s)", p.name, p.id)
}

func people(allow v1alpha1.SlackPermissions, right interact.Right) *v1alpha1.SlackPeople {
	switch right {
	case interact.RightAcknowledge:
		return allow.Acknowledge
	case interact.RightSilence:
		return allow.Silence
	case interact.RightFeedback:
		return allow.Feedback
	}
	return allow.Details
}

// what the rights are called in sentences.
var what = map[interact.Right]string{
	interact.RightAcknowledge: "acknowledge incidents", interact.RightSilence: "silence incidents",
	interact.RightFeedback: "judge incidents", interact.RightDetails: "see more of incidents",
}

// refusal says why the person may not, or is empty. Without a list everybody of the app's workspace who is in the
// channel may; people of other workspaces, who are in channels shared with them, must be named.
func (a *App) refusal(ctx context.Context, r *Receiver, who person, right interact.Right) string {
	allowed := people(r.Allow, right)
	field := fmt.Sprintf("spec.alerting.receivers (%s).slack.interactions.allow.%s of the KubeBot", r.Name, right)
	switch {
	case allowed == nil && who.guest:
		return fmt.Sprintf("You belong to another workspace, so you may %s here only if %s names you.", what[right], field)
	case allowed == nil || slices.Contains(allowed.Users, who.id):
		return ""
	}
	for _, group := range allowed.UserGroups {
		members, err := r.groups.members(ctx, a, r, group)
		if err != nil {
			return fmt.Sprintf("Slack can't tell at the moment whether you may %s (%s), so nothing was done. Try again, or see the responder's log.",
				what[right], group)
		}
		if slices.Contains(members, who.id) {
			return ""
		}
	}
	return fmt.Sprintf("You may not %s here: %s names neither you nor a user group of yours.", what[right], field)
}

// groups remember who is in a user group.
type groups struct {
	mu    sync.Mutex
	known map[string]membership
}

type membership struct {
	users []string
	at    time.Time
}

const (
	// groupTime is how long a membership is believed: who leaves a group may act for so much longer.
	groupTime = time.Minute
	// groupCall bounds the question: the press must be acknowledged within three seconds.
	groupCall = 1200 * time.Millisecond
)

func (g *groups) members(ctx context.Context, a *App, r *Receiver, group string) ([]string, error) {
	g.mu.Lock()
	have, ok := g.known[group]
	g.mu.Unlock()
	if ok && time.Since(have.at) < groupTime {
		return have.users, nil
	}
	ctx, cancel := context.WithTimeout(ctx, groupCall)
	defer cancel()
	web, err := a.web(r)
	if err != nil {
		return nil, err
	}
	users, err := web.GetUserGroupMembersContext(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("ask for the members of user group %s: %w", group, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil {
		g.known = map[string]membership{}
	}
	g.known[group] = membership{users: users, at: time.Now()}
	return users, nil
}
