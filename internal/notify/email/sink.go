// Package email delivers mail by SMTP with github.com/wneessen/go-mail. The mails of an incident are one thread: the
// first has an identifier made of the Incident, and the others refer to it.
package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/post"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/summary"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

// Options configure a sink. The files are read at each use.
type Options struct {
	// Server is host:port.
	Server string
	// TLS says how the connection is encrypted; empty for StartTLS.
	TLS v1alpha1.EmailTLS
	// From and To are addresses.
	From string
	To   []string
	// Username and Password log in; without a username nobody does.
	Username string
	Password secretfile.Ref
	// CASecret holds certificate authorities that are trusted besides the system's; without one, none.
	CASecret secretfile.Ref
	// Guard refuses addresses that no receiver may have; nil refuses none.
	Guard *transport.Guard
	// ClusterName stands in messages of incidents that name no cluster.
	ClusterName string
}

// Sink delivers by one mail server. It is safe for concurrent use.
type Sink struct {
	options Options
	source  transport.Source
}

var _ notify.Sink = (*Sink)(nil)

// mechanisms to log in by, the best first. All but the last two send no password.
var mechanisms = []mail.SMTPAuthType{
	mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthCramMD5, mail.SMTPAuthPlain, mail.SMTPAuthLogin,
}

// New makes a sink.
func New(options Options) *Sink {
	if options.TLS == "" {
		options.TLS = v1alpha1.EmailStartTLS
	}
	return &Sink{options: options, source: transport.Source{CA: options.CASecret, Guard: options.Guard}}
}

// Check looks whether the files are there and can be used.
func (s *Sink) Check(ctx context.Context) (reason, message string) {
	_, _, fail := s.open(ctx)
	return post.Reason(fail)
}

// open reads the files and makes a client with the connection that it will use.
func (s *Sink) open(ctx context.Context) (*mail.Client, *line, *notify.Result) {
	o := s.options
	host, portText, err := net.SplitHostPort(o.Server)
	port, portErr := strconv.Atoi(portText)
	if err != nil || portErr != nil || host == "" || port < 1 || port > 65535 {
		return nil, nil, post.Refused("InvalidServer", "The mail server is not host:port, such as smtp.example.com:587: correct it.")
	}
	roots, err := s.source.RootCAs()
	if err != nil {
		return nil, nil, post.Refused(s.source.Problem(err))
	}
	config := &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	connection := &line{guard: o.Guard, ctx: ctx}
	options := []mail.Option{
		mail.WithPort(port), mail.WithTimeout(transport.CallTimeout), mail.WithHELO("localhost"), mail.WithTLSConfig(config),
		mail.WithoutNoop(), mail.WithoutSMTPUTF8(), mail.WithDialContextFunc(connection.dial),
	}
	switch o.TLS {
	case v1alpha1.EmailImplicitTLS:
		connection.tls = config
		options = append(options, mail.WithSSL())
	case v1alpha1.EmailNoTLS:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if o.Username != "" {
		password, err := secretfile.Read(o.Password)
		if err != nil {
			return nil, nil, post.Refused(post.SecretMissing, secretfile.Missing(o.Password, "the password of the mail server"))
		}
		options = append(options, mail.WithUsername(o.Username), mail.WithPassword(password), mail.WithOpportunisticSMTPAuth(mechanisms...))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, nil, post.Refused("InvalidServer", "The mail server can't be used as it is given: check server and tls.")
	}
	return client, connection, nil
}

// Send makes one attempt: one connection, one mail to all addresses.
func (s *Sink) Send(ctx context.Context, msg notify.Message) notify.Result {
	ctx, cancel := transport.WithMargin(ctx)
	defer cancel()
	client, connection, fail := s.open(ctx)
	if fail != nil {
		return *fail
	}
	m, err := s.compose(msg)
	if err != nil {
		return *post.Refused("InvalidAddress", "An address of from or to can't be used: correct it.")
	}
	defer connection.close()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return before(err)
	}
	err = client.SendWithSMTPClient(session, m)
	if !m.IsDelivered() {
		return during(err)
	}
	// The mail is taken; how the connection ends changes nothing.
	_ = client.CloseWithSMTPClient(session)
	res := notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: notify.Ref{ID: threadID(msg)}}
	if msg.MayHaveArrived {
		res.PossibleDuplicate = "An earlier attempt had no answer. The mail has the same Message-ID, by which many mail servers drop the second."
	}
	return res
}

