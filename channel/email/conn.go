package email

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/mixpeek/webhooks-go/channel"
)

// smtpConn is one connection, through greeting, TLS and login. Each step has the
// time that its timeouts give it.
type smtpConn struct {
	net   *limitedConn
	smtp  *smtp.Client
	times smtpTimes
	sent  int
	begun bool        // a mail was begun since the connection was taken
	idle  *time.Timer // closes the connection when no mail needs it for a while
}

// smtpTimes bounds the steps of a conversation.
type smtpTimes struct {
	connect time.Duration
	command time.Duration // greeting, EHLO, STARTTLS, login, MAIL and RCPT, each
	data    time.Duration // DATA
	block   time.Duration // to send the mail, for each MiB of it
	final   time.Duration // the reply to the mail
}

// connectTimeout bounds the wait for a connection.
const connectTimeout = 10 * time.Second

// defaultSMTPTimes are those of RFC 5321, section 4.5.3.2, which leaves out how
// long a connection may take.
func defaultSMTPTimes() smtpTimes {
	return smtpTimes{connect: connectTimeout, command: 5 * time.Minute, data: 2 * time.Minute,
		block: 3 * time.Minute, final: 10 * time.Minute}
}

// atMost lowers the times before the end of the mail.
func (t smtpTimes) atMost(limit time.Duration) smtpTimes {
	t.connect, t.command, t.data, t.block = min(t.connect, limit), min(t.command, limit),
		min(t.data, limit), min(t.block, limit)
	return t
}

// The steps that an attempt can have besides one RCPT for each recipient: RSET on
// a connection that is no longer good, greeting, EHLO, HELO, STARTTLS, EHLO,
// three of a login, and MAIL. Two mails are sent when some of the addresses are
// outside ASCII, the second after another RSET. maxMailBlocks bounds the time for a
// large mail.
const (
	smtpSteps     = 10
	maxMailBlocks = 16
)

// longest is how long a mail to so many recipients can take.
func (t smtpTimes) longest(recipients int) time.Duration {
	var steps time.Duration
	for range smtpSteps + 2 + recipients {
		steps += t.command
	}
	return t.connect + steps + 2*(t.data+maxMailBlocks*t.block+t.final)
}

// within gives the next step its time.
func (c *smtpConn) within(limit time.Duration) {
	_ = c.net.SetDeadline(time.Now().Add(limit)) // of a closed connection, and then the step says so
}

// offers reports whether the server has named an extension.
func (c *smtpConn) offers(extension string) bool {
	ok, _ := c.smtp.Extension(extension)
	return ok
}

// reset ends what was begun.
func (c *smtpConn) reset() error {
	c.within(c.times.command)
	c.begun = false
	return c.smtp.Reset()
}

// mail begins a mail.
func (c *smtpConn) mail(from string, international bool) error {
	if c.begun {
		if err := c.reset(); err != nil {
			return err
		}
	}
	c.begun = true
	c.within(c.times.command)
	c.smtp.SkipSMTPUTF8(!international)
	return unlessDone(c.smtp.Mail("<" + from + ">"))
}

// rcpt adds a recipient.
func (c *smtpConn) rcpt(to string) error {
	c.within(c.times.command)
	return unlessDone(c.smtp.Rcpt("<" + to + ">"))
}

// unlessDone returns nil for a reply that says that a command has succeeded, by its first digit
// (RFC 5321, section 4.2), though it may not be the usual one.
func unlessDone(err error) error {
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code/100 == 2 {
		return nil
	}
	return err
}

// data sends the mail itself. Once its end is sent the server may have taken it,
// whatever becomes of the reply, so there is plenty of time for that one: to give
// up means that the mail is sent again.
func (c *smtpConn) data(mail []byte) error {
	c.within(c.times.data)
	w, err := c.smtp.Data()
	if err != nil {
		return err
	}
	c.within(c.times.block * time.Duration(min(1+len(mail)>>20, maxMailBlocks)))
	if _, err := w.Write(mail); err != nil {
		// The server may have said why before it hung up.
		c.within(min(time.Second, c.times.final))
		var reply *textproto.Error
		_, _, said := c.smtp.Text.ReadResponse(smtpOK)
		_ = c.net.Close() // what follows would be a part of the mail
		if errors.As(said, &reply) && reply.Code >= 400 {
			return reply
		}
		return err
	}
	c.within(c.times.final)
	err = unlessDone(w.Close())
	if isTimeout(err) {
		return &channel.Error{Class: channel.ClassTimeout,
			Err: errors.New("the mail server has not said in time whether it takes the mail")}
	}
	return err
}

