// Package http1 is an http.RoundTripper for small HTTP/1.1 requests, at about half of the
// CPU time that http.Transport takes for them. http.Transport has two goroutines for each
// connection, and hands each request and each answer over to them. Here the goroutine that
// makes a request writes it at once and reads the answer itself.
//
// It does what it can do with little code, and leaves the rest to another RoundTripper,
// [Config.Fallback]: requests of more than 16 KiB or of unknown length, those with a field
// such as Expect or with something that must be refused, those that are traced with
// net/http/httptrace, and hosts that do not speak HTTP/1.1. Answers that are not plain are
// parsed by [http.ReadResponse], so that both take the same ones.
package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// Config configures a Transport. All fields but Organization, Sessions and Connected are required.
type Config struct {
	// Dial connects, as http.Transport.DialContext does. The limits of time are its own and
	// those of the request.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// TLS is the configuration of https. The protocol http/1.1 is negotiated, whatever
	// NextProtos says.
	TLS *tls.Config

	// Sessions, unless it is nil, has the sessions of TLS for a request with that context, in place of
	// TLS.ClientSessionCache.
	Sessions func(ctx context.Context) tls.ClientSessionCache

	// TLSTimeout bounds a handshake.
	TLSTimeout time.Duration

	// MaxIdle and MaxIdlePerHost are how many connections are kept for later requests, in all
	// and to one host. When there are more to a host, the one that has been idle for longest is
	// closed, and when there are more in all, that one of the organization that has most.
	MaxIdle, MaxIdlePerHost int

	// Organization tells by the context of a request whose it is. With nil, all are of one. A
	// connection counts for the organization whose request opened it, also when others use it.
	Organization func(ctx context.Context) string

	// IdleTimeout is how long a connection is kept without a request.
	IdleTimeout time.Duration

	// MaxHeader is how many bytes the header of an answer may have, interim answers included.
	// It may be exceeded by a few kilobytes, which are read at once.
	MaxHeader int

	// Fallback carries out the requests that are not for Transport. A host that speaks HTTP/2
	// only is left to it from then on, if it says so with an alert of TLS or with the frame that
	// begins HTTP/2. One that answers HTTP/1.1 with a refusal has answered.
	Fallback http.RoundTripper

	// Connected is called for each connection that a request goes out on, unless it is nil, and not
	// for those of the Fallback. reused says that it was kept from an earlier request.
	Connected func(ctx context.Context, reused bool)
}

// A Transport is an http.RoundTripper. It follows no redirect, knows no proxy, and
// decompresses nothing. A request that went out on a kept connection, and got no byte of an
// answer before that ended, is sent once more, on a new connection, if it is idempotent by
// the rules of http.Transport: by its method, or by an Idempotency-Key, whose value may be
// nil. When the context of a request ends, so does its connection.
//
// It is safe for concurrent use. The Body of an answer is not: one goroutine at a time may
// use it.
type Transport struct {
	config Config
	idle   idleConns

	mu    sync.Mutex
	other map[host]bool // hosts that speak HTTP/2 only
}

// maxOther is how many hosts are remembered for speaking HTTP/2 only.
const maxOther = 1024

// A host is what connections are kept for.
type host struct {
	encrypted bool
	addr      string // as in a URL: with or without the port
}

// New returns a Transport.
func New(config Config) *Transport {
	config.TLS = config.TLS.Clone()
	config.TLS.NextProtos = []string{"http/1.1"}
	t := &Transport{config: config, other: make(map[host]bool)}
	t.idle.max, t.idle.perHost = config.MaxIdle, config.MaxIdlePerHost
	t.idle.timeout, t.idle.organization = config.IdleTimeout, config.Organization
	return t
}

// CloseIdleConnections closes the connections that no request uses. Those of the Fallback
// stay.
func (t *Transport) CloseIdleConnections() { t.idle.closeAll() }

// RoundTrip makes one request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.RoundTripBefore(r, time.Time{})
}

// RoundTripBefore is RoundTrip with a deadline, the body of the answer included. It fails with
// ErrDeadline when that has passed. A context with the deadline does the same, but costs a timer and
// more for each request, where kept connections only move the timers that they have. A zero deadline
// is none.
func (t *Transport) RoundTripBefore(
	r *http.Request, deadline time.Time,
) (*http.Response, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	head, ok := appendHead((*buf)[:0], r)
	*buf = head
	if !ok || !canProbe || httptrace.ContextClientTrace(r.Context()) != nil {
		return t.leave(r, deadline)
	}
	to := host{r.URL.Scheme == "https", r.URL.Host}
	if to.encrypted && t.isOther(to) {
		return t.leave(r, deadline)
	}
	message, err := appendBody(head, r)
	*buf = message
	if err != nil {
		return nil, err
	}
	resp, err := t.send(r, deadline, to, message)
	if errors.Is(err, errNotHTTP1) {
		return t.fallBack(r, deadline, to, message[len(head):])
	}
	if err != nil && r.Context().Err() != nil {
		err = context.Cause(r.Context())
	}
	return resp, err
}

