package receiver_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
)

// pipes is a listener of connections in memory, so that the test's clock applies.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// servePipes serves a receiver in a bubble of synctest.
func servePipes(t *testing.T, b *bundle, readTimeout ...time.Duration) *pipes {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: b.Handler(receiver.HandlerFunc(ok))}
	for _, d := range readTimeout {
		server.ReadTimeout = d
	}
	ended := make(chan error)
	go func() { ended <- server.Serve(p) }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return p
}

// refused sends the head of a request in chunks and returns the connection once
// the refusal has arrived.
func (p *pipes) refused(
	t *testing.T, secret string, status int, body string,
) (net.Conn, *bufio.Reader) {
	t.Helper()
	client, server := net.Pipe()
	p.conns <- server
	t.Cleanup(func() { _ = client.Close() })
	go func() {
		_, _ = fmt.Fprintf(client,
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Mixpeek-Secret: %s\r\nTransfer-Encoding: chunked\r\n\r\n%s", secret, body)
	}()
	answer := bufio.NewReader(client)
	response, err := http.ReadResponse(answer, nil)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, status, response.StatusCode)
	require.Equal(t, http.StatusText(status)+"\n", string(text))
	require.True(t, response.Close)
	return client, answer
}

// chunk is 4 KiB of a body in chunks.
var chunk = "1000\r\n" + strings.Repeat(" ", 0x1000) + "\r\n"

// A sender that goes on sending after the refusal gets the answer at once. What it sends is
// read up to a limit, which is small for strangers.
func TestDrainIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		secret string
		status int
		bytes  int
		begin  string
	}{
		{"a stranger", "guess", 401, 1 << 20, ""},
		{"a sender", secret, 413, 16 << 20, chunk + chunk},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && tt.bytes > 1<<20 {
				t.Skip("takes a few hundredths of a second of CPU time")
			}
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := servePipes(t, setup(t, func(c *receiver.Config) { c.MaxBody = 5000 }))
				start := time.Now()
				client, _ := p.refused(t, tt.secret, tt.status, tt.begin)
				assert.Zero(t, time.Since(start), "the answer does not wait")
				read := 0
				for {
					n, err := io.WriteString(client, chunk)
					read += n
					if err != nil {
						break
					}
					require.Less(t, read, 2*tt.bytes)
				}
				// Buffers and the frames of the chunks are extra.
				assert.InDelta(t, tt.bytes, read, float64(tt.bytes)/100+20_000)
				assert.Equal(t, 250*time.Millisecond, time.Since(start),
					"it may read its answer for as long as that")
			})
		})
	}
}

// The connection of a sender that sends slowly, or nothing, ends in time.
func TestDrainIsBoundedInTime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		secret string
		status int
		begin  string
		server []time.Duration
		took   time.Duration
	}{
		"a stranger":             {"guess", 401, "", nil, 2 * time.Second},
		"a sender":               {secret, 413, chunk + chunk, nil, 5 * time.Second},
		"the server has its own": {"guess", 401, "", []time.Duration{time.Second}, time.Second},
		"the server's own is longer": {"guess", 401, "", []time.Duration{time.Hour},
			2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := servePipes(t, setup(t, func(c *receiver.Config) { c.MaxBody = 5000 }),
					tt.server...)
				start := time.Now()
				client, answer := p.refused(t, tt.secret, tt.status, tt.begin)
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					for {
						if _, err := io.WriteString(client, "1\r\n \r\n"); err != nil {
							return
						}
						time.Sleep(100 * time.Millisecond)
					}
				}()
				_, err := answer.ReadByte()
				require.ErrorIs(t, err, io.EOF)
				assert.Equal(t, tt.took, time.Since(start))
				<-gone
			})
		})
	}
}

// A sender that waits for 100 Continue and gets a refusal sends no body, so its connection ends
// at once. If the Receiver has begun to read, the body is on its way and is drained.
func TestDrainAfterExpectContinue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		secret string
		length int
		body   string
		status string
		took   time.Duration
	}{
		"a stranger":                {"guess", 9000, "", "401", 0},
		"announced to be too large": {secret, 9000, "", "413", 0},
		"too large":                 {secret, -1, chunk + chunk, "413", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := servePipes(t, setup(t, func(c *receiver.Config) { c.MaxBody = 5000 }))
				client, server := net.Pipe()
				p.conns <- server
				t.Cleanup(func() { _ = client.Close() })
				length := "Transfer-Encoding: chunked"
				if tt.length >= 0 {
					length = fmt.Sprintf("Content-Length: %d", tt.length)
				}
				start := time.Now()
				_, err := fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: x\r\n"+
					"Content-Type: application/json\r\nX-Mixpeek-Secret: %s\r\n"+
					"Expect: 100-Continue\r\n%s\r\n\r\n", tt.secret, length)
				require.NoError(t, err)
				go func() { _, _ = io.WriteString(client, tt.body) }()
				answers, err := io.ReadAll(client)
				require.NoError(t, err)
				assert.Equal(t, tt.body != "", strings.HasPrefix(string(answers), "HTTP/1.1 100 "))
				assert.Contains(t, string(answers), "HTTP/1.1 "+tt.status+" ")
				assert.Equal(t, tt.took, time.Since(start))
			})
		})
	}
}

// The connection ends with the body.
func TestDrainEndsWithTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t, setup(t))
		start := time.Now()
		client, answer := p.refused(t, "guess", 401, "")
		time.Sleep(time.Second)
		_, err := io.WriteString(client, chunk+"0\r\n\r\n")
		require.NoError(t, err)
		_, err = answer.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// The number of strangers whose bodies are read is bounded, and does not affect senders.
func TestDrainIsBoundedInNumber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t, setup(t, func(c *receiver.Config) { c.MaxBody = 5000 }))
		start := time.Now()
		for range 64 {
			p.refused(t, "guess", 401, "")
		}
		synctest.Wait()
		_, answer := p.refused(t, "guess", 401, "")
		_, err := answer.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		assert.Zero(t, time.Since(start), "one too many")

		_, answer = p.refused(t, secret, 413, chunk+chunk)
		_, err = answer.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		assert.Equal(t, 5*time.Second, time.Since(start), "a sender has slots of its own")

		_, answer = p.refused(t, "guess", 401, "")
		_, err = answer.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		assert.Equal(t, 7*time.Second, time.Since(start), "a drain that has ended frees its slot")
	})
}

// A sender that reads only after it has sent everything gets its answer.
func TestRefusalOfASenderThatReadsLast(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *receiver.Config) { c.MaxBody = 5000 })
	for given, want := range map[string]int{"guess": 401, secret: 413} {
		size := 900_000
		conn, answer := dial(t, b.Handler(receiver.HandlerFunc(ok)), nil, head(given, size))
		_, err := io.WriteString(conn, strings.Repeat(" ", size))
		require.NoError(t, err)
		assert.Equal(t, want, status(t, answer))
	}
}

// There is no drain if the ResponseWriter cannot flush or has no deadlines: the answer is sent
// when the handler has returned.
func TestNoDrainBehindOpaqueWriter(t *testing.T) {
	t.Parallel()
	h := setup(t).Handler(receiver.HandlerFunc(ok))
	var body tripped
	_, answer := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &body
		h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}), nil, head("guess", 1)+" ")
	assert.Equal(t, 401, status(t, answer))
	assert.False(t, body.read)
}

// tripped records that it was read.
type tripped struct{ read bool }

func (b *tripped) Read([]byte) (int, error) {
	b.read = true
	return 0, errors.New("read")
}

func (*tripped) Close() error { return nil }
