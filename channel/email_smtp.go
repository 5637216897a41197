package channel

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/mail"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/mixpeek/webhooks-go/event"
)

// SMTPTLS says how the connection to the mail server is protected.
type SMTPTLS int

// The ways to protect the connection.
const (
	STARTTLS    SMTPTLS = iota // begin in the clear, then STARTTLS; a server that has none is refused
	ImplicitTLS                // TLS from the first byte
	NoTLS                      // in the clear; for a relay on the same machine
)

// SMTPAuth is a mechanism of SMTP AUTH.
type SMTPAuth string

// The mechanisms.
const (
	AuthPlain   SMTPAuth = "PLAIN"
	AuthLogin   SMTPAuth = "LOGIN"
	AuthXOAUTH2 SMTPAuth = "XOAUTH2"
)

// SMTPConfig says how mail is sent.
type SMTPConfig struct {
	// Host is the mail server's name. Required.
	Host string

	// Port of the server. Defaults to 587 with STARTTLS, 465 with ImplicitTLS,
	// 25 with NoTLS.
	Port int

	// From is the sender of all mail: an address, or "Name <address>".
	// Required.
	From string

	// TLS says how the connection is protected. Defaults to STARTTLS.
	TLS SMTPTLS

	// TLSConfig is copied; a minimum version below 1.2 is raised, and an empty
	// ServerName becomes Host. Defaults to the system's roots.
	TLSConfig *tls.Config

	// Auth is the mechanism to log in with. Defaults to AuthPlain when Username
	// is set, and to no login otherwise.
	Auth SMTPAuth

	// Username to log in with. Defaults to none.
	Username string

	// Password to log in with, for AuthPlain and AuthLogin.
	Password string

	// Token returns an access token, for AuthXOAUTH2. It is called once for
	// every connection, so that it can be renewed.
	Token func(ctx context.Context) (string, error)

	// Hello is the name that this machine gives itself. Defaults to its host
	// name.
	Hello string

	// MaxConns is how many connections are open at the same time. Defaults to
	// 4.
	MaxConns int

	// Timeout of one attempt. Defaults to 30 seconds.
	Timeout time.Duration
}

// The limits of a connection that are not for configuration.
const (
	smtpIdle      = 30 * time.Second // servers commonly hang up after a minute or more
	smtpMails     = 100              // some servers refuse more on one connection
	maxSMTPAnswer = 256 << 10        // what a server may say in one attempt
)

// An SMTP sends mail through one server and keeps connections to it for the
// next mails. It is safe for concurrent use. The address of the server is not
// checked as those of HTTP endpoints are: it is configured by whoever runs the
// process.
type SMTP struct {
	config SMTPConfig
	from   *mail.Address
	slots  chan struct{} // one for each open connection that is in use

	mu     sync.Mutex
	idle   []*smtpConn // the last one was used last
	closed bool
}

// NewSMTP checks a configuration; an error wraps an *event.ValidationError with
// all that is wrong. It does not connect.
func NewSMTP(config SMTPConfig) (*SMTP, error) {
	var problems event.Problems
	if config.Host == "" {
		problems.Add("Host", "is required")
	}
	from, err := parseAddress(config.From)
	if err != nil {
		problems.Add("From", "must be a mail address")
	}
	if config.Port == 0 {
		config.Port = map[SMTPTLS]int{STARTTLS: 587, ImplicitTLS: 465, NoTLS: 25}[config.TLS]
	}
	if config.Port < 1 || config.Port > 65535 {
		problems.Add("Port", "must be between 1 and 65535")
	}
	if config.TLS < STARTTLS || config.TLS > NoTLS {
		problems.Add("TLS", "must be STARTTLS, ImplicitTLS or NoTLS")
	}
	if config.Username != "" && config.Auth == "" {
		config.Auth = AuthPlain
	}
	config.checkAuth(&problems)
	if config.Hello == "" {
		config.Hello, _ = os.Hostname()
	}
	if !isHostname(config.Hello) {
		config.Hello = "localhost"
	}
	if config.MaxConns <= 0 {
		config.MaxConns = 4
	}
	if config.Timeout <= 0 {
		config.Timeout = 30 * time.Second
	}
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("channel: NewSMTP: %w", err)
	}
	tlsConfig := &tls.Config{}
	if config.TLSConfig != nil {
		tlsConfig = config.TLSConfig.Clone()
	}
	tlsConfig.MinVersion = max(tlsConfig.MinVersion, tls.VersionTLS12)
	if tlsConfig.ServerName == "" {
		tlsConfig.ServerName = config.Host
	}
	config.TLSConfig = tlsConfig
	return &SMTP{config: config, from: from, slots: make(chan struct{}, config.MaxConns)}, nil
}

func (c *SMTPConfig) checkAuth(problems *event.Problems) {
	switch c.Auth {
	case "":
		return
	case AuthPlain, AuthLogin:
		if c.Username == "" || c.Password == "" {
			problems.Add("Auth", "needs Username and Password to be %s", c.Auth)
		}
	case AuthXOAUTH2:
		if c.Username == "" || c.Token == nil {
			problems.Add("Auth", "needs Username and Token to be XOAUTH2")
		}
	default:
		problems.Add("Auth", "must be AuthPlain, AuthLogin or AuthXOAUTH2")
	}
	if c.TLS == NoTLS {
		problems.Add("TLS", "must not be NoTLS with a login, which would be sent in the clear")
	}
}

