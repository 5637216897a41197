package receivertest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// padded returns a message with a valid event of exactly size bytes.
func (s *suite) padded(size int64) message {
	m := s.message()
	if missing := size - int64(len(m.body)); missing > 0 {
		m.body = append(m.body, bytes.Repeat([]byte(" "), int(missing))...)
	}
	return m
}

func bodyAtLimit(ctx context.Context, s *suite) error {
	m := s.padded(s.MaxBody)
	if err := s.accepted(ctx, fmt.Sprintf("%d bytes", len(m.body)), m); err != nil {
		return err
	}
	return s.handled(ctx, m.id, 1)
}

func oversize(ctx context.Context, s *suite) error {
	return errors.Join(
		s.tooLarge(ctx, "one byte too many, announced", true),
		s.tooLarge(ctx, "one byte too many, in chunks", false),
	)
}

const (
	// oversizeTries is how often a body that is too large is sent to a receiver that
	// breaks the connection: its answer may have been lost because the body was still
	// being sent.
	oversizeTries = 5
	// oversizePause is how long the body is held back at most, so that a receiver which
	// answers early can do so.
	oversizePause = 100 * time.Millisecond
)

// pause is how long a body is held back.
func (s *suite) pause() time.Duration {
	if s.ReadTimeout == 0 {
		return oversizePause
	}
	return min(oversizePause, s.ReadTimeout/10)
}

// tooLarge sends a body of one byte more than the limit.
func (s *suite) tooLarge(ctx context.Context, what string, announced bool) (err error) {
	for range oversizeTries {
		m := s.padded(s.MaxBody + 1)
		m.change = func(r *http.Request) {
			at := len(m.body) - 1 // the first byte over the limit
			if announced {
				at = 0
			} else {
				r.ContentLength = -1
			}
			last := &held{ctx: r.Context(), pause: s.pause(), rest: m.body[at:]}
			r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(m.body[:at]), last))
			r.GetBody = nil
		}
		var got answer
		got, err = s.turnedAway(ctx, what, m, "413", func(a answer) bool {
			return a.status == http.StatusRequestEntityTooLarge
		})
		if err == nil || ctx.Err() != nil ||
			got.status != 0 && got.status != http.StatusRequestTimeout {
			return err
		}
	}
	return fmt.Errorf("%w (%d times: after the answer, read on before closing the connection)",
		err, oversizeTries)
}

// held is a reader that waits before its first byte.
type held struct {
	ctx   context.Context
	pause time.Duration
	rest  []byte
	done  bool
}

