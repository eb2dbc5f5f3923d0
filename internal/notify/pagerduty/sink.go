// Package pagerduty delivers to PagerDuty by its Events API v2: trigger, acknowledge and resolve of one alert, whose
// deduplication key names the incident, so that a repeat makes no second one.
//
// The events are the structs of PagerDuty's own module go-pagerduty. Its call is not used: it drops Retry-After, reads
// answers without a bound, and puts them into its errors.
package pagerduty

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/post"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/summary"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// DefaultAPIURL is the base of the Events API.
const DefaultAPIURL = "https://events.pagerduty.com/"

// maxSummary is PagerDuty's bound of a summary, in characters.
const maxSummary = 1024

// Options configure a sink. The files are read at each use.
type Options struct {
	// RoutingKey holds the integration key.
	RoutingKey secretfile.Ref
	// APIURL is the base of the Events API and ends in a slash; empty for DefaultAPIURL.
	APIURL string
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
	key, err := secretfile.Read(s.options.RoutingKey)
	if err != nil {
		return "", nil, post.Refused(post.SecretMissing, secretfile.Missing(s.options.RoutingKey, "PagerDuty's integration key (Events API v2)"))
	}
	client, fail = post.Client(s.options.HTTPClient, &s.source)
	return key, client, fail
}

// Check looks whether the key is there. It calls nobody: the Events API has no call without an effect.
func (s *Sink) Check(context.Context) (reason, message string) {
	_, _, fail := s.open()
	return post.Reason(fail)
}

// Send makes one attempt. PagerDuty joins events by their key, so a repeat is never a second alert.
func (s *Sink) Send(ctx context.Context, msg notify.Message) notify.Result {
	ctx, cancel := transport.WithMargin(ctx)
	defer cancel()
	key, client, fail := s.open()
	if fail != nil {
		return *fail
	}
	res := s.post(ctx, client, event(msg, key, s.options.ClusterName))
	if res.Outcome == notify.Delivered && msg.Tells(v1alpha1.DetailBecameCritical) {
		res = s.post(ctx, client, pagerduty.V2Event{
			RoutingKey: key, DedupKey: DedupKey(msg.Incident, v1alpha1.SeverityWarning), Client: "KubeBot", Action: "resolve",
		})
	}
	return res
}

func (s *Sink) post(ctx context.Context, client *http.Client, e pagerduty.V2Event) notify.Result {
	body, err := json.Marshal(e)
	if err != nil {
		return *post.Rejected("BadMessage", "The message can't be written as JSON.")
	}
	return post.Do(ctx, client, post.Request{
		URL: s.options.APIURL + "v2/enqueue", Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Now: s.options.Now,
		Accepted: []int{http.StatusAccepted}, KeyIsContent: true, // 400: "Invalid routing key"
		Advice: post.Advice{
			Denied: "check the integration key", Missing: "check apiURL",
			Rejected: "check that the Secret holds the integration key of an Events API v2 integration",
		},
	})
}

// DedupKey joins the events of an incident while it is critical, or while it is not: PagerDuty notifies nobody of a further
// event of an alert that is there, so an incident that becomes critical is a new one. The Incident's name is a hash of its
// KubeBot and group with a number, so it is unique among clusters.
func DedupKey(inc *v1alpha1.Incident, severity v1alpha1.Severity) string {
	key := "kubebot/" + inc.Namespace + "/" + inc.Name
	if severity != v1alpha1.SeverityCritical {
		key += "/lower"
	}
	return key
}

// event is a message in PagerDuty's form (https://developer.pagerduty.com/docs/send-alert-event).
func event(msg notify.Message, key, cluster string) pagerduty.V2Event {
	sum := summary.Of(msg, cluster)
	e := pagerduty.V2Event{RoutingKey: key, DedupKey: DedupKey(msg.Incident, sum.Severity), Client: "KubeBot"}
	if msg.Transition == v1alpha1.TransitionResolved || msg.Loud() {
		e.DedupKey = DedupKey(msg.Incident, msg.Incident.Status.Severity)
	}
	switch {
	case msg.Transition == v1alpha1.TransitionResolved:
		e.Action = "resolve"
		return e
	case msg.Transition == v1alpha1.TransitionUpdated && sum.Acknowledged && msg.Tells(v1alpha1.DetailAcknowledged) && !msg.Loud():
		e.Action = "acknowledge"
		return e
	}
	e.Action = "trigger"
	e.Payload = &pagerduty.V2Payload{
		Summary:   summary.Line(sum.Title, maxSummary),
		Source:    cmp.Or(sum.Cluster, "kubernetes"),
		Severity:  string(sum.Severity),
		Component: sum.Subject,
		Group:     summary.Line(msg.Incident.Spec.Subject.Namespace, 63),
		Details:   details(sum),
	}
	if !sum.Started.IsZero() {
		e.Payload.Timestamp = sum.Started.UTC().Format(time.RFC3339)
	}
	if e.Payload.Severity == "" {
		e.Payload.Severity = string(v1alpha1.SeverityWarning)
	}
	return e
}

// details are what PagerDuty shows in a table.
func details(sum summary.Summary) map[string]any {
	out := map[string]any{"Show": sum.Show}
	for _, f := range sum.Facts() {
		out[f.Name] = f.Value
	}
	if sum.Text != "" {
		out["Change"] = sum.Text
	}
	if len(sum.Commands) > 0 {
		out["Commands"] = sum.Commands
	}
	if len(sum.Alerts) > 0 {
		out["Alerts"] = sum.Alerts
	}
	if sum.More > 0 {
		out["More"] = sum.More
	}
	return out
}
