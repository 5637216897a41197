// Package http1 is an http.RoundTripper for small HTTP/1.1 requests, at about half of the
// CPU time that http.Transport takes for them. http.Transport has two goroutines for each
// connection, and hands each request and each answer over to them. Here the goroutine that
// makes a request writes it at once and reads the answer itself.
//
// It does what it can do with little code, and leaves the rest to another RoundTripper,
// [Config.Fallback]: requests of more than 16 KiB or of unknown length, those with a field
// such as Expect or with something that must be refused, those that are traced with
// net/http/httptrace, and hosts that do not speak HTTP/1.1. Answers are parsed by
// [http.ReadResponse], so that both take the same ones.
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

// Config configures a Transport. All fields but Connected are required.
type Config struct {
	// Dial connects, as http.Transport.DialContext does. The limits of time are its own and
	// those of the request.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// TLS is the configuration of https. The protocol http/1.1 is negotiated, whatever
	// NextProtos says.
	TLS *tls.Config

	// TLSTimeout bounds a handshake.
	TLSTimeout time.Duration

	// MaxIdle and MaxIdlePerHost are how many connections are kept for later requests, in all
	// and to one host. When there are more, the one that has been idle for longest is closed.
	MaxIdle, MaxIdlePerHost int

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
	t.idle.timeout = config.IdleTimeout
	return t
}

// CloseIdleConnections closes the connections that no request uses. Those of the Fallback
// stay.
func (t *Transport) CloseIdleConnections() { t.idle.closeAll() }

// RoundTrip makes one request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	head, ok := appendHead((*buf)[:0], r)
	*buf = head
	if !ok || !canProbe || httptrace.ContextClientTrace(r.Context()) != nil {
		return t.config.Fallback.RoundTrip(r)
	}
	to := host{r.URL.Scheme == "https", r.URL.Host}
	if to.encrypted && t.isOther(to) {
		return t.config.Fallback.RoundTrip(r)
	}
	message, err := appendBody(head, r)
	*buf = message
	if err != nil {
		return nil, err
	}
	resp, err := t.send(r, to, message)
	if errors.Is(err, errNotHTTP1) {
		return t.fallBack(r, to, message[len(head):])
	}
	if err != nil && r.Context().Err() != nil {
		err = context.Cause(r.Context())
	}
	return resp, err
}

// send sends a message on a kept connection or a new one, and reads the header of the answer.
func (t *Transport) send(r *http.Request, to host, message []byte) (*http.Response, error) {
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c := t.idle.get(to); c != nil {
		t.connected(ctx, true)
		resp, err := t.exchange(r, c, message)
		if err == nil || c.answered || !isRepeatable(r) || ctx.Err() != nil {
			return resp, err
		}
	}
	c, err := t.connect(ctx, to)
	if err != nil {
		return nil, err
	}
	t.connected(ctx, false)
	return t.exchange(r, c, message)
}

func (t *Transport) connected(ctx context.Context, reused bool) {
	if t.config.Connected != nil {
		t.config.Connected(ctx, reused)
	}
}

// exchange sends a message on a connection, and reads the header of the answer.
func (t *Transport) exchange(r *http.Request, c *conn, message []byte) (*http.Response, error) {
	stop := context.AfterFunc(r.Context(), c.abort)
	// An endpoint may answer before it has read the request, and close the connection. So
	// it is for reading to say how the request went. The send buffer takes a whole message,
	// so that writing it does not wait for the endpoint to read: see sendBuffer.
	_, writeErr := c.Write(message)
	resp, err := c.readHeader(r, t.config.MaxHeader)
	if err != nil {
		stop()
		c.abort()
		return nil, err
	}
	b := &body{rest: resp.Body, conn: c, idle: &t.idle, ctx: r.Context(), stop: stop,
		keep: writeErr == nil && !resp.Close && resp.StatusCode != http.StatusSwitchingProtocols}
	if resp.Body == http.NoBody {
		b.end(io.EOF)
	} else {
		resp.Body = b
	}
	return resp, nil
}

// readHeader reads the header of an answer, and passes over interim ones.
func (c *conn) readHeader(r *http.Request, limit int) (*http.Response, error) {
	c.left, c.answered = int64(limit), false
	first, err := c.in.Peek(1)
	if err != nil {
		return nil, err
	}
	c.answered = true
	if first[0] == 0 && c.host.encrypted && c.idleSince.IsZero() && c.isHTTP2() {
		return nil, errNotHTTP1
	}
	for {
		resp, err := http.ReadResponse(c.in, r)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 100 || resp.StatusCode >= 200 ||
			resp.StatusCode == http.StatusSwitchingProtocols {
			c.left = math.MaxInt64
			return resp, nil
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
	rest io.Reader
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
	n, err := b.rest.Read(p)
	if err == io.EOF { //nolint:errorlint // readers return it as it is
		b.end(err)
	} else if err != nil && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
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
		b.idle.put(b.conn)
	} else {
		b.conn.abort()
	}
}
