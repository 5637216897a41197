package receiver

import (
	"errors"
	"fmt"
)

// The reasons for which a request is refused, in addition to those of package signature. Match them
// with [errors.Is] in the error of [Receiver.Check] or in the [Rejection] of [Hooks.OnReject]. The
// sender cannot tell reasons with status 401 apart.
var (
	// ErrMethod means that the method is not POST. The answer is 405.
	ErrMethod = errors.New("receiver: method is not POST")
	// ErrInsecure means that the request did not come over HTTPS, as far as this process can tell. The
	// answer is 400. A redirect would not help, since the sender has already sent its secret in the
	// clear.
	ErrInsecure = errors.New("receiver: request not over HTTPS, see TrustedProxies and AllowHTTP")
	// ErrContentType means that the content type is not accepted. The answer is 415.
	ErrContentType = errors.New("receiver: content type not accepted")
	// ErrContentEncoding means that the content encoding is not accepted. The answer is 415.
	ErrContentEncoding = errors.New("receiver: content encoding not accepted")
	// ErrNoCredentials means that, with [Config.AnyOf], the request has neither a secret nor a
	// signature. The answer is 401.
	ErrNoCredentials = errors.New("receiver: neither secret nor signature")
	// ErrSecretMissing, ErrSecretRepeated and ErrSecretMismatch mean that the request has no static
	// secret, more than one, or a wrong one. The answer is 401.
	ErrSecretMissing  = errors.New("receiver: secret header missing")
	ErrSecretRepeated = errors.New("receiver: secret header repeated")
	ErrSecretMismatch = errors.New("receiver: no matching secret")
	// ErrTooLarge means that the body exceeds the limit, compressed or decompressed. The answer is
	// 413.
	ErrTooLarge = errors.New("receiver: body too large")
	// ErrSlowBody means that the body did not arrive in time. The answer is 408.
	ErrSlowBody = errors.New("receiver: body too slow")
	// ErrBody means that the body could not be read to its end. The answer is 400.
	ErrBody = errors.New("receiver: body not readable")
	// ErrMalformed means that the body is authentic but not an event. The answer is 400.
	ErrMalformed = errors.New("receiver: malformed event")
	// ErrIDMismatch means that the signed id is not the id of the event. The answer is 400.
	ErrIDMismatch = errors.New("receiver: event_id is not the signed webhook-id")
)

// ErrStaleToken is returned by a [Deduper] if the caller's claim is not the latest: the
// lease ended and another call claimed the key, or the claim was settled otherwise.
var ErrStaleToken = errors.New("receiver: stale claim")

// ErrNoHandler is returned by [Router.HandleEvent] if there is no handler for the type of
// an event. The event counts as handled and is answered with 200, since no handler would
// be called if it were sent again.
var ErrNoHandler = errors.New("receiver: no handler for event type")

// ErrAlreadyHandled means that the effect of an event has happened before. DoneTx of package
// sqldedupe returns it in the handler's own transaction; the handler rolls back and returns it. The
// event counts as handled, and the outcome is [Duplicate].
var ErrAlreadyHandled = errors.New("receiver: event was handled before")

// A Rejection says why a request did not pass the checks. It holds no secret, no
// signature and no part of the body.
type Rejection struct {
	// Status is the HTTP status of the answer.
	Status int
	// Err is the reason.
	Err error

	known bool // whether the static secret was right
	read  bool // whether a part of the body was read, and more may come
}

// Error returns the reason as text.
func (r *Rejection) Error() string { return r.Err.Error() }

// Unwrap returns the reason.
func (r *Rejection) Unwrap() error { return r.Err }

// Permanent marks a handler's error as one that would happen again in another attempt.
// The sender gets 200, so that it does not retry. The event is recorded as dead, and
// reported to [Hooks.OnResult] and the log. Permanent(nil) returns nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{Err: err}
}

// PermanentError is the error that [Permanent] returns. It is recognised anywhere in a chain of
// errors.
type PermanentError struct{ Err error }

// Error returns the text of the wrapped error.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *PermanentError) Unwrap() error { return e.Err }

// PanicError is a panic of a handler or of an [Invalidator], as reported to
// [Hooks.OnResult].
type PanicError struct {
	// Value is the value that was passed to panic.
	Value any
	// Stack is the stack of the goroutine that panicked.
	Stack []byte
}

// Error returns the value as text, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("receiver: panic: %v", e.Value) }
