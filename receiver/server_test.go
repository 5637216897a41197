package receiver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
)

// dial sends the beginning of a request and returns the connection, and a reader of the
// answer. A read that takes too long fails.
func dial(
	t *testing.T, h http.Handler, change func(*httptest.Server), begin string,
) (net.Conn, *bufio.Reader) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	if change != nil {
		change(server)
	}
	server.Start()
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, begin)
	require.NoError(t, err)
	return conn, bufio.NewReader(conn)
}

func head(secret string, length int) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Mixpeek-Secret: %s\r\nContent-Length: %d\r\n\r\n", secret, length)
}

func status(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// A wrong secret is answered at once. The server does not wait for the body, as it would
// for a handler that has not read it.
func TestWrongSecretDoesNotWaitForTheBody(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	_, answer := dial(t, setup(t).Handler(receiver.HandlerFunc(ok)), nil, head("guess", 1000))
	assert.Equal(t, 401, status(t, answer))
	_, err := answer.ReadByte()
	assert.ErrorIs(t, err, io.EOF, "and the connection ends")
}

// The connection ends after a rejection, whether the body was read or not.
func TestRejectionEndsTheConnection(t *testing.T) {
	t.Parallel()
	_, answer := dial(t, setup(t).Handler(receiver.HandlerFunc(ok)), nil, head(secret, 5)+"hello")
	assert.Equal(t, 400, status(t, answer))
	_, err := answer.ReadByte()
	assert.ErrorIs(t, err, io.EOF)
}

// A body whose announced length is too large is refused at once.
func TestAnnouncedOversizeDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	_, answer := dial(t, setup(t).Handler(receiver.HandlerFunc(ok)), nil, head(secret, 2<<20))
	assert.Equal(t, 413, status(t, answer))
}

// A body that stops arriving is refused after the shorter of the two timeouts.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		own, server time.Duration
	}{
		"the receiver's limit": {100 * time.Millisecond, 0},
		"the stricter of two":  {100 * time.Millisecond, time.Hour},
		"the server's limit":   {time.Hour, 2 * time.Second}, // in which the head must arrive, too
	} {
		if testing.Short() && tt.own == time.Hour {
			continue // it waits for seconds
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newSpy(t)
			b := setup(t, func(c *receiver.Config) { c.ReadTimeout, c.Dedupe = tt.own, store })
			_, answer := dial(t, b.Handler(receiver.HandlerFunc(ok)),
				func(s *httptest.Server) { s.Config.ReadTimeout = tt.server },
				head(secret, 1000)+`{"event_id":`)
			assert.Equal(t, 408, status(t, answer))
			assert.ErrorIs(t, b.reason(t), receiver.ErrSlowBody)
			assert.Empty(t, store.Calls())
		})
	}
}

// The timeout for the body does not apply after it, or the server would end the request's
// context.
func TestReadTimeoutEndsWithTheBody(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for tenths of a second")
	}
	t.Parallel()
	b := setup(t, func(c *receiver.Config) { c.ReadTimeout = 100 * time.Millisecond })
	body := envelope(t, "evt_1")
	ended := make(chan bool, 1)
	h := b.Handler(receiver.HandlerFunc(ok))
	_, answer := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		select {
		case <-r.Context().Done():
			ended <- true
		case <-time.After(400 * time.Millisecond):
			ended <- false
		}
	}), nil, head(secret, len(body))+body)
	assert.Equal(t, 200, status(t, answer))
	assert.False(t, <-ended)
}

// Middleware that hides the server's ResponseWriter disables the timeout. The log has one
// warning about it, and none for a recorder in a test, which has no server.
func TestSlowBodyBehindOpaqueWriter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.Handler(receiver.HandlerFunc(ok))
	assert.Equal(t, 200, serve(h, post(envelope(t, "evt_0"))).Code)
	assert.NotContains(t, b.log.String(), "slow bodies")

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}))
	t.Cleanup(server.Close)
	for _, id := range []string{"evt_1", "evt_2"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL,
			strings.NewReader(envelope(t, id)))
		require.NoError(t, err)
		r.Header = post("").Header
		response, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, 200, response.StatusCode)
	}
	assert.Equal(t, 1, strings.Count(b.log.String(), "no timeout for slow bodies"), b.log.String())
	assert.Contains(t, b.log.String(), "level=WARN")
}

// One connection serves many requests.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	one, two := envelope(t, "evt_1"), envelope(t, "evt_2")
	conn, answer := dial(t, setup(t).Handler(receiver.HandlerFunc(ok)), nil,
		head(secret, len(one))+one)
	assert.Equal(t, 200, status(t, answer))
	_, err := io.WriteString(conn, head(secret, len(two))+two)
	require.NoError(t, err)
	assert.Equal(t, 200, status(t, answer))
}

// A header on two lines is one header.
func TestFoldedHeaderLines(t *testing.T) {
	t.Parallel()
	b := setup(t, signed(t, whsec()))
	body, now := envelope(t, "evt_1"), stamp(0)
	request := strings.NewReplacer("\n", "\r\n").Replace(fmt.Sprintf(
		"POST / HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: %d\nwebhook-id: evt_1\nwebhook-timestamp: %s\nwebhook-signature: v1,AAAA,\nWEBHOOK-SIGNATURE: %s\n\n",
		len(body), now, mac("evt_1", now, body)))
	_, answer := dial(t, b.Handler(receiver.HandlerFunc(ok)), nil, request+body)
	assert.Equal(t, 200, status(t, answer))
}
