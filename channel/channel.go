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
//     [context.Canceled]. It says nothing about the target: the caller requeues
//     the attempt. When time runs out, whether by the deadline of ctx or by the
//     channel's own limit, the attempt has failed with [ClassTimeout].
//   - The Message is shared: Send does not modify it or its Payload.
//   - No secret of the configuration (token, key, password, header value, a URL
//     that grants access, a string that a template spells out) is in the error
//     or in the Result, and no part of the rendered payload is in the error. The
//     Result may repeat what the target said of the event itself.
//   - Send is safe for concurrent use and leaves no goroutine behind.
//
// A Channel that wraps another one embeds it, or is made by [WithSend], so that it
// has the Capabilities of the other one.
type Channel interface {
	Send(ctx context.Context, m *Message) (Result, error)

	// Capabilities says what the Channel does, and what is known of it, beyond Send.
	// It is always the same for one Channel, and does no I/O.
	Capabilities() Capabilities
}

// Capabilities is what a Channel does, and what is known of it, beyond Send. The
// zero value says nothing. More fields may be added; in each, zero will mean
// that a caller can rely on nothing.
type Capabilities struct {
	// Timeout is how long an attempt takes at most. Send enforces it, so that a
	// caller need not start a timer of its own. Zero means that the caller has to
	// bound the attempts.
	Timeout time.Duration

	// Host is the name or the address of the host that attempts go to, in lower
	// case and without a port. Channels of many subscriptions, of many
	// organizations, may go to one host: a caller bounds what a host that hangs can
	// take of it. Empty means that it is not known, and so there is no such bound.
	Host string

	// MaxInFlight is how many attempts can be under way to the Host at a time,
	// because all channels to it share something scarce, such as the connections
	// to a mail server. A caller begins no more than that many: what waits for its
	// turn is no attempt yet, takes none of the caller's slots, and says nothing
	// about the health of an endpoint.
	//
	// The limit also bounds what the attempts can take of the caller, and how long
	// they last is configured by the operator and not by a subscriber. So a caller
	// does not cut them short: a mail that is cut off before the server has
	// answered may be sent twice.
	//
	// Zero means that there is no limit. It has no effect without a Host.
	MaxInFlight int

	// Messages is how many messages an attempt sends at most, such as one to each
	// recipient of a mail. A caller that bounds what it sends counts them. Zero
	// means one.
	Messages int
}

// A Func is a function used as a Channel: for tests, and for consumers in the
// same process. It is also a Driver that takes any configuration, so that it
// can be registered as it is.
type Func func(ctx context.Context, m *Message) (Result, error)

// Send calls f.
func (f Func) Send(ctx context.Context, m *Message) (Result, error) { return f(ctx, m) }

// Capabilities says nothing.
func (Func) Capabilities() Capabilities { return Capabilities{} }

// Schema says nothing.
func (Func) Schema() Schema { return Schema{} }

// Open returns f, whatever the configuration.
func (f Func) Open(json.RawMessage) (Channel, error) { return f, nil }

// WithSend returns a Channel that makes its attempts with send and has the
// Capabilities of next. It is for functions that wrap a Channel, such as a
// [Middleware]; send calls next.Send.
func WithSend(next Channel, send Func) Channel { return wrapped{next, send} }

type wrapped struct {
	Channel
	send Func
}

func (w wrapped) Send(ctx context.Context, m *Message) (Result, error) { return w.send(ctx, m) }

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
