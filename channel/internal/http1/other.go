package http1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// errNotHTTP1 is met with a host that may speak HTTP/2 only. It cannot have understood the
// request.
var errNotHTTP1 = errors.New("http1: the host does not speak HTTP/1.1")

// isHTTP2 reports whether what a host sent begins as the connection preface of an HTTP/2 server
// does: with a frame of settings of the whole connection (RFC 9113, sections 3.4 and 6.5).
func (c *conn) isHTTP2() bool {
	frame, _ := c.in.Peek(9)
	return len(frame) == 9 && slices.Equal(frame[3:], []byte{4, 0, 0, 0, 0, 0})
}

func (t *Transport) isOther(h host) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.other[h]
}

// leave leaves a request to the Fallback.
func (t *Transport) leave(r *http.Request, deadline time.Time) (*http.Response, error) {
	if deadline.IsZero() {
		return t.config.Fallback.RoundTrip(r)
	}
	ctx, cancel := context.WithDeadline(r.Context(), deadline)
	resp, err := t.config.Fallback.RoundTrip(r.WithContext(ctx))
	switch {
	case err != nil && r.Context().Err() == nil && ctx.Err() != nil:
		err = ErrDeadline
	case err == nil && resp != nil && resp.Body != nil:
		resp.Body = &leftBody{resp.Body, r.Context(), ctx, cancel}
		return resp, nil
	}
	cancel()
	return resp, err
}

// leftBody is the body of an answer to a request that was left to the Fallback with a deadline.
type leftBody struct {
	io.ReadCloser
	request, before context.Context // without the deadline, and with it
	cancel          func()
}

// Read reads from the body.
func (b *leftBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.request.Err() == nil && b.before.Err() != nil {
		err = ErrDeadline
	}
	return n, err
}

// Close ends what is left of the request.
func (b *leftBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// fallBack carries out a request to a host that may speak HTTP/2 only, and remembers the host
// if it does.
func (t *Transport) fallBack(
	r *http.Request, deadline time.Time, to host, body []byte,
) (*http.Response, error) {
	if len(body) > 0 { // it has been read from the request
		body = bytes.Clone(body)
		r = r.WithContext(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	resp, err := t.leave(r, deadline)
	if err == nil && resp.ProtoMajor == 2 {
		t.mu.Lock()
		defer t.mu.Unlock()
		for h := range t.other {
			if len(t.other) < maxOther {
				break
			}
			delete(t.other, h)
		}
		t.other[to] = true
	}
	return resp, err
}
