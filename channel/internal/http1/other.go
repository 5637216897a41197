package http1

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
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

// fallBack carries out a request to a host that may speak HTTP/2 only, and remembers the host
// if it does.
func (t *Transport) fallBack(r *http.Request, to host, body []byte) (*http.Response, error) {
	if len(body) > 0 { // it has been read from the request
		body = bytes.Clone(body)
		r = r.WithContext(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	resp, err := t.config.Fallback.RoundTrip(r)
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
