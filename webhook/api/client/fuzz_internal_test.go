package client

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"
)

// Whatever a service, or a proxy in front of it, sends as a stream: each event comes once and as a
// whole, also if the stream comes byte by byte, and the id of the last one can be a header of the
// next request.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		"", "\n\n", ":\n\n", "retry: 2000\n\nid: pos_1\ndata: {}\n\n", "data: a\ndata: b\nid:c\n\n",
		"id: pos_1\r\ndata: {}\r\n\r\nid: pos_2\n\n", "data\n\n", "id: a\rb\ndata: {}\n\n", "id: \x00\n\n",
		"data: {}\n\ndata: cut", "\xef\xbb\xbfdata: {}\n\n", "id: \xff\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var whole []string
		s := &streamReader{}
		if err := s.parse(bytes.NewReader(stream), func(data []byte) error {
			whole = append(whole, string(data))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !httpguts.ValidHeaderFieldValue(s.lastID) {
			t.Errorf("%q cannot be a Last-Event-ID", s.lastID)
		}
		if len(whole) > bytes.Count(stream, []byte("data")) {
			t.Errorf("%d events of %q", len(whole), stream)
		}
		var parts []string
		again := &streamReader{}
		err := again.parse(&byByte{stream}, func(data []byte) error {
			parts = append(parts, string(data))
			return nil
		})
		if err != nil || again.lastID != s.lastID ||
			strings.Join(parts, "\x00") != strings.Join(whole, "\x00") {
			t.Errorf("%q, %q: byte by byte %q, %q: %v", whole, s.lastID, parts, again.lastID, err)
		}
		stopped := &streamReader{}
		stop := errors.New("stop")
		err = stopped.parse(bytes.NewReader(stream), func([]byte) error { return stop })
		if len(whole) > 0 && !errors.Is(err, stop) {
			t.Errorf("a handler that fails ends the stream: %v", err)
		}
	})
}

// byByte reads one byte at a time.
type byByte struct{ rest []byte }

func (r *byByte) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Whatever an answer that is an error holds, it becomes an Error that says its status.
func FuzzErrorAnswer(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", `{"error":{"type":"NotFoundError","message":"m","details":{"a":[1]}}}`,
		`{"detail":[{"loc":["body","a"],"msg":"m","type":"t"}]}`, `{"detail":"text"}`, "<html>",
	} {
		f.Add(404, "5", []byte(seed))
	}
	f.Add(429, "-1", []byte("{}"))
	f.Add(503, "99999999999999999999", []byte("{}"))
	f.Add(503, "9223372036854775807", []byte("{}"))
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		err := newError(status, http.Header{"Retry-After": {retryAfter}}, body)
		var answer *Error
		if !errors.As(err, &answer) || answer.StatusCode != status || answer.RetryAfter < 0 {
			t.Fatalf("%+v", err)
		}
		if !strings.HasPrefix(err.Error(), "client: ") {
			t.Fatalf("%q", err)
		}
		errors.Is(err, errStopped)
	})
}
