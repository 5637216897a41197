package channel

import (
	"context"
	"encoding/json"
	"time"
)

// A Channel makes one attempt to hand one event to one configured target: an
// HTTP endpoint, a Slack channel, a list of mail addresses.
//
// The rules that every implementation keeps, and that package channeltest
// executes:
//
//   - Send makes one attempt and never retries: what to do next is decided by
//     the caller, from the error.
//   - A nil error means that the target has accepted the event.
//   - A failed attempt returns an [*Error], or an error that wraps one; any other
//     error counts as a failed attempt worth retrying. The Result is filled in
//     as far as it is known, on failure too.
//   - When ctx is cancelled, Send returns promptly an error that matches
//     [context.Canceled]. That is no verdict on the target: the caller requeues
//     the attempt. When time runs out, whether by the deadline of ctx or by the
//     channel's own limit, the attempt has failed with [ClassTimeout].
//   - The Message is shared: Send does not modify it or its Payload.
//   - No secret of the configuration (token, key, password, header value, a URL
//     that grants access, a string that a template spells out) is in the error
//     or in the Result, and no part of the rendered payload is in the error. The
//     Result may repeat what the target said of the event itself.
//   - Send is safe for concurrent use and leaves no goroutine behind.
//
// A Channel may say how long its attempts take at most ([Timeouter]), which host
// they go to ([Hoster]), and how many can be under way at a time ([Limited]). One
// that wraps another implements all three and passes them on.
type Channel interface {
	Send(ctx context.Context, m *Message) (Result, error)
}

// A Timeouter is a Channel that bounds its own attempts: Send enforces
// Timeout() itself, so that a caller need not start a timer of its own.
type Timeouter interface {
	Timeout() time.Duration
}

// A Driver turns the configuration of a subscription into a Channel. It is
// called once when a webhook is created or updated, and once when it is loaded,
// so this is where everything is checked and templates are compiled.
//
// Open does no I/O. A configuration that is wrong is refused with an
// *event.ValidationError that names every problem at once, by the path of the
// field within the configuration and without repeating a secret. Fields that
// the driver does not know are ignored: the published schema allows them, and
// an older process must still be able to read a newer configuration. A
// management API refuses them where the driver is a [FieldLister].
type Driver interface {
	Open(config json.RawMessage) (Channel, error)
}

// A DriverFunc is a function used as a Driver.
type DriverFunc func(config json.RawMessage) (Channel, error)

// Open calls f.
func (f DriverFunc) Open(config json.RawMessage) (Channel, error) { return f(config) }

// A Func is a function used as a Channel: for tests, and for consumers in the
// same process. It is also a Driver that takes any configuration, so that it
// can be registered as it is.
type Func func(ctx context.Context, m *Message) (Result, error)

// Send calls f.
func (f Func) Send(ctx context.Context, m *Message) (Result, error) { return f(ctx, m) }

// Open returns f, whatever the configuration.
func (f Func) Open(json.RawMessage) (Channel, error) { return f, nil }

// Result is what an attempt left to tell. It is stored in the delivery's
// history and shown to people, so it holds nothing secret. The zero value is a
// valid Result.
type Result struct {
	// StatusCode is the status that the target answered with: of HTTP, or of
	// SMTP. Zero means that it did not answer, or speaks no status.
	StatusCode int

	// Response is a bounded, printable excerpt of the answer's body.
	Response string

	// Progress is what the next attempt gets as Message.Progress: which of
	// several recipients were reached, so that they are not written to again.
	// Nil means nothing to remember.
	Progress json.RawMessage
}
