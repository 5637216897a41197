package receivertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// answer is what of a response matters.
type answer struct {
	status int
	body   string
}

func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// refused reports whether the answer refuses credentials.
func (a answer) refused() bool {
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
}

func (a answer) clientError() bool { return a.status >= 400 && a.status <= 499 }

// later reports whether the answer makes a sender try again.
func (a answer) later() bool {
	switch a.status {
	case http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	}
	return false
}

func (s *suite) do(r *http.Request) (answer, error) {
	response, err := s.Client.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return answer{}, fmt.Errorf("answer broken off: %w", err)
	}
	return answer{status: response.StatusCode, body: string(body)}, nil
}

// message is a request before it is made.
type message struct {
	Credentials
	id   string
	body []byte
	at   time.Time
	// change is applied last. Nil changes nothing.
	change func(*http.Request)
}

// message makes one about a new event of the type that the receiver handles.
func (s *suite) message() message {
	return s.messageOf(event.New(s.EventType, event.Subject{Type: "object", ID: "obj_receivertest"}))
}

func (s *suite) messageOf(e *event.Event) message {
	e.Namespace = "receivertest"
	body, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("receivertest: %v", err)) // the suite made it
	}
	return message{Credentials: s.Credentials, id: e.ID, body: body, at: time.Now()}
}

func (s *suite) send(ctx context.Context, m message) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := post(ctx, s.url, m.body)
	if err != nil {
		return answer{}, err
	}
	if err := m.Apply(r.Header, m.id, m.at, m.body); err != nil {
		return answer{}, err
	}
	if m.change != nil {
		m.change(r)
	}
	return s.do(r)
}

// accepted sends a message that has to be acknowledged.
func (s *suite) accepted(ctx context.Context, what string, m message) error {
	got, err := s.send(ctx, m)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case !got.ok():
		return fmt.Errorf("%s: answered %d instead of 2xx", what, got.status)
	}
	return nil
}

// turnedAway sends a message that must get an answer of a kind, and no effect.
func (s *suite) turnedAway(ctx context.Context, what string, m message, kind string, is func(answer) bool) (answer, error) {
	got, err := s.send(ctx, m)
	switch {
	case err != nil:
		return got, fmt.Errorf("%s: %w", what, err)
	case !is(got):
		return got, fmt.Errorf("%s: answered %d instead of %s", what, got.status, kind)
	}
	if err := s.handled(ctx, m.id, 0); err != nil {
		return got, fmt.Errorf("%s: %w", what, err)
	}
	return got, nil
}

// unauthorized is turnedAway for credentials.
func (s *suite) unauthorized(ctx context.Context, what string, m message) (answer, error) {
	return s.turnedAway(ctx, what, m, "401", answer.refused)
}
