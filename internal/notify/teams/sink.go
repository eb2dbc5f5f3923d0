// Package teams delivers to Microsoft Teams: an Adaptive Card by POST to the URL of a workflow ("When a Teams webhook
// request is received"), which has taken the place of the connectors. A workflow gives back no message to edit, so the
// receiver is told of the beginning, of what makes it critical and of the end, and of nothing else in between.
//
// The wire form is two levels of JSON, written from the structs below. The module go-teams-notify was left out: it has no
// RichTextBlock, the one element whose text has no markup, and it repeats calls by itself.
package teams

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/post"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/summary"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// Options configure a sink. The files are read at each use.
type Options struct {
	// URLSecret holds the URL of the workflow.
	URLSecret secretfile.Ref
	// CASecret holds certificate authorities that are trusted besides the system's; without one, none.
	CASecret secretfile.Ref
	// Guard refuses addresses that no receiver may have; nil refuses none.
	Guard *transport.Guard
	// ClusterName stands in messages of incidents that name no cluster.
	ClusterName string
	// HTTPClient makes the calls; nil for one of package transport, which then trusts CASecret.
	HTTPClient *http.Client
	// Now is the clock that Retry-After dates are compared with; nil for time.Now.
	Now func() time.Time
}

// Sink delivers to one workflow. It is safe for concurrent use.
type Sink struct {
	options Options
	source  transport.Source
}

var _ notify.Sink = (*Sink)(nil)

// New makes a sink.
func New(options Options) *Sink {
	return &Sink{options: options, source: transport.Source{CA: options.CASecret, Guard: options.Guard}}
}

func (s *Sink) open() (target string, client *http.Client, fail *notify.Result) {
	target, err := secretfile.Read(s.options.URLSecret)
	if err != nil {
		return "", nil, post.Refused(post.SecretMissing, secretfile.Missing(s.options.URLSecret, "the URL of the Teams workflow"))
	}
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", nil, post.Refused("InvalidURL", "The URL of the Teams workflow is not an http or https URL with a host: copy it from the workflow again.")
	}
	client, fail = post.Client(s.options.HTTPClient, &s.source)
	return target, client, fail
}

// Check looks whether the URL is there. It calls nobody: a workflow has no call without an effect.
func (s *Sink) Check(context.Context) (reason, message string) {
	_, _, fail := s.open()
	return post.Reason(fail)
}

// Send makes one attempt. A change between beginning and end is not sent, but one that is loud.
func (s *Sink) Send(ctx context.Context, msg notify.Message) notify.Result {
	if msg.Transition == v1alpha1.TransitionUpdated && !msg.Loud() {
		return notify.Result{Outcome: notify.Delivered, Word: "NotNeeded", Detail: "Teams is told of the beginning and the end of an incident."}
	}
	ctx, cancel := transport.WithMargin(ctx)
	defer cancel()
	target, client, fail := s.open()
	if fail != nil {
		return *fail
	}
	body, err := json.Marshal(message(summary.Of(msg, s.options.ClusterName)))
	if err != nil {
		return *post.Rejected("BadMessage", "The message can't be written as JSON.")
	}
	res := post.Do(ctx, client, post.Request{
		URL: target, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Now: s.options.Now,
		Accepted: []int{http.StatusOK, http.StatusAccepted},
		Advice: post.Advice{
			Denied: "copy the workflow's URL again, and let its trigger take calls of anyone", Missing: "the workflow may be gone: copy its URL again",
			Rejected: "look at the workflow's run history",
		},
	})
	if res.Outcome == notify.Delivered && msg.MayHaveArrived {
		res.PossibleDuplicate = "An earlier attempt had no answer, and Teams can't tell whether it arrived."
	}
	return res
}