func (h *held) Read(p []byte) (int, error) {
	if !h.done {
		h.done = true
		select {
		case <-h.ctx.Done():
			return 0, h.ctx.Err()
		case <-time.After(h.pause):
		}
	}
	if len(h.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

func malformed(ctx context.Context, s *suite) error {
	var errs []error
	for what, body := range map[string]string{
		"an empty body":                "",
		"white space":                  " \n ",
		"no JSON":                      "hello",
		"JSON cut short":               `{"event_id":"evt_1","event_type":`,
		"JSON with something after":    `{"event_id":"evt_1","event_type":"a.b"}{}`,
		"null":                         "null",
		"true":                         "true",
		"a number":                     "1",
		"a text":                       `"evt_1"`,
		"an array":                     "[1,2,3]",
		"an array of an event":         `[{"event_id":"evt_1","event_type":"a.b"}]`,
		"an array in an array, and on": strings.Repeat("[", 2000),
		"a type of no type":            `{"event_id":{"a":1},"event_type":7}`,
	} {
		m := s.message()
		m.body = []byte(body)
		_, err := s.turnedAway(ctx, what, m, "4xx", answer.clientError)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func noType(ctx context.Context, s *suite) error {
	var errs []error
	for what, body := range map[string]string{
		"no event_type":       `{"event_id":%q}`,
		"an empty event_type": `{"event_id":%q,"event_type":""}`,
		"event_type null":     `{"event_id":%q,"event_type":null}`,
	} {
		m := s.message()
		m.body = fmt.Appendf(nil, body, m.id)
		_, err := s.turnedAway(ctx, what, m, "4xx", answer.clientError)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func contentType(ctx context.Context, s *suite) error {
	var errs []error
	for what, lines := range map[string][]string{
		"no content type":               nil,
		"an empty content type":         {""},
		"plain text":                    {"text/plain"},
		"plain text that mentions JSON": {"text/plain; like=application/json"},
		"a form":                        {"application/x-www-form-urlencoded"},
		"a type that begins as JSON's":  {"application/jsonx"},
	} {
		m := s.message()
		m.change = func(r *http.Request) { r.Header["Content-Type"] = lines }
		_, err := s.turnedAway(ctx, what, m, "415", answer.clientError)
		errs = append(errs, err)
	}
	for what, line := range map[string]string{
		"JSON with a charset":     "application/json; charset=utf-8",
		"JSON in capitals":        "Application/JSON",
		"JSON without a blank":    "application/json;charset=UTF-8",
		"JSON, charset in quotes": `application/json; charset="utf-8"`,
	} {
		m := s.message()
		m.change = func(r *http.Request) { r.Header.Set("Content-Type", line) }
		errs = append(errs, s.accepted(ctx, what, m))
	}
	return errors.Join(errs...)
}

func compressed(ctx context.Context, s *suite) error {
	if s.MaxDecoded == 0 {
		_, err := s.turnedAway(ctx, "a body in gzip", zipped(s.message()), "415",
			answer.clientError)
		return err
	}
	m := zipped(s.padded(s.MaxDecoded))
	if err := s.accepted(ctx, fmt.Sprintf("%d bytes in gzip", s.MaxDecoded), m); err != nil {
		return err
	}
	err := s.handled(ctx, m.id, 1)
	_, tooLarge := s.turnedAway(ctx, "one byte too many, in gzip",
		zipped(s.padded(s.MaxDecoded+1)), "413", answer.clientError)
	return errors.Join(err, tooLarge)
}

// zipped compresses the body. The compressed bytes are signed.
func zipped(m message) message {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(m.body) // a Buffer takes everything
	_ = w.Close()
	m.body = b.Bytes()
	m.change = func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }
	return m
}

func wrongMethod(ctx context.Context, s *suite) error {
	var errs []error
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
		m := s.message()
		m.change = func(r *http.Request) { r.Method = method }
		_, err := s.turnedAway(ctx, method, m, "4xx", answer.clientError)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// slowBody announces a body and sends half of it. The receiver may answer or close the
// connection.
func slowBody(ctx context.Context, s *suite) error {
	const grace = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, s.ReadTimeout+grace)
	defer cancel()
	m := s.message()
	got, err := s.stall(ctx, m, len(m.body)/2)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("half a body: still waiting %v after the limit; %s", grace, proxyHint)
	case err == nil && got.ok():
		return fmt.Errorf("half a body: answered %d", got.status)
	}
	return s.handled(context.WithoutCancel(ctx), m.id, 0)
}

// proxyHint is for rules that a proxy in front of the receiver breaks.
const proxyHint = "a proxy that buffers requests (nginx: proxy_request_buffering) waits for the body itself: " +
	"run the suite without it, or name this rule in Options.Except"

// stall sends the first bytes of the body, and then nothing until there is an answer.
func (s *suite) stall(ctx context.Context, m message, sent int) (answer, error) {
	body, end := io.Pipe()
	defer func() { _ = end.Close() }()
	// Do returns only when the transport has read the body to its end.
	stop := context.AfterFunc(ctx, func() { _ = end.CloseWithError(ctx.Err()) })
	defer stop()
	r, err := post(ctx, s.url, nil)
	if err != nil {
		return answer{}, err
	}
	r.Body, r.ContentLength = body, int64(len(m.body))
	if err := m.Apply(r.Header, m.id, m.at, m.body); err != nil {
		return answer{}, err
	}
	go func() { _, _ = end.Write(m.body[:sent]) }() // ends with the request
	return s.do(r)
}
