package slack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// maxAnswer bounds an answer of the Web API. A page of history with the largest messages is some 7 MB.
const maxAnswer = 16 << 20

// api is the Web API with one token.
type api struct {
	client *slackgo.Client
	http   *http.Client
	token  string
}

// newAPI makes an api that calls base, which ends in a slash.
func newAPI(client *http.Client, base, token string, now func() time.Time) *api {
	return &api{
		client: slackgo.New(token, slackgo.OptionAPIURL(base), slackgo.OptionHTTPClient(doer{client: client, now: now})),
		http:   client,
		token:  token,
	}
}

// call is what is learned of one call beneath slack-go.
type call struct {
	watch      *transport.Call
	status     int
	retryAfter time.Duration
}

type callKey struct{}

// do makes one call and sorts its error; nil when Slack said ok.
func do(ctx context.Context, f func(context.Context) error) *failure {
	ctx, watch := transport.Watch(ctx)
	c := &call{watch: watch}
	if err := f(context.WithValue(ctx, callKey{}, c)); err != nil {
		return explain(err, c)
	}
	return nil
}

// broken tells whether the connection failed while the answer was read.
func (c *call) broken(err error) bool {
	var timeout net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &timeout)
}

// doer is the HTTP client beneath slack-go: it bounds answers and notes their status.
type doer struct {
	client *http.Client
	now    func() time.Time
}

// Do implements the client that slack-go asks for.
func (d doer) Do(req *http.Request) (*http.Response, error) {
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	if c, ok := req.Context().Value(callKey{}).(*call); ok {
		c.status, c.retryAfter = resp.StatusCode, transport.RetryAfter(resp.Header, d.now())
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// What IDs look like; an answer with others is not Slack's.
var (
	timestampPattern = regexp.MustCompile(`^[0-9]{1,16}\.[0-9]{1,9}$`)
	channelPattern   = regexp.MustCompile(`^[A-Z][A-Z0-9]{2,62}$`)
)

// reference checks the channel and timestamp of an answer.
func reference(channel, timestamp string) (notify.Ref, *failure) {
	if !channelPattern.MatchString(channel) || !timestampPattern.MatchString(timestamp) {
		return notify.Ref{}, garbage()
	}
	return notify.Ref{Channel: channel, ID: timestamp}, nil
}

// common are the options of every message: nothing in the text is looked for links, names or formats.
func common(c content, plainOnly bool) []slackgo.MsgOption {
	options := []slackgo.MsgOption{
		slackgo.MsgOptionText(c.text, false),
		slackgo.MsgOptionParse(false),
		slackgo.MsgOptionLinkNames(false),
		slackgo.MsgOptionDisableMarkdown(),
		slackgo.MsgOptionDisableLinkUnfurl(),
		slackgo.MsgOptionDisableMediaUnfurl(),
	}
	if plainOnly {
		return append(options, slackgo.MsgOptionBlocks())
	}
	return append(options, slackgo.MsgOptionBlocks(c.blocks...))
}

// post sends a message, into the thread of thread.ID if there is one. A message whose blocks Slack rejects is sent as
// plain text: the rejection is sure, and what people need to know is in the text.
func (a *api) post(ctx context.Context, channel, thread string, c content, meta slackgo.SlackMetadata, broadcast bool) (notify.Ref, *failure) {
	ref, fail := a.postOnce(ctx, channel, thread, c, meta, broadcast, false)
	if fail != nil && rejectedFormat[fail.code] {
		return a.postOnce(ctx, channel, thread, c, meta, broadcast, true)
	}
	return ref, fail
}

func (a *api) postOnce(
	ctx context.Context, channel, thread string, c content, meta slackgo.SlackMetadata, broadcast, plainOnly bool,
) (ref notify.Ref, fail *failure) {
	options := append(common(c, plainOnly), slackgo.MsgOptionMetadata(meta))
	if thread != "" {
		options = append(options, slackgo.MsgOptionTS(thread))
		if broadcast {
			options = append(options, slackgo.MsgOptionBroadcast())
		}
	}
	var gotChannel, timestamp string
	fail = do(ctx, func(ctx context.Context) (err error) {
		gotChannel, timestamp, err = a.client.PostMessageContext(ctx, channel, options...)
		return err
	})
	if fail != nil {
		return notify.Ref{}, fail
	}
	return reference(gotChannel, timestamp)
}

// update edits a message. Its metadata stay as they are, since none are sent.
func (a *api) update(ctx context.Context, ref notify.Ref, c content) *failure {
	fail := a.updateOnce(ctx, ref, c, false)
	if fail != nil && rejectedFormat[fail.code] {
		return a.updateOnce(ctx, ref, c, true)
	}
	return fail
}

func (a *api) updateOnce(ctx context.Context, ref notify.Ref, c content, plainOnly bool) *failure {
	var channel, timestamp string
	fail := do(ctx, func(ctx context.Context) (err error) {
		channel, timestamp, _, err = a.client.UpdateMessageContext(ctx, ref.Channel, ref.ID, common(c, plainOnly)...)
		return err
	})
	if fail != nil {
		return fail
	}
	_, fail = reference(channel, timestamp)
	return fail
}
