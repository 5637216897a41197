package channelkit

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A scriptedConn reads what it is given, in pieces of one size.
type scriptedConn struct {
	net.Conn
	rest  []byte
	piece int
}

func (c *scriptedConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), c.piece)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// What net/http takes for an answer reaches it whole, and when that has ended,
// no byte more has left the connection.
func FuzzAnswerFraming(f *testing.F) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 204 No\r\n\r\n",
		"HTTP/1.1 304 No\nContent-Length: 7\n\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhe\nlo\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 103 Early\r\nContent-Length: 3\r\n\r\nHTTP/1.1  100\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:\t 2 \r\n\r\nok",
		"HTTP/1.1 200 OK\r\nX: y\r\n  Content-Length: 9\r\nContent-Length: 1\r\n\r\n1",
		"HTTP/1.0 200 OK\r\n\r\nuntil the end",
		"HTTP/0.0 000 0\n\r\nHTTP/0.0  000 \n\r\nHTTP/0.0 200 000\nContent-length: 010 \n\n",
	} {
		f.Add(head, uint8(1), uint8(7))
		f.Add(head, uint8(200), uint8(200))
	}
	f.Fuzz(func(t *testing.T, answer string, piece, buffer uint8) {
		const extra = "more\n and more"
		read := func(r io.Reader) (resp *http.Response, body []byte, err error) {
			br := bufio.NewReaderSize(r, 16+int(buffer))
			for {
				if resp, err = http.ReadResponse(br, nil); err != nil {
					return nil, nil, err
				}
				// As net/http does: an answer with a status below 100 is not an interim one.
				if resp.StatusCode < 100 || resp.StatusCode >= 200 ||
					resp.StatusCode == http.StatusSwitchingProtocols {
					break
				}
			}
			body, err = io.ReadAll(resp.Body)
			if held := br.Buffered(); err == nil && held > 0 && resp.StatusCode >= 200 {
				if _, framed := r.(*endpointConn); framed {
					t.Fatalf("%q: %d bytes too many", answer, held)
				}
			}
			return resp, body, err
		}
		want, wantBody, wantErr := read(strings.NewReader(answer + extra))
		conn := newEndpointConn(&scriptedConn{rest: []byte(answer + extra), piece: 1 + int(piece)})
		conn.expect()
		got, gotBody, gotErr := read(conn)
		if (wantErr == nil) != (gotErr == nil) || !bytes.Equal(wantBody, gotBody) || want != nil &&
			got != nil && want.StatusCode != got.StatusCode {
			t.Fatalf("%q: want %v %q %v, got %v %q %v", answer, want, wantBody, wantErr, got, gotBody,
				gotErr)
		}
	})
}

// net/http lets another request take a kept connection before it reports that the answer to the
// first has been read. What is behind an answer is still neither logged nor taken for the next one.
func TestConnIsTakenBeforeItIsReportedIdle(t *testing.T) { // not parallel: it listens to the log
	const (
		first  = "HTTP/1.1 204 No Content\r\n\r\n"
		second = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokgot a secret\r\n"
	)
	for name, answers := range map[string][]string{
		"behind the first":  {first + "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", second},
		"behind the second": {first, second},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			defer log.SetOutput(log.Writer())
			log.SetOutput(&out)

			var conns sync.WaitGroup
			dials := 0
			dial := func(context.Context, string, string) (net.Conn, error) {
				client, endpoint := net.Pipe()
				// A new connection is there for the second request, if the first one is given up.
				own := answers[min(dials, 1):]
				dials++
				conns.Go(func() {
					defer func() { _ = endpoint.Close() }()
					br := bufio.NewReader(endpoint)
					for _, answer := range own {
						if _, err := http.ReadRequest(br); err != nil {
							return
						}
						_, _ = io.WriteString(endpoint, answer)
					}
					_, _ = br.Peek(1) // until the client hangs up
				})
				return newEndpointConn(client), nil
			}
			transport := &http.Transport{DialContext: dial}
			get := func(ctx context.Context) (*http.Response, error) {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com", nil)
				if err != nil {
					return nil, err
				}
				return transport.RoundTrip(r)
			}

			idle, taken := make(chan struct{}), make(chan struct{})
			// Of two traces, the one that was added last is told first.
			ctx := httptrace.WithClientTrace(withConnTrace(t.Context(), nil), &httptrace.ClientTrace{
				PutIdleConn: func(error) {
					close(idle)
					<-taken
				},
			})
			var firstErr error
			var sender sync.WaitGroup
			sender.Go(func() {
				var resp *http.Response
				if resp, firstErr = get(ctx); firstErr == nil {
					firstErr = resp.Body.Close()
				}
			})
			<-idle
			take := sync.OnceFunc(func() { close(taken) })
			resp, err := get(withConnTrace(httptrace.WithClientTrace(t.Context(),
				&httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { take() }}), nil))
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			sender.Wait()
			require.NoError(t, firstErr)
			assert.Equal(t, "ok", string(body), "the answer to the second request: %s", resp.Status)

			conns.Wait() // the client hangs up because of what is behind the second answer
			assert.Empty(t, out.String())
		})
	}
}
