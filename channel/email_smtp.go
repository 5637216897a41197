package channel

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/mail"
	"os"
	"sync"
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
	smtpStale     = 5 * time.Second  // how long an idle connection has to show that it is alive, within a quarter of the attempt
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
	login  func(context.Context) (smtp.Auth, error) // nil for none
	slots  chan struct{}                            // one for each open connection that is in use

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
	login := config.login()
	config.Password, config.Token = "", nil
	return &SMTP{config: config, from: from, login: login, slots: make(chan struct{}, config.MaxConns)}, nil
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

// login returns what makes the login of a connection, nil for none. The
// credentials are in it and nowhere else, so that printing an SMTP does not show
// them.
func (c *SMTPConfig) login() func(context.Context) (smtp.Auth, error) {
	host, user, password, token := c.Host, c.Username, c.Password, c.Token
	switch c.Auth {
	case AuthPlain:
		return func(context.Context) (smtp.Auth, error) {
			return smtp.PlainAuth("", user, password, host, false), nil
		}
	case AuthLogin:
		return func(context.Context) (smtp.Auth, error) {
			return smtp.LoginAuth(user, password, host, false), nil
		}
	case AuthXOAUTH2:
		return func(ctx context.Context) (smtp.Auth, error) {
			current, err := token(ctx)
			if err != nil {
				return nil, &Error{Class: ClassAuth, Err: errText("no access token for the mail server")}
			}
			return smtp.XOAuth2Auth(user, current), nil
		}
	}
	return nil
}
