package http1_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/http1"
)

// timedOut is what some servers send before they close an idle connection.
const timedOut = "HTTP/1.1 408 Request Timeout\r\n\r\n"

// A connection is kept for the next request only if it is certain where the answer ended.
func TestKeepsConnections(t *testing.T) {
	t.Parallel()
	tests := []struct {
		answer string
		kept   bool
	}{
		{okAnswer, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
		{"HTTP/1.1 204 No Content\r\n\r\n", true},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", true},
		{"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", true},
		{"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + okAnswer, true},
		{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false},
		{okAnswer + "x", false},
		{okAnswer + okAnswer, false},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n", false},
	}
	for _, tt := range tests {
		s := serve(t, answering(tt.answer))
		transport := newTransport(t, nil)
		for range 3 {
			status, _, err := post(t, transport, "http://"+s.addr)
			require.NoError(t, err, tt.answer)
			assert.Positive(t, status)
		}
		assert.Equal(t, map[bool]int64{true: 1, false: 3}[tt.kept], s.conns.Load(), tt.answer)
	}
}

// What a server sends or does on a connection between two requests is noticed before the second
// is written, so that one that must not be repeated does not fail for it, and what was sent is not
// taken for its answer.
func TestIdleConnectionEnds(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]func(c net.Conn){
		"closed":    func(c net.Conn) { _ = c.Close() },
		"reset":     func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"an answer": func(c net.Conn) { _, _ = io.WriteString(c, timedOut) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended, end := make(chan struct{}, 10), make(chan struct{}, 10)
			s := serve(t, func(c net.Conn, br *bufio.Reader) {
				readRequest(br)
				_, _ = io.WriteString(c, okAnswer)
				<-end
				ending(c)
				ended <- struct{}{}
				_, _ = br.ReadByte()
			})
			transport := newTransport(t, nil)
			for i := range 5 {
				status, _, err := post(t, transport, "http://"+s.addr)
				require.NoError(t, err)
				assert.Equal(t, http.StatusOK, status)
				assert.Equal(t, int64(i+1), s.conns.Load())
				end <- struct{}{}
				<-ended
			}
			transport.CloseIdleConnections()
		})
	}
}

// A request that may be repeated is sent once more if a kept connection ends before the first
// byte of the answer, and another one is not.
func TestRepeats(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change   func(r *http.Request)
		partial  string
		repeated bool
	}{
		"POST":                {func(*http.Request) {}, "", false},
		"an idempotency key":  {func(r *http.Request) { r.Header["Idempotency-Key"] = nil }, "", true},
		"another one":         {func(r *http.Request) { r.Header["X-Idempotency-Key"] = nil }, "", true},
		"GET":                 {func(r *http.Request) { r.Method = http.MethodGet }, "", true},
		"after the first one": {func(r *http.Request) { r.Method = http.MethodGet }, "H", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c net.Conn, br *bufio.Reader) {
				readRequest(br)
				_, _ = io.WriteString(c, okAnswer)
				if readRequest(br) {
					_, _ = io.WriteString(c, tt.partial)
				}
			})
			transport := newTransport(t, nil)
			_, _, err := post(t, transport, "http://"+s.addr)
			require.NoError(t, err)
			r := newPost(t.Context(), t, "http://"+s.addr)
			tt.change(r)
			_, body, err := do(transport, r)
			if !tt.repeated {
				require.Error(t, err)
				assert.Equal(t, int64(1), s.conns.Load())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "ok", body)
			assert.Equal(t, int64(2), s.conns.Load())
		})
	}
}

// A new connection that ends is not a reason to repeat a request.
func TestNewConnectionEnds(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ net.Conn, br *bufio.Reader) { readRequest(br) })
	r := newPost(t.Context(), t, "http://"+s.addr)
	r.Header["Idempotency-Key"] = nil
	_, _, err := do(newTransport(t, nil), r)
	assert.ErrorIs(t, err, io.EOF)
	assert.Equal(t, int64(1), s.conns.Load())
}

// No more connections are kept than may be, to one host and in all.
func TestIdleConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const perHost, total = 3, 5
	l, err := net.Listen("tcp4", "0.0.0.0:0") // each address of 127.0.0.0/8 is a host
	require.NoError(t, err)
	closed := make(chan struct{}, 100)
	s := serveOn(t, l, func(c net.Conn, br *bufio.Reader) {
		answering(okAnswer)(c, br)
		closed <- struct{}{}
	})
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	transport := newTransport(
		t,
		func(c *http1.Config) { c.MaxIdlePerHost, c.MaxIdle = perHost, total },
	)
	url := func(i int) string { return fmt.Sprintf("http://127.0.0.%d:%s", i+1, port) }

	// Ten answers at a time of one host, none of which has been read to its end.
	bodies := make([]io.ReadCloser, 10)
	for i := range bodies {
		resp, err := transport.RoundTrip(newPost(t.Context(), t, url(0)))
		require.NoError(t, err)
		bodies[i] = resp.Body
	}
	assert.Equal(t, int64(10), s.conns.Load())
	for _, b := range bodies {
		_, err := io.Copy(io.Discard, b)
		require.NoError(t, err)
	}
	for range 10 - perHost {
		<-closed
	}
	// One of each of ten hosts.
	for i := range 10 {
		_, _, err := post(t, transport, url(i))
		require.NoError(t, err)
	}
	assert.Equal(t, int64(19), s.conns.Load(), "the first host's is used again")
	for range perHost + 9 - total {
		<-closed
	}
	for i := range total { // the last ones are kept
		_, _, err := post(t, transport, url(9-i))
		require.NoError(t, err)
	}
	assert.Equal(t, int64(19), s.conns.Load())
	transport.CloseIdleConnections()
	for range total {
		<-closed
	}
}

