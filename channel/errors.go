package channel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An Action is what to do about a delivery after an attempt.
type Action int

// The zero Action is Retry: an Error that does not say is worth another try.
const (
	Retry      Action = iota // try again, by the backoff
	Wait                     // try again, not before Error.RetryAfter; the whole endpoint asks for a pause
	Permanent                // give this delivery up: another attempt would end the same way
	Deactivate               // give it up, and deactivate the webhook: the endpoint is gone for good
	Success                  // accepted: nothing is left to do
)

// String returns the action's name in lower case.
func (a Action) String() string {
	switch a {
	case Retry:
		return "retry"
	case Wait:
		return "wait"
	case Permanent:
		return "permanent"
	case Deactivate:
		return "deactivate"
	case Success:
		return "success"
	}
	return "action(" + strconv.Itoa(int(a)) + ")"
}

// A Class says in one word what kind of failure an attempt met. It is stored
// with the attempt, and is a good label for a metric. Drivers may add classes
// of their own.
type Class string

// The classes of the channels in this package.
const (
	ClassDNS            Class = "dns"             // the name did not resolve
	ClassConnect        Class = "connect"         // no connection: refused, unreachable
	ClassProxy          Class = "proxy"           // the proxy cannot be used, or refuses; the endpoint was not asked
	ClassTLS            Class = "tls"             // no trusted connection: certificate, handshake
	ClassTimeout        Class = "timeout"         // no complete answer in time
	ClassRefusedAddress Class = "refused_address" // the address is one that this process must not connect to
	ClassClosed         Class = "closed"          // the connection ended before the answer did
	ClassProtocol       Class = "protocol"        // the answer is not what the protocol allows
	ClassTooLarge       Class = "too_large"       // the answer is longer than the limit
	ClassRedirect       Class = "redirect"        // a 3xx answer, not followed
	ClassStatus         Class = "status"          // any other status that is no success
	ClassRejected       Class = "rejected"        // refused in the target's own terms: a Slack, Twilio or SMTP code
	ClassAuth           Class = "auth"            // credentials refused by the target
	ClassPartial        Class = "partial"         // some of several recipients were not reached
	ClassTemplate       Class = "template"        // a template did not render
	ClassPayload        Class = "payload"         // the stored event does not fit the channel
	ClassConfig         Class = "config"          // the configuration cannot work
	ClassPanic          Class = "panic"           // the channel panicked
	ClassUnknown        Class = "unknown"         // an error that says nothing about itself
)

// An Error is a failed attempt, and what it means for the delivery. It never
// holds a secret, so it can be logged and stored.
type Error struct {
	// Action is what to do next. Zero means Retry.
	Action Action

	// Class is the kind of failure. Empty means unknown.
	Class Class

	// StatusCode is what the target answered with; zero means that it did not.
	StatusCode int

	// RetryAfter is how long the target asked to be left alone, from the time
	// of the answer and already capped at MaxRetryAfter. It is set with Wait,
	// and zero means that it did not ask.
	RetryAfter time.Duration

	// Err says more, in words that may be shown. It may be nil.
	Err error
}

// Error says the class, the status and the reason.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("channel: ")
	if e.Class == "" {
		b.WriteString(string(ClassUnknown))
	} else {
		b.WriteString(string(e.Class))
	}
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, " %d", e.StatusCode)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.RetryAfter)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Retryable reports whether another attempt may succeed.
func (e *Error) Retryable() bool { return e.Action == Retry || e.Action == Wait }

// Timeout reports whether the attempt ran out of time.
func (e *Error) Timeout() bool { return e.Class == ClassTimeout }

// ContextError is for channels that find ctx done in the middle of an attempt:
// context.Canceled, which says nothing about the target, when it was cancelled, and an *Error
// of ClassTimeout when its time ran out. It returns nil while ctx is not done.
func ContextError(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	}
	return &Error{Class: ClassTimeout, Err: errors.New("no complete answer in time")}
}

// AsError returns the Error in err's chain. An error that holds none counts as
// a failed attempt worth retrying, of ClassUnknown. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		if e == nil {
			return &Error{Class: ClassUnknown,
				Err: errors.New("a nil *channel.Error was returned as an error")}
		}
		return e
	}
	return &Error{Action: Retry, Class: ClassUnknown, Err: err}
}
