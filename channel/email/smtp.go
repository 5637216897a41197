package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
)

// SMTPTLS says how the connection to the mail server is protected.
type SMTPTLS int

// The ways to protect the connection. The zero value is STARTTLS.
const (
	STARTTLS    SMTPTLS = iota // begin in the clear, then STARTTLS; a server that has none is refused
	ImplicitTLS                // TLS from the first byte
	NoTLS                      // in the clear, for a relay on the same machine; refused with a login
)

// SMTPAuth is a mechanism of SMTP AUTH (RFC 4954).
type SMTPAuth string

// The mechanisms of SMTPConfig.Auth.
const (
	AuthPlain   SMTPAuth = "PLAIN"   // RFC 4616
	AuthLogin   SMTPAuth = "LOGIN"   // draft-murchison-sasl-login; for old servers
	AuthXOAUTH2 SMTPAuth = "XOAUTH2" // OAuth 2.0, as Google and Microsoft define it
)

// SMTPConfig configures an SMTP. Host and From are required.
type SMTPConfig struct {
	// Host is the mail server's name, or its IP address without brackets. It has no port. Required.
	Host string

	// Port of the server. Defaults to 587 with STARTTLS, 465 with ImplicitTLS,
	// 25 with NoTLS.
	Port int

	// From is the sender of all mail: an address, or "Name <address>".
	// Required.
	From string

	// TLS says how the connection is protected. Defaults to STARTTLS.
	TLS SMTPTLS

	// TLSConfig is the TLS configuration. It is copied; a minimum version below 1.2 is raised to
	// 1.2, and an empty ServerName becomes Host. Defaults to the system's roots.
	TLSConfig *tls.Config

	// Auth is the mechanism of the login. If it is empty and Username is set, the server's offer
	// decides: AuthPlain or AuthLogin with a Password, AuthXOAUTH2 with a Token. If both are empty,
	// there is no login. If the server does not offer the mechanism, the attempt fails and no mail is
	// sent.
	Auth SMTPAuth

	// Username is the name for the login. Required with a Password or a Token; otherwise defaults to
	// none.
	Username string

	// Password is the password for AuthPlain and AuthLogin.
	Password channel.Secret

	// Token returns an access token for AuthXOAUTH2. It is called once for each connection, so it can
	// renew the token, and must be safe for concurrent use. ctx ends with the attempt. If Token
	// returns an error, the attempt fails and is retried.
	Token func(ctx context.Context) (string, error)

	// Hello is the name by which this machine introduces itself in EHLO: a fully-qualified domain
	// name, or an address in brackets, such as "[192.0.2.7]" or "[IPv6:2001:db8::7]" (RFC 5321,
	// section 4.1.3). Defaults to the host's name if that is fully qualified, and otherwise to the
	// connection's own address.
	Hello string

	// MaxConns is the largest number of mails sent at the same time, each on a connection of its
	// own. Messages without a DeliveryID, such as tests of webhooks, get a quarter of them, but at
	// least one, in the order in which they come: however many there are, deliveries find the others.
	// If several organizations have sent mail in the last hour, none has all connections at the same
	// time, so that of two each gets one: see [channel.Capabilities]. Defaults to 4.
	MaxConns int

	// Timeout is the longest time that each step before the end of the mail may take, if that is
	// shorter than the times of RFC 5321, section 4.5.3.2: 5 minutes for the greeting and for each
	// command, 2 minutes for DATA, 3 minutes for each MiB of the mail; and 10 seconds for the
	// connection. Zero means those times. The wait for one of the MaxConns connections does not count.
	Timeout time.Duration

	// FinalTimeout is how long the server may take to answer the end of the mail. If it takes
	// longer, the mail is sent again, although the server may have accepted it: a short time makes
	// duplicates. Defaults to the 10 minutes of RFC 5321.
	FinalTimeout time.Duration
}

// The limits of a connection that are not for configuration.
const (
	smtpIdle      = 30 * time.Second // servers commonly hang up after a minute or more
	smtpStale     = 5 * time.Second  // how long an idle connection has to show that it is alive
	smtpMails     = 100              // some servers refuse more on one connection
	maxSMTPAnswer = 256 << 10        // what a server may say in one attempt
)

// An SMTP sends mail through one server, and keeps connections to it for later mails. It is safe
// for concurrent use. The address of the server is not checked as those of HTTP endpoints are,
// because the operator of the process configures it.
type SMTP struct {
	config SMTPConfig
	times  smtpTimes
	from   mailbox
	slots  chan struct{} // one for each open connection that is in use
	// oneOffs are those slots that messages of no delivery may have.
	oneOffs chan struct{}
	// login returns how to log in, by the mechanisms that the server offers; nil
	// for none.
	login   func(ctx context.Context, prefetched []string) (smtp.Auth, error)
	connect func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	idle   []*smtpConn // the last one was used last
	closed bool
}

