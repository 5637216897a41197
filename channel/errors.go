package channel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An Action says what to do about a delivery after an attempt.
type Action int

// The zero Action is Retry: an Error that does not name an Action is worth another attempt.
const (
	Retry     Action = iota // try again after the backoff
	Wait                    // try again after Error.RetryAfter; until then make no other attempt there
	Permanent               // the delivery is dead: another attempt would end the same way
	Disable                 // the delivery is dead, and its endpoint is disabled: it is gone for good
	Success                 // accepted: there is nothing left to do
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
	case Disable:
		return "disable"
	case Success:
		return "success"
	}
	return "action(" + strconv.Itoa(int(a)) + ")"
}

// A Class names, in one word, the kind of failure. It is stored with the attempt, and makes a good
// label for a metric. Drivers may add classes of their own.
type Class string

// The classes of the channels in this module.
const (
	ClassDNS            Class = "dns"             // the name did not resolve
	ClassConnect        Class = "connect"         // no connection: refused, unreachable
	ClassProxy          Class = "proxy"           // the proxy cannot be used, or refuses
	ClassTLS            Class = "tls"             // no trusted connection: certificate, handshake
	ClassTimeout        Class = "timeout"         // no complete answer in time
	ClassRefusedAddress Class = "refused_address" // the address guard forbids the address
	ClassClosed         Class = "closed"          // the connection ended before the answer did
	ClassProtocol       Class = "protocol"        // the answer breaks the rules of the protocol
	ClassTooLarge       Class = "too_large"       // the answer is longer than the limit
	ClassRedirect       Class = "redirect"        // a 3xx answer, not followed
	ClassStatus         Class = "status"          // any other status that is not a success
	ClassRejected       Class = "rejected"        // refused by a code of Slack, Twilio or SMTP
	ClassAuth           Class = "auth"            // credentials refused by the target
	ClassPartial        Class = "partial"         // some of several recipients were not reached
	ClassTemplate       Class = "template"        // a template did not render
	ClassPayload        Class = "payload"         // the stored event cannot be decoded or sent
	ClassConfig         Class = "config"          // the configuration cannot work
	ClassPanic          Class = "panic"           // the channel panicked
	ClassUnknown        Class = "unknown"         // any other error
)

// Describe says in plain words what failed, for people: what the class means, before the text of the
// error if that does not say so itself. The text may be empty.
func Describe(c Class, text string) string {
	words, ok := classWords[c]
	switch {
	case text == "" && c == "":
		return "unknown"
	case text == "" && ok:
		return words.alone
	case text == "":
		return strings.ReplaceAll(string(c), "_", " ")
	case ok && words.before:
		return words.alone + ": " + text
	}
	return text
}

// classWords says what the classes mean, and whether that is needed before the text of an error.
var classWords = map[Class]struct {
	alone  string
	before bool
}{
	ClassDNS:            {"the host name does not resolve", true},
	ClassConnect:        {"no connection", true},
	ClassProxy:          {"the proxy cannot be used", false},
	ClassTLS:            {"no trusted connection", true},
	ClassTimeout:        {"no complete answer in time", false},
	ClassRefusedAddress: {"the address is not allowed", true},
	ClassClosed:         {"the connection ended before the answer did", false},
	ClassProtocol:       {"the answer breaks the rules of the protocol", false},
	ClassTooLarge:       {"the answer is longer than the limit", false},
	ClassRedirect:       {"it redirects, which is not followed", false},
	ClassStatus:         {"it answered with a failure", false},
	ClassRejected:       {"it refused the message", true},
	ClassAuth:           {"it refused the credentials", true},
	ClassPartial:        {"some of the recipients were not reached", false},
	ClassTemplate:       {"the template cannot be rendered", true},
	ClassPayload:        {"the event cannot be sent", true},
	ClassConfig:         {"the configuration cannot work", true},
	ClassPanic:          {"the channel panicked", false},
}

// An Error is a failed attempt, and what it means for the delivery. It contains no secret, so it
// can be logged and stored.
type Error struct {
	// Action is what to do next. Zero means Retry.
	Action Action

	// Class is the kind of failure. Empty means ClassUnknown.
	Class Class

	// StatusCode is the status of the target's answer. Zero means that there was none.
	StatusCode int

	// RetryAfter is how long, counted from the answer, the target asked not to be called. It is set
	// together with Wait, and is at most MaxRetryAfter. Zero means that the target did not ask.
	RetryAfter time.Duration

	// Err has the details, in a text that may be shown. It may be nil.
	Err error
}

// errNil stands for a nil *Error that was returned as an error.
var errNil = errors.New("a nil *channel.Error was returned as an error")

// Error returns the class, the status and the details. It may be called on nil.
func (e *Error) Error() string {
	if e == nil {
		e = AsError(e)
	}
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

// Unwrap returns Err. It may be called on nil.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Retryable reports whether another attempt may succeed.
func (e *Error) Retryable() bool { return e.Action == Retry || e.Action == Wait }

// Timeout reports whether the attempt ran out of time.
func (e *Error) Timeout() bool { return e.Class == ClassTimeout }

// ContextError is for channels that find ctx done in the middle of an attempt. If ctx was
// cancelled, it returns context.Canceled, which says nothing about the target. If the time of ctx
// ran out, it returns an *Error of ClassTimeout. If ctx is not done, it returns nil.
func ContextError(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	}
	return &Error{Class: ClassTimeout, Err: errors.New("no complete answer in time")}
}

// AsError returns the Error in err's chain. If there is none, it returns one of ClassUnknown, which
// is worth retrying. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		if e == nil {
			return &Error{Class: ClassUnknown, Err: errNil}
		}
		return e
	}
	return &Error{Action: Retry, Class: ClassUnknown, Err: err}
}
