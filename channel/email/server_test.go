package email_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/mail"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

const (
	mailUser     = "hooks"
	mailPassword = "sesame-password"
	mailToken    = "sesame-token"
)

// mailServer is a real SMTP server, in process: STARTTLS or implicit TLS, AUTH
// PLAIN, LOGIN and XOAUTH2. Its hooks may be set before it is used.
type mailServer struct {
	onConnect func() error
	onFrom    func() error
	onRcpt    func(to string) error
	onData    func() error
	noLogin   bool
	// mechanisms are those that are offered; all of them if there are none here.
	mechanisms []string

	port  int
	roots *x509.CertPool

	mu    sync.Mutex
	conns map[string]bool // by the client's address
	mails []receivedMail
	// logins are the mechanisms that clients asked for.
	logins []string
}

type receivedMail struct {
	from string
	to   []string
	raw  string
}

// parse parses a mail that must be well formed.
func (m receivedMail) parse(t testing.TB) *mail.Message {
	msg, err := mail.ReadMessage(bytes.NewReader([]byte(m.raw)))
	require.NoError(t, err)
	return msg
}

func (s *mailServer) received() []receivedMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]receivedMail(nil), s.mails...)
}

func (s *mailServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// start starts the server; it is gone at the end of t.
func (s *mailServer) start(t testing.TB, mode email.SMTPTLS) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	s.roots = x509.NewCertPool()
	s.roots.AddCert(web.Certificate())
	config := &tls.Config{Certificates: web.TLS.Certificates}

	server := smtp.NewServer(s)
	server.Domain = "mail.example.com"
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.EnableSMTPUTF8 = true
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.port = listener.Addr().(*net.TCPAddr).Port
	switch mode {
	case email.STARTTLS:
		server.TLSConfig = config
	case email.ImplicitTLS:
		listener = tls.NewListener(listener, config)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// client returns an SMTP that sends through the server.
func (s *mailServer) client(
	t testing.TB, mode email.SMTPTLS, change func(*email.SMTPConfig),
) *email.SMTP {
	config := email.SMTPConfig{
		Host: "127.0.0.1", Port: s.port, From: "Webhooks <hooks@example.com>", TLS: mode,
		TLSConfig: &tls.Config{RootCAs: s.roots}, Timeout: 30 * time.Second,
	}
	if mode != email.NoTLS {
		config.Username, config.Password = mailUser, mailPassword
	} else {
		s.noLogin = true
	}
	if change != nil {
		change(&config)
	}
	client, err := email.NewSMTP(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// emailDriver returns the driver of the email channel over a server.
func emailDriver(t testing.TB, server *email.SMTP) channel.Driver {
	d, err := email.NewDriver(server, email.Options{})
	require.NoError(t, err)
	return d
}

// mailTo starts a server and opens a channel to it.
func (s *mailServer) channel(t testing.TB, config email.Config) channel.Channel {
	s.start(t, email.STARTTLS)
	return channelfixture.Open(t, emailDriver(t, s.client(t, email.STARTTLS, nil)), config)
}

func (s *mailServer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	if s.conns == nil {
		s.conns = map[string]bool{}
	}
	s.conns[c.Conn().RemoteAddr().String()] = true
	s.mu.Unlock()
	if s.onConnect != nil {
		if err := s.onConnect(); err != nil {
			return nil, err
		}
	}
	return &mailSession{server: s, in: s.noLogin}, nil
}

type mailSession struct {
	server *mailServer
	in     bool
	mail   receivedMail
}

func (s *mailSession) Reset()        { s.mail = receivedMail{} }
func (s *mailSession) Logout() error { return nil }

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.in {
		return smtp.ErrAuthRequired
	}
	s.mail.from = from
	if s.server.onFrom != nil {
		return s.server.onFrom()
	}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.server.onRcpt != nil {
		if err := s.server.onRcpt(to); err != nil {
			return err
		}
	}
	s.mail.to = append(s.mail.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.server.onData != nil {
		if err := s.server.onData(); err != nil {
			return err
		}
	}
	s.mail.raw = string(raw)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

func (s *mailSession) AuthMechanisms() []string {
	if s.server.mechanisms != nil {
		return s.server.mechanisms
	}
	return []string{"PLAIN", "LOGIN", "XOAUTH2"}
}

func (s *mailSession) Auth(mechanism string) (sasl.Server, error) {
	s.server.mu.Lock()
	s.server.logins = append(s.server.logins, mechanism)
	s.server.mu.Unlock()
	check := func(ok bool) error {
		if !ok {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, user, password string) error {
			return check(user == mailUser && password == mailPassword)
		}), nil
	case "LOGIN":
		return &loginServer{check: check}, nil
	case "XOAUTH2":
		return saslFunc(func(response []byte) ([]byte, bool, error) {
			return nil, true,
				check(string(response) == "user="+mailUser+"\x01auth=Bearer "+mailToken+"\x01\x01")
		}), nil
	}
	return nil, errors.New("no such mechanism")
}

type saslFunc func([]byte) ([]byte, bool, error)

func (f saslFunc) Next(response []byte) ([]byte, bool, error) { return f(response) }

// loginServer is the server's side of AUTH LOGIN.
type loginServer struct {
	check func(bool) error
	step  int
	user  string
}

func (s *loginServer) Next(response []byte) ([]byte, bool, error) {
	s.step++
	switch s.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		s.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, s.check(s.user == mailUser && string(response) == mailPassword)
}

// refuse is an SMTP reply.
func refuse(code int, enhanced smtp.EnhancedCode) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced,
		Message: "no, <someone@example.org> " + strconv.Itoa(code)}
}