// before sorts an error before the mail: the connection, encryption and login.
func before(err error) notify.Result {
	var answer *textproto.Error
	switch {
	case errors.As(err, &answer) && answer.Code >= 530 && answer.Code <= 538:
		return *post.Refused("AccessDenied", code(answer.Code)+": check username and password, and that the account may send by SMTP.")
	case errors.As(err, &answer):
		return refusedBy(answer.Code)
	case strings.Contains(err.Error(), "STARTTLS"):
		return *post.Refused("NoSTARTTLS", "The mail server offers no STARTTLS: check the port, or set tls to TLS (often port 465).")
	case strings.Contains(err.Error(), "AUTH"):
		return *post.Refused("AccessDenied", "The mail server knows no way to log in that KubeBot knows, or has refused the login.")
	}
	why := transport.Explain(err)
	res := notify.Result{Outcome: notify.Retry, Word: why.Word, Detail: why.Detail}
	if why.NeedsPerson {
		res.Outcome = notify.Refused
	}
	return res
}

// during sorts an error of the mail. Only where the end of the mail was sent and nothing came back can it have arrived.
func during(err error) notify.Result {
	var failed *mail.SendError
	if !errors.As(err, &failed) {
		return before(err)
	}
	if c := failed.ErrorCode(); c != 0 {
		res := refusedBy(c)
		// What comes after the addresses is the mail itself, such as one that is too large or looks like spam.
		res.OnlyThis = res.Outcome == notify.Refused && failed.Reason != mail.ErrSMTPMailFrom && failed.Reason != mail.ErrSMTPRcptTo
		return res
	}
	if failed.Reason == mail.ErrSMTPDataClose {
		return notify.Result{Outcome: notify.Unknown, Word: "ConnectionReset",
			Detail: "The connection to the mail server ended before it had answered to the mail."}
	}
	return notify.Result{Outcome: notify.Retry, Word: "ConnectionReset", Detail: "The connection to the mail server ended before the mail was sent."}
}

func code(c int) string { return fmt.Sprintf("The mail server answered with code %d", c) }

// refusedBy sorts a code: 4xx is for now, 5xx for good (RFC 5321, 4.2.1). The server's text is not repeated.
func refusedBy(c int) notify.Result {
	if c >= 400 && c < 500 {
		return notify.Result{Outcome: notify.Retry, Word: "ServerError", Detail: code(c) + "."}
	}
	return *post.Refused("Rejected", code(c)+": check from, to and what the account may send.")
}

// compose writes the mail. It depends on the message alone.
func (s *Sink) compose(msg notify.Message) (*mail.Msg, error) {
	sum := summary.Of(msg, s.options.ClusterName)
	m := mail.NewMsg()
	if err := m.From(s.options.From); err != nil {
		return nil, fmt.Errorf("read from: %w", err)
	}
	if err := m.To(s.options.To...); err != nil {
		return nil, fmt.Errorf("read to: %w", err)
	}
	domain := s.options.From[strings.LastIndexByte(s.options.From, '@')+1:]
	thread := threadID(msg) + "@" + domain
	subject := summary.Line(fmt.Sprintf("[%s] %s (%s)", sum.Cluster, sum.Title, sum.Subject), 200)
	if msg.Head.ID == "" {
		m.SetMessageIDWithValue(thread)
	} else {
		subject = "Re: " + subject
		m.SetMessageIDWithValue(msg.Key + "@" + domain)
		m.SetGenHeader(mail.HeaderInReplyTo, "<"+thread+">")
		m.SetGenHeader(mail.HeaderReferences, "<"+thread+">")
	}
	m.Subject(subject)
	m.SetDateWithValue(msg.At.UTC())
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's out-of-office answers
	m.SetGenHeader("X-Kubebot-Key", msg.Key)
	m.SetUserAgent("KubeBot")
	if sum.Severity == v1alpha1.SeverityCritical && !sum.Over {
		m.SetImportance(mail.ImportanceHigh)
	}
	m.SetBodyString(mail.TypeTextPlain, sum.Headline(200)+"\n\n"+sum.Plain())
	return m, nil
}

// threadID is the left side of the first mail's identifier, the same at whichever replica. It is kept as the head.
func threadID(msg notify.Message) string {
	if msg.Head.ID != "" {
		return msg.Head.ID
	}
	id := string(msg.Incident.UID)
	if id == "" { // a digest is about no incident that exists
		id = msg.Key
	}
	return summary.Line("kubebot-"+strings.ReplaceAll(id, " ", ""), 64)
}