// Close closes the connections that are not in use; those in use are closed
// after their mail.
func (s *SMTP) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, c := range idle {
		c.idle.Stop()
		c.quit()
	}
	return nil
}

// smtpConn is one connection, through greeting, TLS and login.
type smtpConn struct {
	net  *limitedConn
	smtp *smtp.Client
	sent int
	idle *time.Timer // closes the connection when nobody uses it for a while
}

// quit says goodbye, and does not wait long for an answer.
func (c *smtpConn) quit() {
	_ = c.net.SetDeadline(time.Now().Add(time.Second))
	_ = c.smtp.Quit()
	_ = c.net.Close()
}

// transact lends f a connection that is ready for MAIL FROM. f must say whether
// the connection can be used again. Whatever it does ends with ctx.
func (s *SMTP) transact(ctx context.Context, f func(*smtp.Client) (reusable bool, err error)) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ContextError(ctx)
	}
	conn, err := s.take(ctx)
	if err != nil {
		return smtpError(ctx, err)
	}
	// The client knows no context: closing the connection under it is what ends
	// it.
	stop := context.AfterFunc(ctx, func() { _ = conn.net.Close() })
	reusable, err := f(conn.smtp)
	conn.sent++
	if !stop() || !reusable || conn.sent >= smtpMails || !s.keep(conn) {
		_ = conn.net.Close()
	}
	if err != nil {
		return smtpError(ctx, err)
	}
	return nil
}

// keep puts a connection back, unless the SMTP is closed.
func (s *SMTP) keep(c *smtpConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.idle = append(s.idle, c)
	c.idle = time.AfterFunc(smtpIdle, func() { s.expire(c) })
	return true
}

// expire closes a connection that has been idle for too long, unless somebody
// has just taken it.
func (s *SMTP) expire(c *smtpConn) {
	s.mu.Lock()
	i := slices.Index(s.idle, c)
	if i >= 0 {
		s.idle = slices.Delete(s.idle, i, i+1)
	}
	s.mu.Unlock()
	if i >= 0 {
		c.quit()
	}
}

// take returns a connection that answers: an idle one, or a new one.
func (s *SMTP) take(ctx context.Context) (*smtpConn, error) {
	for {
		s.mu.Lock()
		var conn *smtpConn
		if n := len(s.idle); n > 0 {
			conn, s.idle = s.idle[n-1], s.idle[:n-1]
		}
		s.mu.Unlock()
		if conn == nil {
			return s.dial(ctx)
		}
		conn.idle.Stop()
		conn.net.left.Store(maxSMTPAnswer)
		stop := context.AfterFunc(ctx, func() { _ = conn.net.Close() })
		alive := conn.smtp.Reset() == nil
		if stop() && alive {
			return conn, nil
		}
		_ = conn.net.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// dial makes a new connection.
func (s *SMTP) dial(ctx context.Context) (*smtpConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(s.config.Host, strconv.Itoa(s.config.Port)))
	if err != nil {
		return nil, err
	}
	conn := &limitedConn{Conn: raw}
	conn.left.Store(maxSMTPAnswer)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	client, err := s.greet(ctx, conn)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &smtpConn{net: conn, smtp: client}, nil
}

// greet brings a connection to where mail can be sent. Errors of this phase say
// nothing about a mail, so a 5xx is worth retrying: somebody corrects the
// password.
func (s *SMTP) greet(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	if s.config.TLS == ImplicitTLS {
		secure := tls.Client(conn, s.config.TLSConfig)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	client, err := smtp.NewClient(conn, s.config.Host)
	if err != nil {
		return nil, greeting(err)
	}
	if err := client.Hello(s.config.Hello); err != nil {
		return nil, greeting(err)
	}
	if s.config.TLS == STARTTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return nil, &Error{Class: ClassTLS, Err: errText("the mail server offers no STARTTLS")}
		}
		if err := client.StartTLS(s.config.TLSConfig); err != nil {
			return nil, greeting(err)
		}
	}
	auth, err := s.auth(ctx)
	if err != nil {
		return nil, err
	}
	if auth != nil {
		if err := client.Auth(auth); err != nil {
			return nil, refusedLogin(err)
		}
	}
	return client, nil
}

// auth returns the login, nil for none.
func (s *SMTP) auth(ctx context.Context) (smtp.Auth, error) {
	switch s.config.Auth {
	case AuthPlain:
		return smtp.PlainAuth("", s.config.Username, s.config.Password, s.config.Host, false), nil
	case AuthLogin:
		return smtp.LoginAuth(s.config.Username, s.config.Password, s.config.Host, false), nil
	case AuthXOAUTH2:
		token, err := s.config.Token(ctx)
		if err != nil {
			return nil, &Error{Class: ClassAuth, Err: errText("no access token for the mail server")}
		}
		return smtp.XOAuth2Auth(s.config.Username, token), nil
	}
	return nil, nil
}

// A limitedConn ends when the other side has said too much.
type limitedConn struct {
	net.Conn
	left atomic.Int64
}

func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.left.Add(int64(-n)) < 0 {
		return 0, errTooLarge
	}
	return n, err
}
