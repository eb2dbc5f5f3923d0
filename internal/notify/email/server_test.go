package email_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailbox is a real SMTP server in this process that keeps what it takes.
type mailbox struct {
	address string
	mu      sync.Mutex
	letters []letter
	// fail is what the server answers to a step: auth, mail, rcpt or data.
	fail map[string]*smtp.SMTPError
}

// letter is a mail with its envelope.
type letter struct {
	from  string
	to    []string
	user  string
	raw   string
	inTLS bool
}

func (l letter) parsed(t *testing.T) *mail.Message {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(l.raw))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b *mailbox) got() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]letter(nil), b.letters...)
}

// newMailbox serves without encryption, with STARTTLS where config is given, or with TLS from the first byte.
func newMailbox(t *testing.T, config *tls.Config, implicit bool) *mailbox {
	t.Helper()
	box := &mailbox{fail: map[string]*smtp.SMTPError{}}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{box: box, conn: c}, nil }))
	server.Domain, server.ErrorLog, server.TLSConfig = "mail.example.com", log.New(io.Discard, "", 0), config
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.address = l.Addr().String()
	if implicit {
		l = tls.NewListener(l, config)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return box
}

type session struct {
	box    *mailbox
	conn   *smtp.Conn
	letter letter
}

func (s *session) failure(step string) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if err := s.box.fail[step]; err != nil {
		return err
	}
	return nil
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if err := s.failure("auth"); err != nil {
			return err
		}
		if password != plantedPassword {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong password " + password}
		}
		s.letter.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	_, s.letter.inTLS = s.conn.TLSConnectionState()
	s.letter.from, s.letter.to = from, nil
	return s.failure("mail")
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.letter.to = append(s.letter.to, to)
	return s.failure("rcpt")
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.failure("data"); err != nil {
		return err
	}
	s.letter.raw = string(raw)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.letters = append(s.box.letters, s.letter)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// certificate is one for the address 127.0.0.1, with itself as the authority in PEM.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// script is a server that answers by a script: to each line of the client that begins with a verb its answer. An empty
// verb is the greeting, "." the end of a mail. An answer "reset" breaks the connection, "hang" never comes.
func script(t *testing.T, answers map[string]string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go converse(conn, answers, done)
		}
	}()
	return l.Addr().String()
}

var usual = map[string]string{"": "220 mail", "EHLO": "250 mail", "HELO": "250 mail", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", ".": "250 taken", "RSET": "250 ok", "QUIT": "221 bye"}

func converse(conn net.Conn, answers map[string]string, done chan struct{}) {
	defer func() { _ = conn.Close() }()
	say := func(verb string) bool {
		answer, ok := answers[verb]
		if !ok {
			answer, ok = usual[verb]
		}
		switch {
		case !ok:
			answer = "500 what"
		case answer == "reset":
			_ = conn.(*net.TCPConn).SetLinger(0)
			return false
		case answer == "hang":
			<-done
			return false
		}
		_, err := conn.Write([]byte(answer + "\r\n"))
		return err == nil
	}
	if !say("") {
		return
	}
	lines := bufio.NewReader(conn)
	inMail := false
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		line = bytes.TrimRight(line, "\r\n")
		verb, _, _ := strings.Cut(string(line), " ")
		if inMail && verb != "." {
			continue
		}
		if !say(verb) {
			return
		}
		inMail = verb == "DATA"
	}
}
