package channel

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

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
		_ = conn.net.SetDeadline(time.Now().Add(min(smtpStale, s.config.Timeout/4)))
		alive := conn.smtp.Reset() == nil && conn.net.SetDeadline(time.Time{}) == nil
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
	if s.login != nil {
		auth, err := s.login(ctx)
		if err != nil {
			return nil, err
		}
		if err := client.Auth(auth); err != nil {
			return nil, refusedLogin(err)
		}
	}
	return client, nil
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