// NewSMTP returns an SMTP. It does not connect. If the configuration is invalid, the error wraps an
// *event.ValidationError that lists every problem.
func NewSMTP(config SMTPConfig) (*SMTP, error) {
	var problems event.Problems
	if config.Host == "" {
		problems.Required("Host")
	} else if _, err := netip.ParseAddr(config.Host); err != nil &&
		strings.ContainsAny(config.Host, ":[]/ \t\r\n") {
		problems.Add("Host", "must be a name or an address, without a port or brackets")
	}
	from, err := parseMailbox(config.From)
	if err != nil {
		problems.Add("From", mailAddressRule)
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
	config.checkAuth(&problems)
	config.checkHello(&problems)
	settings.Default(&config.MaxConns, 4)
	settings.AtLeast(&problems, "MaxConns", config.MaxConns, 1)
	times := config.times(&problems)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("email: NewSMTP: %w", err)
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
	return &SMTP{
		config: config, times: times, from: from, login: login,
		connect: new(net.Dialer).DialContext, slots: make(chan struct{}, config.MaxConns),
		oneOffs: make(chan struct{}, max(config.MaxConns/4, 1)),
	}, nil
}

// checkHello completes and checks the name for EHLO. It stays empty for the
// address that the connection comes from.
func (c *SMTPConfig) checkHello(problems *event.Problems) {
	if c.Hello == "" {
		if host, _ := os.Hostname(); isQualified(host) {
			c.Hello = host
		}
		return
	}
	hello, ok := checkHello(c.Hello)
	if !ok {
		problems.Add("Hello",
			"must be a fully-qualified domain name, or an address such as [192.0.2.7] or [IPv6:2001:db8::7]")
	}
	c.Hello = hello
}

// times returns the timeouts of the configuration.
func (c *SMTPConfig) times(problems *event.Problems) smtpTimes {
	times := defaultSMTPTimes()
	settings.AtLeast(problems, "Timeout", c.Timeout, 0)
	settings.AtLeast(problems, "FinalTimeout", c.FinalTimeout, 0)
	if c.Timeout > 0 {
		times = times.atMost(c.Timeout)
	}
	if c.FinalTimeout > 0 {
		times.final = c.FinalTimeout
	}
	return times
}

func (c *SMTPConfig) checkAuth(problems *event.Problems) {
	switch c.Auth {
	case "":
		if c.Username == "" {
			if c.Password != "" || c.Token != nil {
				problems.Add("Username", "is required with a Password or a Token")
			}
			return
		}
		if c.Password == "" && c.Token == nil {
			problems.Add("Auth", "needs Username and Password, or Username and Token")
		}
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

// mechanisms returns those that can be used, the best first.
func (c *SMTPConfig) mechanisms() []SMTPAuth {
	switch {
	case c.Auth != "":
		return []SMTPAuth{c.Auth}
	case c.Username == "":
		return nil
	}
	var all []SMTPAuth
	if c.Token != nil {
		all = append(all, AuthXOAUTH2)
	}
	if c.Password != "" {
		all = append(all, AuthPlain, AuthLogin)
	}
	return all
}

// Close closes the idle connections; those in use are closed after their mail. Mail can still be
// sent afterwards, on connections that are closed after one mail. The error is always nil.
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
func (c *SMTPConfig) login() func(context.Context, []string) (smtp.Auth, error) {
	host, user, password, token := c.Host, c.Username, string(c.Password), c.Token
	mechanisms := c.mechanisms()
	if len(mechanisms) == 0 {
		return nil
	}
	return func(ctx context.Context, prefetched []string) (smtp.Auth, error) {
		i := slices.IndexFunc(mechanisms,
			func(m SMTPAuth) bool { return slices.Contains(prefetched, string(m)) })
		switch {
		case i < 0:
			return nil, &channel.Error{Class: channel.ClassAuth,
				Err: fmt.Errorf("the mail server does not offer to log in by %v", mechanisms)}
		case mechanisms[i] == AuthPlain:
			return smtp.PlainAuth("", user, password, host, false), nil
		case mechanisms[i] == AuthLogin:
			return smtp.LoginAuth(user, password, host, false), nil
		}
		current, err := token(ctx)
		if err != nil {
			return nil, &channel.Error{Class: channel.ClassAuth,
				Err: errors.New("no access token for the mail server")}
		}
		return smtp.XOAuth2Auth(user, current), nil
	}
}

// MarshalText returns the configuration without its secrets, for people to read.
func (c SMTPConfig) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%+v", c), nil }
