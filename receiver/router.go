package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
)

// A HandlerFunc handles one event. If it returns nil, the event is done. If it returns an
// error, the event is released and the sender gets 503, to send it again. If the error is
// [Permanent], the event is recorded as dead and the sender gets 200.
//
// ctx does not end when the sender disconnects: the sender will send the event again, and
// should find it done. It ends when another process has taken over the claim. A handler
// that often takes longer than senders wait belongs behind package inbox.
//
// A HandlerFunc is an [http.Handler] to mount behind [Receiver.Handler].
type HandlerFunc func(ctx context.Context, e *event.Event) error

// ServeHTTP calls f with the event in the request's context, and answers with the status
// for its error. Middleware that calls it again for an event gives it a ResponseWriter of its own
// each time: the last error counts then, or that there was none. On the same ResponseWriter the
// first failure stands, as the first status does in net/http.
func (f HandlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := DeliveryFrom(r.Context())
	if d == nil {
		http.Error(w, "receiver: handler mounted without Receiver.Handler",
			http.StatusInternalServerError)
		return
	}
	err := f(r.Context(), d.Event)
	if err == nil {
		d.failure.Store(nil) // a middleware may have called f again, after a failure
	} else {
		failure := err // only an error that is not nil moves to the heap
		d.failure.Store(&failure)
	}
	w.WriteHeader(statusOf(err))
}

// typedHandler returns the function behind a handler of this package, and nil for any
// other handler.
func typedHandler(h http.Handler) HandlerFunc {
	switch h := h.(type) {
	case HandlerFunc:
		return h
	case *Router:
		return h.HandleEvent
	}
	return nil
}

// statusOf returns the status that a sender gets for a handler's error.
func statusOf(err error) int {
	switch {
	case err == nil, isPermanent(err), errors.Is(err, ErrNoHandler),
		errors.Is(err, ErrAlreadyHandled):
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

func isPermanent(err error) bool {
	var permanent *PermanentError
	return errors.As(err, &permanent)
}

// A Router calls the handler with the most specific pattern for an event's type:
// "object.created" before "object.*" before "*". An event that matches no pattern is
// acknowledged, with the outcome [Unhandled].
//
// Make one with [NewRouter]; the zero Router must not be used. Add all handlers before the Router
// is used. After that it is safe for concurrent use.
type Router struct {
	exact map[string]HandlerFunc
	below map[string]HandlerFunc // by the prefix before ".*"
	all   HandlerFunc
}

// NewRouter returns a Router without handlers.
func NewRouter() *Router {
	return &Router{exact: make(map[string]HandlerFunc), below: make(map[string]HandlerFunc)}
}

// On adds a handler for the types that match the pattern (see [event.Pattern]). Like
// [http.ServeMux.Handle] it panics if the pattern is not valid or already has a handler, or if h is
// nil, because these are mistakes in the program.
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
// [ErrNoHandler] if there is none. Use it for events that do not come over HTTP, as behind
// an inbox.
func (m *Router) HandleEvent(ctx context.Context, e *event.Event) error {
	if h := m.find(e.Type); h != nil {
		return h(ctx, e)
	}
	return ErrNoHandler
}

// ServeHTTP makes a Router an [http.Handler] to mount behind [Receiver.Handler].
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