// send sends a message on a kept connection or a new one, and reads the header of the answer.
func (t *Transport) send(
	r *http.Request, deadline time.Time, to host, message []byte,
) (*http.Response, error) {
	ctx := r.Context()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if passed(deadline) {
			return nil, ErrDeadline
		}
		c := t.idle.get(to)
		if c == nil {
			break
		}
		resp, err := t.exchange(r, deadline, c, message)
		switch {
		case errors.Is(err, errNotAtRest):
			continue
		case err == nil, c.answered, errors.Is(err, ErrDeadline), !isRepeatable(r):
			return resp, err
		}
		break // and once more, on a new connection
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := t.connectBefore(ctx, deadline, to)
	if err != nil {
		return nil, err
	}
	return t.exchange(r, deadline, c, message)
}

// ErrDeadline says that the deadline of a request has passed.
var ErrDeadline = errors.New("http1: the deadline of the request has passed")

// errNotAtRest says that a kept connection has ended or that something came on it, so that nothing was
// sent.
var errNotAtRest = errors.New("http1: the kept connection is not at rest")

// passed reports whether there is a deadline, and it has passed.
func passed(deadline time.Time) bool { return !deadline.IsZero() && time.Until(deadline) <= 0 }

// connectBefore is connect until a deadline; zero is none.
func (t *Transport) connectBefore(
	ctx context.Context, deadline time.Time, to host,
) (*conn, error) {
	if deadline.IsZero() {
		return t.connect(ctx, to)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	c, err := t.connect(ctx, to)
	// A dial may meet the deadline before the context says that it has passed.
	if err != nil && passed(deadline) && !errors.Is(ctx.Err(), context.Canceled) {
		return nil, ErrDeadline
	}
	return c, err
}

func (t *Transport) connected(ctx context.Context, reused bool) {
	if t.config.Connected != nil {
		t.config.Connected(ctx, reused)
	}
}

// exchange sends a message on a connection, and reads the header of the answer. It sends nothing on
// a kept connection that is not at rest.
func (t *Transport) exchange(
	r *http.Request, deadline time.Time, c *conn, message []byte,
) (*http.Response, error) {
	c.answered = false
	c.setDeadline(deadline)
	stop, ok := context.AfterFunc(r.Context(), c.abortFunc), false
	defer func() { // also when Connected panics
		if !ok {
			stop()
			c.abort()
		}
	}()
	// An endpoint may answer before it has read the request, and close the connection. So
	// it is for reading to say how the request went. The send buffer takes a whole message,
	// so that writing it does not wait for the endpoint to read: see sendBuffer.
	var writeErr error
	if kept := !c.idleSince.IsZero(); kept {
		if writeErr = c.sendIfAtRest(r.Context(), t, message); !c.sent {
			return nil, errNotAtRest
		}
	} else {
		t.connected(r.Context(), false)
		_, writeErr = c.Write(message)
	}
	a := &answer{}
	if err := c.readHeader(r, &a.Response, t.config.MaxHeader); err != nil {
		return nil, c.why(err)
	}
	ok = true
	a.body = body{rest: a.Body, left: a.ContentLength, conn: c, idle: &t.idle, ctx: r.Context(),
		stop: stop,
		keep: writeErr == nil && !a.Close && a.StatusCode != http.StatusSwitchingProtocols}
	if a.Body == http.NoBody {
		a.body.end(io.EOF)
	} else {
		a.Body = &a.body
	}
	return &a.Response, nil
}

// readHeader reads the header of an answer, and passes over interim ones.
func (c *conn) readHeader(r *http.Request, into *http.Response, limit int) error {
	c.left = int64(limit)
	first, err := c.in.Peek(1)
	if err != nil {
		return err
	}
	c.answered = true
	if first[0] == 0 && c.host.encrypted && c.idleSince.IsZero() && c.isHTTP2() {
		return errNotHTTP1
	}
	for {
		if err := c.readResponse(r, into); err != nil {
			return err
		}
		if into.StatusCode < 100 || into.StatusCode >= 200 ||
			into.StatusCode == http.StatusSwitchingProtocols {
			c.left = math.MaxInt64
			return nil
		}
	}
}

// isRepeatable reports what http.Transport requires of a request to send it again.
func isRepeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	_, key := r.Header["Idempotency-Key"]
	_, extra := r.Header["X-Idempotency-Key"]
	return key || extra
}

// A body is the body of an answer.
type body struct {
	rest io.Reader // nil if it is the next left bytes of conn.in
	left int64
	conn *conn
	idle *idleConns
	ctx  context.Context
	stop func() bool // ends the watch over ctx
	keep bool        // the connection may be kept
	err  error       // what Read returns after the end
}

// Read reads from the body. At its end, the connection is free for the next request.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // readers return it as it is
		b.end(err)
	case err != nil && b.ctx.Err() != nil:
		err = context.Cause(b.ctx)
	case err != nil:
		err = b.conn.why(err)
	}
	return n, err
}

// Close ends the connection if the body has not been read to its end.
func (b *body) Close() error {
	b.keep = false
	b.end(http.ErrBodyReadAfterClose)
	return nil
}

// end ends the use of the connection. It is not kept if the host has written more than the
// answer.
func (b *body) end(err error) {
	if b.err != nil {
		return
	}
	b.err = err
	if b.stop() && b.keep && b.conn.in.Buffered() == 0 {
		b.idle.put(b.ctx, b.conn)
	} else {
		b.conn.abort()
	}
}