// quit says goodbye, and does not wait long for an answer.
func (c *smtpConn) quit() {
	c.within(time.Second)
	_ = c.smtp.Quit()
	_ = c.net.Close()
}

// transact lends f a connection that is ready for MAIL FROM, which is used again
// unless f fails. It waits for one as long as ctx lasts. Whatever f does ends
// with ctx. One-off sends wait for each other first: nothing else bounds how many
// of them one organization has in line, and the wait of a delivery counts as the
// time that its endpoint takes.
func (s *SMTP) transact(ctx context.Context, oneOff bool, f func(*smtpConn) error) error {
	lines := []chan struct{}{s.slots}
	if oneOff {
		lines = []chan struct{}{s.oneOffs, s.slots}
	}
	for _, line := range lines {
		select {
		case line <- struct{}{}:
			defer func() { <-line }()
		case <-ctx.Done():
			return channel.ContextError(ctx)
		}
	}
	conn, err := s.take(ctx)
	if err != nil {
		return smtpError(ctx, err)
	}
	// The client knows no context: closing the connection under it is what ends
	// it.
	stop := context.AfterFunc(ctx, func() { _ = conn.net.Close() })
	err = f(conn)
	conn.sent++
	if !stop() || err != nil || conn.sent >= smtpMails || !s.keep(conn) {
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

// expire closes a connection that has been idle for too long, unless an attempt
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
		conn.within(min(smtpStale, s.times.command))
		err := conn.smtp.Reset()
		conn.begun = false
		if stop() && err == nil {
			return conn, nil
		}
		_ = conn.net.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if isTimeout(err) {
			return s.dial(ctx) // the others may be as silent
		}
	}
}

// dial makes a new connection.
func (s *SMTP) dial(ctx context.Context) (*smtpConn, error) {
	connecting, cancel := context.WithTimeout(ctx, s.times.connect)
	defer cancel()
	raw, err := s.connect(connecting, "tcp",
		net.JoinHostPort(s.config.Host, strconv.Itoa(s.config.Port)))
	if err != nil {
		return nil, err
	}
	conn := &smtpConn{net: &limitedConn{Conn: raw}, times: s.times}
	conn.net.left.Store(maxSMTPAnswer)
	stop := context.AfterFunc(ctx, func() { _ = conn.net.Close() })
	err = s.greet(ctx, conn)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.net.Close()
		return nil, err
	}
	return conn, nil
}

// greet brings a connection to where mail can be sent. Errors of this phase say
// nothing about a mail, so a 5xx is worth retrying: the operator corrects the
// password.
func (s *SMTP) greet(ctx context.Context, c *smtpConn) error {
	conn := net.Conn(c.net)
	c.within(s.times.command)
	if s.config.TLS == ImplicitTLS {
		secure := tls.Client(conn, s.config.TLSConfig)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		conn = secure
		c.within(s.times.command)
	}
	client, err := smtp.NewClient(conn, s.config.Host)
	if err != nil {
		return greeting(err)
	}
	c.smtp = client
	hello := s.config.Hello
	if hello == "" {
		hello = addressLiteral(c.net.LocalAddr().String())
	}
	c.within(2 * s.times.command) // HELO as well, where EHLO is refused
	if err := client.Hello(hello); err != nil {
		return greeting(err)
	}
	if s.config.TLS == STARTTLS {
		if !c.offers("STARTTLS") {
			return &channel.Error{Class: channel.ClassTLS,
				Err: errors.New("the mail server offers no STARTTLS")}
		}
		c.within(2 * s.times.command) // with another EHLO
		if err := client.StartTLS(s.config.TLSConfig); err != nil {
			return greeting(err)
		}
	}
	if s.login == nil {
		return nil
	}
	_, prefetched := client.Extension("AUTH")
	auth, err := s.login(ctx, strings.Fields(strings.ToUpper(prefetched)))
	if err != nil {
		return err
	}
	c.within(3 * s.times.command) // of at most three steps
	if err := client.Auth(auth); err != nil {
		return refusedLogin(err)
	}
	return nil
}

// A limitedConn ends when the other side has said too much.
type limitedConn struct {
	net.Conn
	left atomic.Int64
}

func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.left.Add(int64(-n)) < 0 {
		return 0, &channel.Error{Class: channel.ClassTooLarge}
	}
	return n, err
}
