package receiver

import (
	"errors"
	"fmt"
)

// The reasons why a request is refused, besides those of package signature:
// match them, in what [Receiver.Check] returns or [Hooks.OnReject] is given,
// with [errors.Is]. From outside, everything about credentials looks the same.
var (
	// ErrMethod: webhooks are posted. Answered with 405.
	ErrMethod = errors.New("receiver: method is not POST")
	// ErrInsecure: the request did not come over HTTPS, as far as this process
	// can tell. Answered with 400, never with a redirect: the sender would
	// have sent its secret in the clear already.
	ErrInsecure = errors.New("receiver: not over HTTPS, as far as TrustedProxies and AllowHTTP say")
	// ErrContentType is answered with 415.
	ErrContentType = errors.New("receiver: content type not accepted")
	// ErrContentEncoding is answered with 415.
	ErrContentEncoding = errors.New("receiver: content encoding not accepted")
	// ErrNoCredentials: with [Config.AnyOf], neither a secret nor a signature.
	ErrNoCredentials = errors.New("receiver: neither secret nor signature")
	// ErrSecretMissing, ErrSecretRepeated and ErrSecretMismatch are about the
	// static secret. Answered with 401.
	ErrSecretMissing  = errors.New("receiver: secret header missing")
	ErrSecretRepeated = errors.New("receiver: secret header repeated")
	ErrSecretMismatch = errors.New("receiver: no matching secret")
	// ErrTooLarge: the body, or what it decompresses to, is over the limit.
	// Answered with 413.
	ErrTooLarge = errors.New("receiver: body too large")
	// ErrSlowBody: the body did not arrive in time. Answered with 408.
	ErrSlowBody = errors.New("receiver: body too slow")
	// ErrBody: the body broke off. Answered with 400.
	ErrBody = errors.New("receiver: body not readable")
	// ErrMalformed: the body is authentic and is not an event. Answered with 400.
	ErrMalformed = errors.New("receiver: malformed event")
	// ErrIDMismatch: the signed id is not the id of the event. Answered with 400.
	ErrIDMismatch = errors.New("receiver: event_id is not the signed webhook-id")
)

// ErrStaleToken is returned by a [Deduper] to who does not hold the key: the
// lease ran out and another call claimed it, or the claim is settled otherwise.
var ErrStaleToken = errors.New("receiver: stale claim")

// ErrNoHandler says that no handler takes events of this type. The event counts
// as handled and is answered with 200: sending it again would change nothing.
// [Router.HandleEvent] returns it.
var ErrNoHandler = errors.New("receiver: no handler for event type")

// ErrAlreadyHandled says that the effect of an event has happened before, as DoneTx of
// package sqldedupe finds out in the handler's own transaction. A handler returns it
// after it has rolled back: the event counts as handled, and the outcome is
// [Duplicate].
var ErrAlreadyHandled = errors.New("receiver: event was handled before")

// A Rejection is a request that did not pass the checks. It never holds a
// secret, a signature or a part of the body.
type Rejection struct {
	// Status is the HTTP status of the answer.
	Status int
	// Err is the reason.
	Err error

	known bool // the static secret was right
}

// Error gives the reason.
func (r *Rejection) Error() string { return r.Err.Error() }

// Unwrap returns the reason.
func (r *Rejection) Unwrap() error { return r.Err }

// Permanent marks a handler's error as one that another attempt would meet
// again. The sender gets 200, so that it stops; the event is recorded as dead
// and goes to [Hooks.OnResult] and the log. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{Err: err}
}

// PermanentError is what [Permanent] returns; it is found anywhere in an
// error's chain.
type PermanentError struct{ Err error }

// Error returns the text of the error inside.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the error inside.
func (e *PermanentError) Unwrap() error { return e.Err }

// PanicError is a panic of a handler or of an [Invalidator], as [Hooks.OnResult]
// sees it.
type PanicError struct {
	// Value is what was passed to panic.
	Value any
	// Stack is the stack of who panicked.
	Stack []byte
}

// Error gives the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("receiver: panic: %v", e.Value) }
