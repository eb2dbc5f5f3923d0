package email_test

import (
	"context"
	"crypto/tls"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/email"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/transport"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

const plantedPassword = "planted-password"

func plain(address string) email.Options {
	return email.Options{Server: address, TLS: v1alpha1.EmailNoTLS, From: "kubebot@example.com", To: []string{"ops@example.com", "shop@example.com"}}
}

// content is the text of a mail.
func content(t *testing.T, l letter) string {
	t.Helper()
	m := l.parsed(t)
	if got := m.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
		t.Errorf("the mail is %s", got)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func subject(t *testing.T, l letter) string {
	t.Helper()
	text, err := new(mime.WordDecoder).DecodeHeader(l.parsed(t).Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheMailsOfAnIncidentAreOneThread(t *testing.T) {
	box := newMailbox(t, nil, false)
	sink := email.New(plain(box.address))
	first := sink.Send(t.Context(), notifytest.Message())
	if first.Outcome != notify.Delivered || first.Head.ID == "" || len(first.Head.ID) > 64 {
		t.Fatalf("got %+v", first)
	}
	for _, kind := range []v1alpha1.TransitionKind{v1alpha1.TransitionUpdated, v1alpha1.TransitionResolved} {
		msg := notifytest.Later(kind, 2)
		msg.Head = first.Head
		if res := email.New(plain(box.address)).Send(t.Context(), msg); res.Outcome != notify.Delivered || res.Head != first.Head {
			t.Fatalf("got %+v", res)
		}
	}
	letters := box.got()
	root := letters[0].parsed(t).Header.Get("Message-Id")
	if root == "" || letters[0].parsed(t).Header.Get("References") != "" {
		t.Errorf("the first mail has the identifier %q and refers to %q", root, letters[0].parsed(t).Header.Get("References"))
	}
	for _, l := range letters[1:] {
		h := l.parsed(t).Header
		if h.Get("References") != root || h.Get("In-Reply-To") != root || h.Get("Message-Id") == root {
			t.Errorf("not in the thread of %s: %v", root, h)
		}
		if got := subject(t, l); got != "Re: "+subject(t, letters[0]) {
			t.Errorf("the subject is %q", got)
		}
	}
	if l := letters[0]; l.from != "kubebot@example.com" || strings.Join(l.to, " ") != "ops@example.com shop@example.com" {
		t.Errorf("envelope: %+v", l)
	}
	for _, want := range []string{"checkout answers with errors", "Cluster: prod-eu", "Fix: Undo the rollout.", "HTTPErrorsHigh", "kubectl describe incident main-7f3a-1"} {
		if text := content(t, letters[0]); !strings.Contains(text, want) {
			t.Errorf("the mail has no %q:\n%s", want, text)
		}
	}
	if h := letters[0].parsed(t).Header; h.Get("Auto-Submitted") != "auto-generated" || h.Get("Date") != "Sat, 21 Nov 2026 03:20:00 +0000" {
		t.Errorf("headers: %v", h)
	}
}

func TestTextFromTheClusterCannotLeaveItsPlace(t *testing.T) {
	box := newMailbox(t, nil, false)
	msg := notifytest.Hostile()
	msg.Key = "2c4f1e9a-oncall-1"
	if res := email.New(plain(box.address)).Send(t.Context(), msg); res.Outcome != notify.Delivered {
		t.Fatalf("got %+v", res)
	}
	letters := box.got()
	if len(letters) != 1 {
		t.Fatalf("%d mails", len(letters))
	}
	h := letters[0].parsed(t).Header
	for name := range h {
		switch name {
		case "Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Importance", "Message-Id", "Mime-Version", "Priority", "Subject", "To",
			"User-Agent", "X-Kubebot-Key", "X-Mailer", "X-Msmail-Priority", "X-Priority":
		default:
			t.Errorf("a header %s: %s", name, h.Get(name))
		}
	}
	if len(letters[0].to) != 2 || strings.ContainsAny(subject(t, letters[0]), "\r\n\u202e\x00") {
		t.Errorf("to %v, subject %q", letters[0].to, subject(t, letters[0]))
	}
	for _, line := range strings.Split(letters[0].raw, "\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestTheConnectionIsEncryptedAsAsked(t *testing.T) {
	config, authority := certificate(t)
	ca := notifytest.Secret(t, "ca", "ca.crt", authority)
	password := notifytest.Secret(t, "smtp", "password", plantedPassword)
	wrong := notifytest.Secret(t, "smtp", "password", "wrong-"+plantedPassword)
	for name, c := range map[string]struct {
		mode     v1alpha1.EmailTLS
		config   *tls.Config
		implicit bool
		ca       secretfile.Ref
		password secretfile.Ref
		word     string
	}{
		"STARTTLS":                   {"", config, false, ca, password, "Delivered"},
		"TLS":                        {v1alpha1.EmailImplicitTLS, config, true, ca, password, "Delivered"},
		"STARTTLS untrusted":         {"", config, false, secretfile.Ref{}, password, "CertificateUntrusted"},
		"TLS untrusted":              {v1alpha1.EmailImplicitTLS, config, true, secretfile.Ref{}, password, "CertificateUntrusted"},
		"STARTTLS that is not there": {"", nil, false, ca, password, "NoSTARTTLS"},
		"wrong password":             {"", config, false, ca, wrong, "AccessDenied"},
		"no password":                {"", config, false, ca, notifytest.Absent(t), "SecretMissing"},
	} {
		t.Run(name, func(t *testing.T) {
			box := newMailbox(t, c.config, c.implicit)
			o := plain(box.address)
			o.TLS, o.CASecret, o.Username, o.Password = c.mode, c.ca, "kubebot", c.password
			res := email.New(o).Send(t.Context(), notifytest.Message())
			if res.Word != c.word {
				t.Fatalf("got %+v, want %s", res, c.word)
			}
			notifytest.Leaks(t, []string{plantedPassword}, res.Detail)
			letters := box.got()
			if delivered := c.word == "Delivered"; (len(letters) == 1) != delivered || !delivered && res.Outcome != notify.Refused {
				t.Fatalf("%d mails, %+v", len(letters), res)
			}
			if len(letters) == 1 && (!letters[0].inTLS || letters[0].user != "kubebot") {
				t.Errorf("got %+v", letters[0])
			}
		})
	}
}

func TestEveryAnswerIsSorted(t *testing.T) {
	temporary := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "planted-password try later"}
	permanent := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "planted-password nobody here"}
	for _, step := range []string{"mail", "rcpt", "data"} {
		for want, answer := range map[notify.Outcome]*smtp.SMTPError{notify.Retry: temporary, notify.Refused: permanent} {
			box := newMailbox(t, nil, false)
			box.fail[step] = answer
			res := email.New(plain(box.address)).Send(t.Context(), notifytest.Message())
			if res.Outcome != want || res.Detail == "" || strings.Contains(res.Detail, "planted") || len(box.got()) != 0 {
				t.Errorf("%d to %s gives %+v and %d mails", answer.Code, step, res, len(box.got()))
			}
			if onlyThis := want == notify.Refused && step == "data"; res.OnlyThis != onlyThis {
				t.Errorf("%d to %s: a refusal of this mail alone: %t, want %t", answer.Code, step, res.OnlyThis, onlyThis)
			}
		}
	}
}

func TestEveryWayToBreakIsSorted(t *testing.T) {
	const deadline = 2 * time.Second
	for name, c := range map[string]struct {
		answers map[string]string
		want    notify.Outcome
	}{
		"as usual":                       {nil, notify.Delivered},
		"busy":                           {map[string]string{"": "421 too busy"}, notify.Retry},
		"no service":                     {map[string]string{"": "554 no"}, notify.Refused},
		"greeting that never comes":      {map[string]string{"": "hang"}, notify.Retry},
		"another protocol":               {map[string]string{"": "SSH-2.0-OpenSSH_9.9"}, notify.Retry},
		"an answer without end":          {map[string]string{"": strings.Repeat("220-a\r\n", 200000)}, notify.Retry},
		"a line without end":             {map[string]string{"EHLO": strings.Repeat("a", 1<<20)}, notify.Retry},
		"reset at the greeting":          {map[string]string{"": "reset"}, notify.Retry},
		"reset before the mail":          {map[string]string{"DATA": "reset"}, notify.Retry},
		"hang before the mail":           {map[string]string{"RCPT": "hang"}, notify.Retry},
		"reset after the mail":           {map[string]string{".": "reset"}, notify.Unknown},
		"hang after the mail":            {map[string]string{".": "hang"}, notify.Unknown},
		"garbage after the mail":         {map[string]string{".": "\x00\xff"}, notify.Unknown},
		"reset once the mail was taken":  {map[string]string{"RSET": "reset", "QUIT": "reset"}, notify.Delivered},
		"a refusal with nothing said":    {map[string]string{"MAIL": "550 "}, notify.Refused},
		"a temporary failure at the end": {map[string]string{".": "452 full"}, notify.Retry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			res := email.New(plain(script(t, c.answers))).Send(ctx, notifytest.Message())
			if end, _ := ctx.Deadline(); time.Since(end) > 2*time.Second {
				t.Error("Send returned after the deadline")
			}
			if res.Outcome != c.want || res.Word == "" || res.Outcome != notify.Delivered && res.Detail == "" {
				t.Errorf("got %+v, want %s", res, c.want)
			}
		})
	}
}

func TestNothingListens(t *testing.T) {
	if res := email.New(plain(golden.FreeAddress(t))).Send(t.Context(), notifytest.Message()); res.Outcome != notify.Retry || res.Word != "ConnectionRefused" {
		t.Errorf("got %+v", res)
	}
}

func TestARepeatHasTheSameIdentifierAndIsMarked(t *testing.T) {
	box := newMailbox(t, nil, false)
	msg := notifytest.Message()
	for range 2 {
		res := email.New(plain(box.address)).Send(t.Context(), msg)
		if res.Outcome != notify.Delivered || msg.MayHaveArrived != (res.PossibleDuplicate != "") {
			t.Fatalf("got %+v", res)
		}
		msg.MayHaveArrived = true
	}
	if l := box.got(); l[0].parsed(t).Header.Get("Message-Id") != l[1].parsed(t).Header.Get("Message-Id") {
		t.Error("the repeat has another Message-ID")
	}
}

func TestAForbiddenServerIsNotCalled(t *testing.T) {
	box := newMailbox(t, nil, false)
	o := plain(box.address)
	o.Guard = &transport.Guard{}
	if res := email.New(o).Send(t.Context(), notifytest.Message()); res.Outcome != notify.Refused || res.Word != "TargetForbidden" {
		t.Errorf("got %+v", res)
	}
	o.Guard.Allow = []v1alpha1.Target{v1alpha1.TargetLoopback}
	if res := email.New(o).Send(t.Context(), notifytest.Message()); res.Outcome != notify.Delivered {
		t.Errorf("got %+v", res)
	}
}

// FuzzAnswers lets a server say anything at each step: nothing may hang, panic, or be taken for a delivery unless the
// server said 2xx to the end of the mail.
func FuzzAnswers(f *testing.F) {
	f.Add("220 mail", "250 mail", "250 taken")
	f.Add("220-a\r\n220 b", "250-mail\r\n250-AUTH PLAIN\r\n250 STARTTLS", "451 later")
	f.Add("", "5", "2")
	f.Add("220 a", "250-SIZE\r\n250-8BITMIME\r\n250 SMTPUTF8", "250-a\r\n251 b")
	f.Fuzz(func(t *testing.T, greeting, hello, end string) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		res := email.New(plain(script(t, map[string]string{"": greeting, "EHLO": hello, "HELO": hello, ".": end}))).Send(ctx, notifytest.Message())
		if res.Outcome == "" || res.Word == "" {
			t.Errorf("no outcome: %+v", res)
		}
	})
}
