// Package opsgenie delivers to Opsgenie, and to Jira Service Management, by the Alert API: create, note, acknowledge and
// close of one alert, whose alias names the incident, so that a repeat makes no second one.
//
// The calls are made here. Opsgenie's module opsgenie-go-sdk-v2 repeats calls by itself with pauses of its own, logs
// them, and puts answers into its errors; and as Atlassian ends Opsgenie in April 2027 it is not developed any more.
package opsgenie

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/post"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/summary"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// DefaultAPIURL is the base of the API.
const DefaultAPIURL = "https://api.opsgenie.com/"

// maxMessage is Opsgenie's bound of a message, in characters.
const maxMessage = 130

// Options configure a sink. The files are read at each use.
type Options struct {
	// APIKey holds the key of the API integration.
	APIKey secretfile.Ref
	// APIURL is the base of the API and ends in a slash; empty for DefaultAPIURL.
	APIURL string
	// Responders are who is told; the integration's own when empty.
	Responders []v1alpha1.OpsGenieResponder
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

// Sink delivers to one integration. It is safe for concurrent use.
type Sink struct {
	options Options
	source  transport.Source
}

var _ notify.Sink = (*Sink)(nil)

// New makes a sink.
func New(options Options) *Sink {
	options.APIURL = cmp.Or(options.APIURL, DefaultAPIURL)
	return &Sink{options: options, source: transport.Source{CA: options.CASecret, Guard: options.Guard}}
}

func (s *Sink) open() (key string, client *http.Client, fail *notify.Result) {
	key, err := secretfile.Read(s.options.APIKey)
	if err != nil {
		return "", nil, post.Refused(post.SecretMissing, secretfile.Missing(s.options.APIKey, "the key of Opsgenie's API integration"))
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", nil, post.Refused("InvalidKey", "The key of Opsgenie's API integration has characters that no key has: store it again.")
	}
	client, fail = post.Client(s.options.HTTPClient, &s.source)
	return key, client, fail
}

// Check looks whether the key is there.
func (s *Sink) Check(context.Context) (reason, message string) {
	_, _, fail := s.open()
	return post.Reason(fail)
}

// Send makes one attempt. Opsgenie joins what has the same alias; only a note may be there twice.
func (s *Sink) Send(ctx context.Context, msg notify.Message) notify.Result {
	ctx, cancel := transport.WithMargin(ctx)
	defer cancel()
	key, client, fail := s.open()
	if fail != nil {
		return *fail
	}
	path, content := s.call(msg)
	res := s.post(ctx, client, key, path, content)
	if res.Outcome == notify.Delivered && msg.MayHaveArrived && strings.Contains(path, "/notes?") {
		res.PossibleDuplicate = "An earlier attempt had no answer, so the alert may have the same note twice."
	}
	if res.Outcome == notify.Delivered && msg.Tells(v1alpha1.DetailBecameCritical) {
		res = s.post(ctx, client, key, verb(msg.Incident, v1alpha1.SeverityWarning, "close"),
			action{"KubeBot", "It became critical, which is an alert of its own."})
	}
	return res
}

func (s *Sink) post(ctx context.Context, client *http.Client, key, path string, content any) notify.Result {
	body, err := json.Marshal(content)
	if err != nil {
		return *post.Rejected("BadMessage", "The message can't be written as JSON.")
	}
	return post.Do(ctx, client, post.Request{
		URL: s.options.APIURL + path, Body: body, Now: s.options.Now,
		Accepted: []int{http.StatusAccepted}, KeyIsContent: true, // 422: "Key format is not valid!"
		Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"GenieKey " + key}},
		Advice: post.Advice{
			Denied: "check the key, and that the integration may create and change alerts", Missing: "check apiURL",
			Rejected: "check the key and the responders",
		},
	})
}

// Alias joins the calls of an incident while it is critical, or while it is not: Opsgenie notifies nobody of a repeat of an
// alert that is there, so an incident that becomes critical is a new one. The Incident's name is a hash of its KubeBot and
// group with a number, so it is unique among clusters.
func Alias(inc *v1alpha1.Incident, severity v1alpha1.Severity) string {
	alias := "kubebot/" + inc.Namespace + "/" + inc.Name
	if severity != v1alpha1.SeverityCritical {
		alias += "/lower"
	}
	return alias
}

// verb is the path of what is done with the alert that is there.
func verb(inc *v1alpha1.Incident, severity v1alpha1.Severity, what string) string {
	return "v2/alerts/" + url.PathEscape(Alias(inc, severity)) + "/" + what + "?identifierType=alias"
}

// The forms of https://docs.opsgenie.com/docs/alert-api.
type (
	create struct {
		Message     string            `json:"message"`
		Alias       string            `json:"alias"`
		Description string            `json:"description"`
		Responders  []responder       `json:"responders,omitempty"`
		Details     map[string]string `json:"details"`
		Entity      string            `json:"entity"`
		Source      string            `json:"source"`
		Priority    string            `json:"priority"`
	}
	responder struct {
		Type     string `json:"type"`
		Name     string `json:"name,omitempty"`
		Username string `json:"username,omitempty"`
	}
	action struct {
		Source string `json:"source"`
		Note   string `json:"note"`
	}
)

// call is what is posted where.
func (s *Sink) call(msg notify.Message) (path string, content any) {
	sum := summary.Of(msg, s.options.ClusterName)
	severity := sum.Severity
	if msg.Transition == v1alpha1.TransitionResolved || msg.Loud() {
		severity = msg.Incident.Status.Severity
	}
	switch {
	case msg.Transition == v1alpha1.TransitionResolved:
		return verb(msg.Incident, severity, "close"), action{"KubeBot", sum.Text}
	case msg.Loud():
	case msg.Transition == v1alpha1.TransitionUpdated && sum.Acknowledged && msg.Tells(v1alpha1.DetailAcknowledged):
		return verb(msg.Incident, severity, "acknowledge"), action{"KubeBot", sum.State()}
	case msg.Transition == v1alpha1.TransitionUpdated:
		return verb(msg.Incident, severity, "notes"), action{"KubeBot", cmp.Or(sum.Text, sum.Title) + "\nDetails: " + sum.Show}
	}
	out := create{
		Message: summary.Line(sum.Title, maxMessage), Alias: Alias(msg.Incident, severity), Description: sum.Plain(), Details: map[string]string{},
		Entity: sum.Subject, Source: "KubeBot", Priority: priority(sum.Severity),
	}
	for _, f := range sum.Facts() {
		out.Details[f.Name] = f.Value
	}
	for _, r := range s.options.Responders {
		if r.Type == "user" {
			out.Responders = append(out.Responders, responder{Type: r.Type, Username: r.Name})
		} else {
			out.Responders = append(out.Responders, responder{Type: r.Type, Name: r.Name})
		}
	}
	return "v2/alerts", out
}

// priority of Opsgenie, from P1 (critical) to P5.
func priority(s v1alpha1.Severity) string {
	switch s {
	case v1alpha1.SeverityCritical:
		return "P1"
	case v1alpha1.SeverityInfo:
		return "P5"
	}
	return "P3"
}
