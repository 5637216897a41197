package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
)

// A HandlerFunc handles one event. What it returns decides what becomes of the
// event: nil, it is done; an error, it is given back and the sender tries again
// (503); [Permanent], it is recorded as dead and acknowledged (200).
//
// ctx outlives the sender's patience: a sender that no longer waits sends the
// event again, and should find it done then. It ends when the claim is lost to
// another process, or with the handler's own deadline. A handler that often
// needs longer than senders wait should store the event and return.
//
// A HandlerFunc is an [http.Handler] to put behind [Receiver.Handler].
type HandlerFunc func(ctx context.Context, e *event.Event) error

// ServeHTTP calls f with the event that the Receiver has put in the request's
// context, and answers with the status for its error.
func (f HandlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := DeliveryFrom(r.Context())
	if d == nil {
		http.Error(w, "receiver: handler mounted without Receiver.Handler", http.StatusInternalServerError)
		return
	}
	err := f(r.Context(), d.Event)
	if err != nil {
		failure := err // only what failed moves to the heap
		d.failure.Store(&failure)
	}
	w.WriteHeader(statusOf(err))
}

// typedHandler returns what handles events inside a handler of requests, nil if
// that is not one of this package.
func typedHandler(h http.Handler) HandlerFunc {
	switch h := h.(type) {
	case HandlerFunc:
		return h
	case *Router:
		return h.HandleEvent
	}
	return nil
}

// statusOf is the status that tells the sender what a handler's error means.
func statusOf(err error) int {
	if err == nil || errors.Is(err, ErrNoHandler) || errors.Is(err, ErrAlreadyHandled) || isPermanent(err) {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

func isPermanent(err error) bool {
	var permanent *PermanentError
	return errors.As(err, &permanent)
}

// A Router hands each event to the handler with the most specific pattern for
// its type: "object.created" before "object.*" before "*". An event whose type
// no pattern selects is acknowledged, and has the outcome [Unhandled].
//
// Routes are added before the Router is used; then it is safe for concurrent
// use.
type Router struct {
	exact map[string]HandlerFunc
	below map[string]HandlerFunc // by what stands before ".*"
	all   HandlerFunc
}

// NewRouter returns a Router without routes.
func NewRouter() *Router {
	return &Router{exact: make(map[string]HandlerFunc), below: make(map[string]HandlerFunc)}
}

// On adds a handler for the types that the pattern selects, see
// [event.Pattern]. Like [http.ServeMux.Handle] it panics if the pattern is not
// valid or is taken, since both are mistakes in the program.
func (m *Router) On(pattern event.Pattern, h HandlerFunc) {
	if err := pattern.Validate(); err != nil {
		panic(fmt.Sprintf("receiver: pattern %q %v", pattern, err))
	}
	if h == nil {
		panic(fmt.Sprintf("receiver: nil handler for pattern %q", pattern))
	}
	if pattern == event.MatchAll {
		if m.all != nil {
			panic(fmt.Sprintf("receiver: pattern %q is taken", pattern))
		}
		m.all = h
		return
	}
	name, wild := strings.CutSuffix(string(pattern), ".*")
	routes := m.exact
	if wild {
		routes = m.below
	}
	if routes[name] != nil {
		panic(fmt.Sprintf("receiver: pattern %q is taken", pattern))
	}
	routes[name] = h
}

// HandleEvent calls the handler for the event's type and returns its error, or
// [ErrNoHandler] if there is none. It serves events that come by other ways
// than HTTP, such as an inbox.
func (m *Router) HandleEvent(ctx context.Context, e *event.Event) error {
	if h := m.find(e.Type); h != nil {
		return h(ctx, e)
	}
	return ErrNoHandler
}

// ServeHTTP implements [http.Handler], to be put behind [Receiver.Handler].
func (m *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	HandlerFunc(m.HandleEvent).ServeHTTP(w, r)
}

func (m *Router) find(eventType string) HandlerFunc {
	if h := m.exact[eventType]; h != nil {
		return h
	}
	for prefix := eventType; ; {
		dot := strings.LastIndexByte(prefix, '.')
		if dot < 0 {
			return m.all
		}
		prefix = prefix[:dot]
		if h := m.below[prefix]; h != nil {
			return h
		}
	}
}
