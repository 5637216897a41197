package http1_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/http1"
)

// postBefore makes a request with a deadline and reads the answer to its end.
func postBefore(
	t *testing.T, transport *http1.Transport, url string, deadline time.Time,
) error {
	resp, err := transport.RoundTripBefore(newPost(t.Context(), t, url), deadline)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// soon is a deadline that servers which say nothing more do not meet.
func soon() time.Time { return time.Now().Add(20 * time.Millisecond) }

// A request ends at its deadline, however far it has come: on a new connection and on a kept one,
// without an answer and within it.
func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, partial := range map[string]string{
		"no answer": "", "a part of the header": "HTTP/1.1 200 OK\r\nCont",
		"a part of the body":        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
		"a part of a chunk":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\no",
		"an interim answer":         "HTTP/1.1 103 Early\r\n\r\n",
		"a body of unknown length":  "HTTP/1.1 200 OK\r\n\r\nall",
		"a header that is complete": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hanging := func(c net.Conn, br *bufio.Reader) {
				readRequest(br)
				_, _ = io.WriteString(c, partial)
				_, _ = io.Copy(io.Discard, br)
			}
			s := serve(t, hanging)
			transport := newTransport(t, nil)
			err := postBefore(t, transport, "http://"+s.addr, soon())
			assert.ErrorIs(t, err, http1.ErrDeadline, "on a new connection")

			s = serve(t, func(c net.Conn, br *bufio.Reader) {
				readRequest(br)
				_, _ = io.WriteString(c, okAnswer)
				hanging(c, br)
			})
			require.NoError(t, postBefore(t, transport, "http://"+s.addr, time.Now().Add(time.Hour)))
			err = postBefore(t, transport, "http://"+s.addr, soon())
			assert.ErrorIs(t, err, http1.ErrDeadline, "on a kept connection")
			assert.Equal(t, int64(1), s.conns.Load())
		})
	}
}

// A request whose deadline has passed takes no connection, and those that are kept stay.
func TestDeadlinePassedBefore(t *testing.T) {
	t.Parallel()
	s := serve(t, answering(okAnswer))
	transport := newTransport(t, nil)
	passed := time.Now().Add(-time.Second)
	require.ErrorIs(t, postBefore(t, transport, "http://"+s.addr, passed), http1.ErrDeadline)
	require.NoError(t, postBefore(t, transport, "http://"+s.addr, time.Time{}))
	require.ErrorIs(t, postBefore(t, transport, "http://"+s.addr, passed), http1.ErrDeadline)
	require.NoError(t, postBefore(t, transport, "http://"+s.addr, time.Time{}))
	assert.Equal(t, int64(1), s.conns.Load())
}

// The deadline of a request that was answered says nothing about the next one on its connection.
func TestDeadlineOfEarlierRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, answering(okAnswer))
	transport := newTransport(t, nil)
	deadline, wait := time.Time{}, time.Millisecond
	require.Eventually(t, func() bool {
		wait *= 2
		deadline = time.Now().Add(wait)
		return postBefore(t, transport, "http://"+s.addr, deadline) == nil
	}, time.Minute, time.Millisecond)
	conns := s.conns.Load()
	time.Sleep(time.Until(deadline) + time.Millisecond)
	require.NoError(t, postBefore(t, transport, "http://"+s.addr, time.Time{}))
	assert.Equal(t, conns, s.conns.Load())
}

// What is left to the Fallback has the deadline in its context.
func TestDeadlineOfFallback(t *testing.T) {
	t.Parallel()
	var body io.ReadCloser
	transport := newTransport(t, func(c *http1.Config) {
		c.Fallback = roundTripper(func(r *http.Request) (*http.Response, error) {
			if body == nil {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{Body: struct {
				io.Reader
				io.Closer
			}{readerFunc(func([]byte) (int, error) {
				<-r.Context().Done()
				return 0, errors.New("the answer has been given up")
			}), body}}, nil
		})
	})
	for _, b := range []io.ReadCloser{nil, http.NoBody} {
		body = b
		r := newPost(t.Context(), t, "http://localhost")
		r.ContentLength = 17 << 10
		resp, err := transport.RoundTripBefore(r, soon())
		if b != nil {
			require.NoError(t, err)
			_, err = io.ReadAll(resp.Body)
			require.NoError(t, resp.Body.Close())
		}
		require.ErrorIs(t, err, http1.ErrDeadline)
	}
}
