package http1_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/http1"
)

// Interim answers are passed over. The limit of a header holds for all of them together, and
// not for the body.
func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	const head, early = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early\r\n"
	long := "X: " + strings.Repeat("x", 9000) + "\r\n"
	body := strings.Repeat("x", 100_000)
	for answer, ok := range map[string]bool{
		head + long + "Content-Length: 100000\r\n\r\n" + body:                                 true,
		head + "Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + body + "\r\n0\r\nX: y\r\n\r\n": true,
		early + "\r\n" + early + long + "\r\n" + okAnswer:                                     true,
		early + long + "\r\n" + early + long + "\r\n" + okAnswer:                              false,
		strings.Repeat(early+"\r\n", 1000) + okAnswer:                                         false,
		head + long + long + "\r\n":                                                           false,
		"HTTP/1.1 200 " + strings.Repeat("x", 20_000) + "\r\n\r\n":                            false,
	} {
		s := serve(t, answering(answer))
		status, got, err := post(t, newTransport(t, nil), "http://"+s.addr)
		if !ok {
			assert.Error(t, err, "%.60q", answer)
			continue
		}
		require.NoError(t, err, "%.60q", answer)
		assert.Equal(t, http.StatusOK, status)
		assert.NotEmpty(t, got)
	}
}

// An early answer counts, although the server does not read the request. The connection is not
// kept, because the server may end it.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c net.Conn, br *bufio.Reader) {
		_, _ = io.WriteString(c, "HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, br)
	})
	transport := newTransport(t, nil)
	for i := range 3 {
		r := newPost(t.Context(), t, "http://"+s.addr)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 16<<10))), 16<<10
		status, body, err := do(transport, r)
		require.NoError(t, err)
		assert.Equal(t, 413, status)
		assert.Equal(t, "no", body)
		assert.Equal(t, int64(i+1), s.conns.Load())
	}
}

// reference reads an answer with net/http alone. complete says that nothing follows it, and that
// the connection may be used again.
func reference(answer string) (resp *http.Response, body string, complete bool, err error) {
	br := bufio.NewReader(strings.NewReader(answer))
	for {
		resp, err = http.ReadResponse(br, nil)
		if err != nil {
			return nil, "", false, err
		}
		if resp.StatusCode < 100 || resp.StatusCode > 199 ||
			resp.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	b, err := io.ReadAll(resp.Body)
	_, more := br.Peek(1)
	return resp, string(b), err == nil && !resp.Close && more != nil, err
}

// Whatever a server answers is taken as net/http takes it. A connection on which there is more is
// not kept, so that the next request gets its own answer.
func FuzzAnswer(f *testing.F) {
	for _, answer := range []string{
		okAnswer, okAnswer + okAnswer, "", "\x00\x00\x06\x04\x00\x00\x00\x00\x00",
		"HTTP/1.1 200 \r\nx_y: a\tb \r\nset-cookie: a\r\nSet-Cookie:b\r\nConnection: keep-alive\r\n" +
			"Server:\r\nContent-Length: 0007\r\nConnection: keep-alive\r\n\r\nplainly",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nX: \xc3\xa9\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 304 No\nContent-Length: 7\n\n", "HTTP/1.0 200 OK\r\n\r\nall",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhe\nlo\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nmore",
		"HTTP/1.1 103 Early\r\nContent-Length: 3\r\n\r\nHTTP/1.1  100\r\n\r\n" + okAnswer,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + okAnswer,
		"HTTP/1.1 200 OK\r\nX: y\r\n  Content-Length: 9\r\nContent-Length: 1\r\n\r\n1",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
		"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\r\n\r\nok",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nokX0\r\n\r\n",
	} {
		f.Add(answer, 3)
		f.Add(answer, 1000)
	}
	l, err := net.Listen("unix", filepath.Join(f.TempDir(), "socket")) // ports would run out
	require.NoError(f, err)
	f.Cleanup(func() { _ = l.Close() })
	f.Fuzz(func(t *testing.T, answer string, piece int) {
		if len(answer) > 64<<10 {
			t.Skip("is not written at once")
		}
		want, wantBody, complete, wantErr := reference(answer)
		var talking sync.WaitGroup
		defer talking.Wait()
		requests, conns := 0, 0
		talk := func(c net.Conn) {
			defer func() { _ = c.Close() }()
			for br := bufio.NewReader(c); readRequest(br); {
				if requests++; requests > 1 {
					_, _ = io.WriteString(c, "HTTP/1.1 203 Second\r\nContent-Length: 6\r\n\r\nsecond")
					continue
				}
				for rest := answer; rest != ""; {
					n := min(len(rest), max(piece, 1+len(answer)/8))
					_, _ = io.WriteString(c, rest[:n])
					rest = rest[n:]
				}
				if !complete {
					return
				}
			}
		}
		transport := newTransport(t, func(c *http1.Config) {
			c.MaxHeader = 1 << 20
			c.Dial = func(context.Context, string, string) (net.Conn, error) {
				talking.Wait() // the one before has ended
				conns++
				c, err := net.Dial("unix", l.Addr().String())
				if err != nil {
					return nil, err
				}
				peer, err := l.Accept()
				if err != nil {
					return nil, err
				}
				talking.Go(func() { talk(peer) })
				return c, nil
			}
		})
		defer transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		resp, err := transport.RoundTrip(newPost(ctx, t, "http://unix/"))
		require.Equal(t, want == nil, resp == nil, "%q: %v, want %v", answer, err, wantErr)
		if resp != nil {
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			assert.Equal(t, wantErr == nil, err == nil, "%q: %v, want %v", answer, err, wantErr)
			assert.Equal(t, wantBody, string(b), "%q", answer)
			assert.Equal(t, want.StatusCode, resp.StatusCode, "%q", answer)
			assert.Equal(t, want.Status, resp.Status, "%q", answer)
			assert.Equal(t, want.Proto, resp.Proto, "%q", answer)
			assert.Equal(t, want.ProtoMinor, resp.ProtoMinor, "%q", answer)
			assert.Equal(t, want.Close, resp.Close, "%q", answer)
			assert.Equal(t, want.Header, resp.Header, "%q", answer)
			assert.Equal(t, want.ContentLength, resp.ContentLength, "%q", answer)
		}
		if !complete {
			talking.Wait() // or more may come while the next request is written
		}
		status, second, err := do(transport, newPost(ctx, t, "http://unix/"))
		require.NoError(t, err, "%q", answer)
		assert.Equal(t, 203, status, "%q", answer)
		assert.Equal(t, "second", second, "%q", answer)
		if complete {
			wantConns := 1
			if want.StatusCode == http.StatusSwitchingProtocols {
				wantConns = 2
			}
			assert.Equal(t, wantConns, conns, "%q", answer)
		}
	})
}

// What would leave it open where an answer ends is no answer.
func TestAmbiguousAnswers(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"Content-Length: 2\r\nContent-Length: 3", "Content-Length: 2, 3", "Content-Length: +2",
		"Content-Length: -2", "Content-Length: 0x2", "Content-Length: 2 2", "Content-Length: 2\r",
		"Content-Length: 99999999999999999999", "Transfer-Encoding: gzip, chunked",
		"Transfer-Encoding: identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked, gzip", "X: a\x00b", "no colon",
		": no name",
	} {
		s := serve(t, answering("HTTP/1.1 200 OK\r\n"+header+"\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
		_, _, err := post(t, newTransport(t, nil), "http://"+s.addr)
		assert.Error(t, err, header)
	}
}
