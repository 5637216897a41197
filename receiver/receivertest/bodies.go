package receivertest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// padded makes a valid event of exactly so many bytes.
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
	tooLarge := func(a answer) bool { return a.status == http.StatusRequestEntityTooLarge }
	announced, chunked := s.padded(s.MaxBody+1), s.padded(s.MaxBody+1)
	chunked.change = func(r *http.Request) { r.ContentLength = -1 }
	_, err1 := s.turnedAway(ctx, "one byte too many, announced", announced, "413", tooLarge)
	_, err2 := s.turnedAway(ctx, "one byte too many, in chunks", chunked, "413", tooLarge)
	return errors.Join(err1, err2)
}

func malformed(ctx context.Context, s *suite) error {
	var errs []error
	for what, body := range map[string]string{
		"an empty body":     "",
		"no JSON":           "hello",
		"JSON cut short":    `{"event_id":"evt_1","event_type":`,
		"an array":          "[1,2,3]",
		"a type of no type": `{"event_id":{"a":1},"event_type":7}`,
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
		"no content type": nil,
		"plain text":      {"text/plain"},
		"a form":          {"application/x-www-form-urlencoded"},
	} {
		m := s.message()
		m.change = func(r *http.Request) { r.Header["Content-Type"] = lines }
		_, err := s.turnedAway(ctx, what, m, "415", answer.clientError)
		errs = append(errs, err)
	}
	m := s.message()
	m.change = func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }
	return errors.Join(append(errs, s.accepted(ctx, "JSON with a charset", m))...)
}

func compressed(ctx context.Context, s *suite) error {
	if s.MaxDecoded == 0 {
		_, err := s.turnedAway(ctx, "a body in gzip", zipped(s.message()), "415", answer.clientError)
		return err
	}
	m := zipped(s.padded(s.MaxDecoded))
	if err := s.accepted(ctx, fmt.Sprintf("%d bytes in gzip", s.MaxDecoded), m); err != nil {
		return err
	}
	err := s.handled(ctx, m.id, 1)
	_, tooLarge := s.turnedAway(ctx, "one byte too many, in gzip", zipped(s.padded(s.MaxDecoded+1)), "413", answer.clientError)
	return errors.Join(err, tooLarge)
}

// zipped compresses the body. What is signed is what travels.
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
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		m := s.message()
		m.change = func(r *http.Request) { r.Method = method }
		_, err := s.turnedAway(ctx, method, m, "4xx", answer.clientError)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// slowBody announces a body and sends half of it. Being cut off is an answer
// too.
func slowBody(ctx context.Context, s *suite) error {
	const grace = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, s.ReadTimeout+grace)
	defer cancel()
	m := s.message()
	got, err := s.stall(ctx, m, len(m.body)/2)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("half a body: still waiting %v after the limit", grace)
	case err == nil && got.ok():
		return fmt.Errorf("half a body: answered %d", got.status)
	}
	return s.handled(context.WithoutCancel(ctx), m.id, 0)
}

// stall sends so many bytes of the body, and then nothing until there is an
// answer.
func (s *suite) stall(ctx context.Context, m message, sent int) (answer, error) {
	body, end := io.Pipe()
	defer func() { _ = end.Close() }()
	// The transport does not return before it is done with the body.
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
	go func() { _, _ = end.Write(m.body[:sent]) }() // until the request is over
	return s.do(r)
}
