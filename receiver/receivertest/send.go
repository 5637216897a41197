package receivertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
)

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// refused reports whether the answer refuses credentials.
func (a answer) refused() bool {
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
}

func (a answer) clientError() bool { return a.status >= 400 && a.status <= 499 }

// later reports whether the answer makes a sender retry.
func (a answer) later() bool {
	switch a.status {
	case http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusServiceUnavailable:
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
		return answer{}, fmt.Errorf("answer incomplete: %w", err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}, nil
}

// message describes a request.
type message struct {
	Credentials
	id   string
	body []byte
	at   time.Time
	// change is applied to the request last, unless it is nil.
	change func(*http.Request)
}

// message returns a message with a new event of the type that the receiver handles.
func (s *suite) message() message {
	return s.messageOf(event.New(s.EventType,
		event.Subject{Type: "object", ID: "obj_receivertest"}))
}

func (s *suite) messageOf(e *event.Event) message {
	e.Namespace = "receivertest"
	body, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("receivertest: %v", err)) // the suite made the event
	}
	return message{Credentials: s.Credentials, id: e.ID, body: body, at: time.Now()}
}

// request makes the request for a message. right are its right signatures, which no answer
// may contain.
func (s *suite) request(
	ctx context.Context, m message,
) (r *http.Request, right []string, err error) {
	if r, err = post(ctx, s.url, m.body); err != nil {
		return nil, nil, err
	}
	if err := m.Apply(r.Header, m.id, m.at, m.body); err != nil {
		return nil, nil, err
	}
	if s.Signer != nil {
		h := make(http.Header)
		if err := s.Signer.Sign(h, m.id, m.at, m.body); err != nil {
			return nil, nil, err
		}
		right = macs(h.Get(signature.HeaderSignature))
	}
	if m.change != nil {
		m.change(r)
	}
	return r, right, nil
}

func (s *suite) send(ctx context.Context, m message) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, right, err := s.request(ctx, m)
	if err != nil {
		return answer{}, err
	}
	sent := fmt.Sprint(r.Header)
	got, err := s.do(r)
	if err == nil {
		right = slices.DeleteFunc(right,
			func(mac string) bool { return strings.Contains(sent, mac) })
		s.watch(got, right)
	}
	return got, err
}

// macs returns the signatures of a header without their versions.
func macs(header string) []string {
	var all []string
	for _, one := range strings.Fields(header) {
		if _, mac, found := strings.Cut(one, ","); found {
			all = append(all, mac)
		}
	}
	return all
}

// minLeak is the length of a secret from which on its text in an answer is no coincidence.
const minLeak = 8

// watch records a secret in an answer.
func (s *suite) watch(got answer, right []string) {
	text := got.body + fmt.Sprint(got.header)
	var leak error
	if len(s.Secret) >= minLeak && strings.Contains(text, s.Secret) {
		leak = fmt.Errorf("an answer %d contains the secret", got.status)
	}
	for _, mac := range right {
		if strings.Contains(text, mac) {
			leak = fmt.Errorf("an answer %d contains the signature that would have been right",
				got.status)
		}
	}
	if leak == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leak = leak
}

func noLeaks(_ context.Context, s *suite) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leak
}

// accepted sends a message that must get 2xx.
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

// turnedAway sends a message that must get an answer of a kind, and must not be handled.
func (s *suite) turnedAway(
	ctx context.Context, what string, m message, kind string, is func(answer) bool,
) (answer, error) {
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