// A connection that has been idle for too long is closed without a request.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 3)
	s := serve(t, func(c net.Conn, br *bufio.Reader) {
		answering(okAnswer)(c, br)
		closed <- struct{}{}
	})
	transport := newTransport(t, func(c *http1.Config) { c.IdleTimeout = time.Millisecond })
	for range 3 {
		_, _, err := post(t, transport, "http://"+s.addr)
		require.NoError(t, err)
		<-closed
	}
}

// Many requests at a time, with connections that the server ends as it likes.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c net.Conn, br *bufio.Reader) {
		for i := 0; i < 20; i++ {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		}
	})
	transport := newTransport(t, func(c *http1.Config) { c.MaxIdlePerHost = 4 })
	times := 100
	if testing.Short() {
		times = 10
	}
	var senders sync.WaitGroup
	for i := range 16 {
		senders.Go(func() {
			for j := range times {
				want := strings.Repeat("x", 1+i*100) + fmt.Sprint(i, " ", j)
				r := newPost(t.Context(), t, "http://"+s.addr)
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(want)), int64(len(want))
				r.Header["Idempotency-Key"] = nil
				_, got, err := do(transport, r)
				assert.NoError(t, err)
				assert.Equal(t, want, got)
			}
		})
	}
	senders.Wait()
}

type organizationKey struct{}

// ofOrganization returns a context of an organization's request.
func ofOrganization(t testing.TB, id string) context.Context {
	return context.WithValue(t.Context(), organizationKey{}, id)
}

func organization(ctx context.Context) string {
	id, _ := ctx.Value(organizationKey{}).(string)
	return id
}

// serveHosts returns a server that all addresses of 127.0.0.0/8 reach, each of which is a host, its
// port, and how many connections are open.
func serveHosts(t *testing.T) (s *server, port string, open *atomic.Int64) {
	open = new(atomic.Int64)
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	require.NoError(t, err)
	s = serveOn(t, l, func(c net.Conn, br *bufio.Reader) {
		open.Add(1)
		defer open.Add(-1)
		answering(okAnswer)(c, br)
	})
	_, port, err = net.SplitHostPort(s.addr)
	require.NoError(t, err)
	return s, port, open
}

// An organization with requests to 2,000 hosts has its own connections closed for more, and not
// those of another one, even if it has requests to the same hosts.
func TestOneOrganizationLeavesConnections(t *testing.T) {
	t.Parallel()
	const total, hosts = 50, 2000
	s, port, open := serveHosts(t)
	transport := newTransport(t, func(c *http1.Config) {
		c.MaxIdle, c.Organization = total, organization
	})
	send := func(id string, hosts ...int) (opened int64) {
		before := s.conns.Load()
		for _, i := range hosts {
			url := fmt.Sprintf("http://127.2.%d.%d:%s", i>>8, i&255, port)
			_, _, err := do(transport, newPost(ofOrganization(t, id), t, url))
			require.NoError(t, err)
		}
		return s.conns.Load() - before
	}
	own := []int{hosts, hosts + 1, hosts + 2}
	send("victim", own...)
	for i := range hosts {
		send("attacker", i)
		if i%10 == 0 {
			send("attacker", own[0]) // which the victim uses too
		}
	}
	assert.Zero(t, send("victim", own...))
	assert.Zero(t, send("", own...), "whose they are does not matter to who uses them")
	assert.Zero(t, send("attacker", hosts-(total-len(own))), "it has what the others leave")
	assert.NotZero(t, send("attacker", hosts-(total-len(own))-1), "the oldest is closed")
	require.Eventually(t, func() bool { return open.Load() <= total }, time.Minute, time.Millisecond)
	transport.CloseIdleConnections()
	require.Eventually(t, func() bool { return open.Load() == 0 }, time.Minute, time.Millisecond)
}

// Requests of many organizations at a time, to hosts that they share, keep within the bound.
func TestOrganizationsConcurrently(t *testing.T) {
	t.Parallel()
	const total = 5
	_, port, open := serveHosts(t)
	transport := newTransport(t, func(c *http1.Config) {
		c.MaxIdle, c.MaxIdlePerHost, c.Organization = total, 2, organization
	})
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			ctx := ofOrganization(t, strconv.Itoa(i/2))
			for j := range 50 {
				url := fmt.Sprintf("http://127.0.0.%d:%s", 1+(i+j)%7, port)
				r := newPost(ctx, t, url)
				r.Header["Idempotency-Key"] = nil
				_, _, err := do(transport, r)
				assert.NoError(t, err)
			}
		})
	}
	senders.Wait()
	require.Eventually(t, func() bool { return open.Load() <= total }, time.Minute, time.Millisecond)
}
