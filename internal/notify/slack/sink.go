// Package slack delivers to a channel of Slack through the Web API: the first message of an incident is the head, which
// is edited on each change; its thread is the history. Every message carries the key of its delivery as metadata, so
// that after a lost answer the channel's history tells whether it arrived.
package slack

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kubebot/kubebot/internal/links"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// DefaultAPIURL is the base of Slack's Web API.
const DefaultAPIURL = "https://slack.com/api/"

// Options configure a sink.
type Options struct {
	// Channel is a channel ID or a name with or without #.
	Channel string
	// Token is the file that holds the bot token. It is read at each use.
	Token secretfile.Ref
	// APIURL is the base of the Web API and ends in a slash; empty for DefaultAPIURL.
	APIURL string
	// ClusterName stands in messages of incidents that name no cluster.
	ClusterName string
	// Buttons puts what people can do into the head, the links to Grafana among it; without them these are text.
	Buttons bool
	Links   links.Grafana
	// Picture draws what is put into the thread of a new incident; nil for none.
	Picture Picture
	// CASecret holds certificate authorities that are trusted besides the system's, for a proxy that ends TLS; without
	// a file, none. It is read at each use.
	CASecret secretfile.Ref
	// Guard refuses addresses that no receiver may have; nil refuses none.
	Guard *transport.Guard
	// HTTPClient makes the calls; nil for one of package transport, which then trusts CASecret.
	HTTPClient *http.Client
	// Now is the clock of checks, and that Retry-After dates are compared with; nil for time.Now.
	Now func() time.Time
}

// Sink delivers to one channel. It is safe for concurrent use.
type Sink struct {
	options Options
	source  transport.Source

	mu sync.Mutex
	// channelID is the ID behind Options.Channel, once known.
	channelID string
	// verdict is what the last check said.
	verdict verdict
	// drawing is how many pictures are being made; noPicture until when none is tried.
	drawing   int
	noPicture time.Time
	pictures  sync.WaitGroup
}

var _ notify.Sink = (*Sink)(nil)

// New makes a sink.
func New(options Options) *Sink {
	if options.APIURL == "" {
		options.APIURL = DefaultAPIURL
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Sink{options: options, source: transport.Source{CA: options.CASecret, Guard: options.Guard}}
	if channelPattern.MatchString(options.Channel) {
		s.channelID = options.Channel
	}
	return s
}

// open reads the token and the authorities and makes the API with them.
func (s *Sink) open() (*api, *failure) {
	token, err := secretfile.Read(s.options.Token)
	if err != nil {
		return nil, &failure{outcome: notify.Refused, word: "SecretMissing",
			detail: secretfile.Missing(s.options.Token, "the bot token (xoxb-…) of the Slack app")}
	}
	client := s.options.HTTPClient
	if client == nil {
		if client, err = s.source.Client(); err != nil {
			word, detail := s.source.Problem(err)
			return nil, &failure{outcome: notify.Refused, word: word, detail: detail}
		}
	}
	return newAPI(client, s.options.APIURL, token, s.options.Now), nil
}

// Send makes one attempt. After a lost answer (msg.MayHaveArrived) it first looks for the key; as long as the look-up is
// not answered for a reason that passes, the outcome stays Unknown and nothing is sent.
func (s *Sink) Send(ctx context.Context, msg notify.Message) notify.Result {
	ctx, cancel := transport.WithMargin(ctx)
	defer cancel()
	api, fail := s.open()
	if fail != nil {
		return fail.result()
	}
	d := delivery{sink: s, api: api, msg: msg}
	res := d.send(ctx)
	s.compare(res)
	if msg.MayHaveArrived && res.Outcome == notify.Retry {
		// What an earlier attempt left open is still open.
		res.Outcome = notify.Unknown
	}
	if res.Outcome == notify.Delivered {
		s.illustrate(msg, res.Head)
	}
	return redact(res, api.token)
}

// redact makes sure that a token does not get into records even if an answer repeats it.
func redact(res notify.Result, token string) notify.Result {
	for _, text := range []*string{&res.Word, &res.Detail, &res.PossibleDuplicate} {
		*text = strings.ReplaceAll(*text, token, "[token]")
	}
	return res
}

// head renders the incident as it stands, with buttons if people can press them.
func (s *Sink) head(msg notify.Message) content {
	if msg.Digest != nil {
		return digest(msg, s.options.ClusterName)
	}
	c := head(msg, s.options.ClusterName)
	if s.options.Buttons {
		c.blocks = append(c.blocks, buttons(msg, s.options.Links)...)
	} else {
		c.blocks = append(c.blocks, linkLine(msg.Incident, s.options.Links)...)
	}
	return c
}

// knownChannel returns the channel's ID if it is known.
func (s *Sink) knownChannel() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channelID
}

// learnChannel notes the ID behind the name.
func (s *Sink) learnChannel(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channelID == "" {
		s.channelID = id
	}
}
