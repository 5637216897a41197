package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/mixpeek/webhooks-go/channel/internal/fairset"
)

// A conn is a connection to a host. It is used by one request at a time.
type conn struct {
	net.Conn // what the messages pass: a *tls.Conn, or the socket itself
	socket   *socket
	in       *bufio.Reader // reads from the conn
	host     host
	left     int64   // how many more bytes of a header may be read
	answered bool    // a byte has come since the last request
	timed    bool    // it has a deadline
	late     bool    // a Read has met it
	one      [1]byte // what isAtRest reads into

	// The methods abort and step: to make a function of a method takes memory.
	abortFunc func()
	stepFunc  func(fd uintptr) (done bool)
	outgoing  outgoing
	sent      bool  // step has sent the message
	writeErr  error // how that went

	idleSince time.Time // zero before the first answer
	inList    [2]links  // its neighbours in idleConns.all, and among those to its host
	share     fairset.Item[*conn]
}

// errTooLong is met in the header of an answer.
var errTooLong = errors.New("http1: the header of the answer is too long")

// Read reads what the host sent, within the limit of a header.
func (c *conn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	n, err := c.Conn.Read(b)
	c.left -= int64(n)
	c.late = c.late || errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// why returns ErrDeadline in place of what an answer fails with that the deadline has cut off.
func (c *conn) why(err error) error {
	if c.late {
		return ErrDeadline
	}
	return err
}

// abort ends the connection at once, while others use it too.
func (c *conn) abort() { _ = c.socket.Close() }

// sendIfAtRest sends a message on a kept connection, and waits until an answer may have come. If the
// connection is not at rest, it sends nothing, and c.sent stays false.
//
// All of it is one use of the socket by the runtime: whatever comes after the probe is noticed, so
// that there is no need to look for the answer once more before waiting for it.
func (c *conn) sendIfAtRest(ctx context.Context, t *Transport, message []byte) (err error) {
	c.sent, c.writeErr = false, nil
	c.outgoing = outgoing{t, ctx, message}
	_ = c.socket.raw.Read(c.stepFunc) // reading the answer says how it went
	c.outgoing = outgoing{}
	return c.writeErr
}

// outgoing is what step sends.
type outgoing struct {
	transport *Transport
	ctx       context.Context
	message   []byte
}

// step is called with the socket, and again whenever something has come, until it returns true.
func (c *conn) step(fd uintptr) (done bool) {
	if c.sent || !c.isAtRest(fd) {
		return true
	}
	c.sent = true
	c.outgoing.transport.connected(c.outgoing.ctx, true)
	_, c.writeErr = c.Write(c.outgoing.message)
	return c.writeErr != nil
}

// setDeadline ends reading and writing at a time; zero is never.
func (c *conn) setDeadline(deadline time.Time) {
	c.late = false
	if timed := !deadline.IsZero(); timed || c.timed {
		_ = c.socket.SetDeadline(deadline)
		c.timed = timed
	}
}

// isAtRest reports whether the host has neither closed the connection nor sent anything, as
// far as has come to the socket. It does not wait. TLS answers some records itself, such as a KeyUpdate
// or a bad one: a connection that had to be answered is not at rest.
func (c *conn) isAtRest(fd uintptr) bool {
	c.socket.probing, c.socket.fd = true, fd
	n, err := c.Conn.Read(c.one[:]) // through TLS, which may hold something, and takes what is its own
	c.socket.probing = false
	return n == 0 && errors.Is(err, errNothing) && !c.socket.wrote
}

// A socket is the connection of the operating system.
type socket struct {
	net.Conn
	raw     syscall.RawConn // nil if there is none
	fd      uintptr         // the socket itself, while it is probed
	probing bool            // a Read does not wait: it fails with errNothing instead; a Write fails
	wrote   bool            // a Write was refused while probing
}

// Read reads what came in.
func (s *socket) Read(b []byte) (int, error) {
	if s.probing {
		return readAvailable(s.fd, b)
	}
	return s.Conn.Read(b)
}

// Write writes, but not while the connection is probed: it could wait for the host to read.
func (s *socket) Write(b []byte) (int, error) {
	if s.probing {
		s.wrote = true
		return 0, net.ErrClosed
	}
	return s.Conn.Write(b)
}

// connect makes a connection.
func (t *Transport) connect(ctx context.Context, to host) (*conn, error) {
	u := url.URL{Host: to.addr}
	port := u.Port()
	switch {
	case port != "":
	case to.encrypted:
		port = "443"
	default:
		port = "80"
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	dialed, err := t.config.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if c, ok := dialed.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = c.SetWriteBuffer(sendBuffer)
	}
	s := &socket{Conn: dialed}
	if raw, ok := dialed.(syscall.Conn); ok {
		s.raw, _ = raw.SyscallConn()
	}
	c := &conn{Conn: s, socket: s, host: to}
	if to.encrypted {
		if c.Conn, err = t.handshake(ctx, s, addr); err != nil {
			_ = dialed.Close()
			return nil, err
		}
	}
	c.in, c.abortFunc, c.stepFunc = bufio.NewReader(c), c.abort, c.step
	return c, nil
}

// handshake negotiates TLS, and HTTP/1.1 within. The error is an errNotHTTP1 if the host refuses.
func (t *Transport) handshake(ctx context.Context, s *socket, addr string) (net.Conn, error) {
	config := t.config.TLS
	if config.ServerName == "" || t.config.Sessions != nil {
		config = config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	if t.config.Sessions != nil {
		config.ClientSessionCache = t.config.Sessions(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, t.config.TLSTimeout)
	defer cancel()
	encrypted := tls.Client(s, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		// The alert no_application_protocol (RFC 7301) is one of several that say so, and
		// crypto/tls does not tell which one it was.
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "remote error" {
			return nil, errors.Join(errNotHTTP1, err)
		}
		return nil, err
	}
	return encrypted, nil
}
