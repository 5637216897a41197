package channelkit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// An endpointConn is a connection on which net/http speaks HTTP/1 with an
// endpoint. It stands between the two for two reasons.
//
// What an endpoint writes after its answer, net/http prints to the standard log,
// and an endpoint may repeat there what it was sent, with the secrets. So a Read
// returns no byte beyond the end of an answer, as far as that can be known from
// its framing, and while no answer is waited for whatever arrives ends the
// connection.
//
// When an endpoint closes a kept connection while a request is being written,
// the error of writing keeps net/http from seeing that nothing was answered, so
// that a request that may be repeated is not. So a failed Write is no error: the
// next Read, which finds an early answer or the end, says how the request went.
//
// One goroutine writes and one reads; expect and settled are called by others.
type endpointConn struct {
	net.Conn
	in *bufio.Reader // belongs to Read

	mu       sync.Mutex
	requests int  // those that net/http has not read the answer of
	held     int  // bytes in in, when Read returned last
	written  bool // something
	tunnel   bool // what passes is not HTTP with an endpoint
	broken   bool // nothing more is to be read
	answer   answerFraming
}

func newEndpointConn(c net.Conn) *endpointConn {
	return &endpointConn{Conn: c, in: bufio.NewReader(c)}
}

// expect notes that a request is about to be written.
func (c *endpointConn) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
}

// settled notes that an answer has been read to its end. It comes before the
// next Read, but the next request may be expected already: net/http offers the
// connection for it first.
func (c *endpointConn) settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests--
	c.answer = answerFraming{}
	// What is here already came before the next request was written: it is no answer to it.
	c.broken = c.broken || c.held > 0
}

// Write writes, and leaves it to Read to say that it failed.
func (c *endpointConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if !c.written && len(b) > 0 {
		// Behind CONNECT, or the first byte of SOCKS 5, net/http encrypts for the
		// endpoint by itself.
		c.written, c.tunnel = true, b[0] == 5 || bytes.HasPrefix(b, []byte("CONNECT "))
	}
	tunnel := c.tunnel
	c.mu.Unlock()
	n, err := c.Conn.Write(b)
	if tunnel {
		return n, err
	}
	return len(b), nil
}

// Read reads a part of an answer.
func (c *endpointConn) Read(b []byte) (int, error) {
	_, err := c.in.Peek(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n := min(len(b), c.in.Buffered())
	if !c.tunnel {
		if c.broken || c.requests == 0 {
			c.broken = true
			return 0, io.EOF
		}
		waiting, _ := c.in.Peek(n) // as many are there
		n = c.answer.next(waiting)
	}
	n, err = c.in.Read(b[:n])
	c.held = c.in.Buffered()
	return n, err
}

// An answerFraming follows an HTTP/1 answer (RFC 9112, sections 6 and 7), no
// further than is needed to know where it may end. It judges nothing: that is up
// to net/http. What it cannot follow is handed on line by line.
type answerFraming struct {
	part    answerPart
	line    []byte // the beginning of a line of the header, or of a chunk's size
	interim bool   // a 1xx: another header follows
	chunked bool
	length  uint64 // what is left of a body that declares its length, or of a chunk with the line's end behind it
}

type answerPart int

const (
	inStatus answerPart = iota
	inHeader
	inBody   // of declared length
	inChunks // before the size of a chunk, or in the chunk
	inRest   // a body until the connection ends, what follows the last chunk, or nothing
)

// next returns how many of the bytes can be handed on at once, at least one if
// there are any. After the header, a body of declared length, and each line of
// the rest the answer may have ended, so it goes no further than the next of
// these places.
func (a *answerFraming) next(b []byte) int {
	if a.part == inRest {
		if end := bytes.IndexByte(b, '\n') + 1; end > 0 {
			return end
		}
		return len(b)
	}
	n, start := 0, a.part // a status line and its header are one piece, and so are chunks
	for n < len(b) && (a.part == start || a.part == inHeader) {
		if a.length > 0 && a.part > inHeader {
			some := min(a.length, uint64(len(b)-n))
			a.length -= some
			n += int(some)
			if a.part == inBody && a.length == 0 {
				a.part = inRest
			}
			continue
		}
		end := bytes.IndexByte(b[n:], '\n') + 1
		if end == 0 {
			a.line = append(a.line, b[n:]...)
			return len(b)
		}
		line := b[n : n+end]
		if len(a.line) > 0 {
			line = append(a.line, line...)
			a.line = nil
		}
		if n += end; a.part == inChunks {
			a.endSize(line)
		} else {
			a.endLine(strings.TrimRight(string(line), "\r\n"))
		}
	}
	return n
}

// endSize reads the size of a chunk. There may be millions of them.
func (a *answerFraming) endSize(line []byte) {
	const most = 1 << 56 // with room for one more digit, and a line's end
	var size uint64
	for _, c := range line {
		digit := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if digit < 0 || size >= most {
			break
		}
		size = size<<4 + uint64(digit)
	}
	if a.part = inRest; size > 0 {
		a.part, a.length = inChunks, size+uint64(len("\r\n"))
	}
}

// endLine reads a line of the header.
func (a *answerFraming) endLine(line string) {
	name, value, _ := strings.Cut(line, ":")
	switch {
	case a.part == inStatus:
		_, status, _ := strings.Cut(line, " ")
		status = strings.TrimLeft(status, " ")
		a.part, a.interim = inHeader, strings.HasPrefix(status, "1") && !strings.HasPrefix(status, "101")
	case line == "":
		a.endHeader()
	case strings.EqualFold(name, "Content-Length"):
		a.length, _ = strconv.ParseUint(strings.Trim(value, " \t"), 10, 63)
	case strings.EqualFold(name, "Transfer-Encoding"):
		a.chunked = true
	}
}

// endHeader says what follows the header.
func (a *answerFraming) endHeader() {
	switch {
	case a.interim:
		*a = answerFraming{}
	case a.chunked:
		a.part, a.length = inChunks, 0
	case a.length > 0:
		a.part = inBody
	default:
		a.part = inRest
	}
}

// withConnTrace returns a context that tells each endpointConn of a request
// when it is about to carry it, and when the answer is complete. connected is
// that of an HTTPConfig.
func withConnTrace(
	ctx context.Context, connected func(context.Context, bool),
) context.Context {
	var conn *endpointConn
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if connected != nil {
				connected(ctx, info.Reused)
			}
			if conn, _ = info.Conn.(*endpointConn); conn != nil {
				conn.expect()
			}
		},
		PutIdleConn: func(error) {
			if conn != nil {
				conn.settled()
			}
		},
	})
}

// dial connects to an endpoint, or to a proxy, in plain text.
func (c *HTTPClient) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return newEndpointConn(conn), nil
}

// dialTLS connects to an endpoint, or to a proxy, with TLS. It does what
// http.Transport does, because that would hide what passes inside of TLS.
func (c *HTTPClient) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	config := c.tls.Clone()
	for _, proto := range []string{"h2", "http/1.1"} {
		if !slices.Contains(config.NextProtos, proto) {
			config.NextProtos = append(config.NextProtos, proto)
		}
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	if c.sessions != nil {
		config.ClientSessionCache = c.sessions.forRequest(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	encrypted := tls.Client(conn, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if encrypted.ConnectionState().NegotiatedProtocol == "h2" {
		return encrypted, nil
	}
	return newEndpointConn(encrypted), nil
}
