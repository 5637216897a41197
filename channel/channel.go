package channel

import (
	"context"
	"encoding/json"
	"time"
)

// A Channel makes one attempt to deliver one event to one configured target: an HTTP endpoint, a
// Slack channel, a list of mail addresses.
//
// These are the rules for every implementation. Package channeltest checks them:
//
//   - Send makes one attempt and never retries: the caller decides from the error what to do next.
//   - A nil error means that the target has accepted the event.
//   - A failed attempt returns an [*Error], or an error that wraps one. Any other error counts as a
//     failed attempt that is worth retrying. The Result is filled in as far as it is known, also
//     after a failure.
//   - When ctx is cancelled, Send returns promptly, with an error that matches [context.Canceled].
//     That says nothing about the target: the caller requeues the delivery. When time runs out, by
//     the deadline of ctx or by the channel's own limit, the attempt has failed with
//     [ClassTimeout].
//   - The Message is shared: Send does not modify it or its Payload.
//   - No secret of the configuration (token, key, password, header value, a URL that grants access,
//     a string in a template) is in the error or in the Result, and no part of the rendered payload
//     is in the error. The Result may repeat what the target said about the event itself.
//   - Send is safe for concurrent use and leaves no goroutine behind.
//
// A Channel that wraps another one embeds it, or is made by [WithSend], so that it keeps the
// Capabilities of the other one.
type Channel interface {
	// Send makes one attempt to deliver the Message, by the rules above.
	Send(ctx context.Context, m *Message) (Result, error)

	// Capabilities returns what is known of the Channel beyond Send. It is always the same for one
	// Channel, and does no I/O.
	Capabilities() Capabilities
}

// Capabilities says what is known of a Channel beyond Send. The zero value says nothing. More
// fields may be added; the zero value of each will mean that a caller can rely on nothing.
type Capabilities struct {
	// Timeout is the longest that an attempt takes. Send enforces it, so that a caller need not
	// start a timer of its own. Zero means that the caller has to bound the attempts.
	Timeout time.Duration

	// Host is the name or address of the host that attempts go to, in lower case and without a port.
	// The caller uses it to bound how many attempts at one host are in flight, over all subscriptions
	// and organizations, so that a host that hangs cannot take all workers. Empty means that the host
	// is not known and that there is no such bound.
	Host string

	// Port is the port at the Host. Zero means that it is not known.
	Port int

	// Method is the method of the HTTP requests that attempts make, such as POST. Empty means that
	// they make none, or that it is not known. Traces call an attempt with a Method an HTTP request.
	Method string

	// MaxInFlight is the largest number of attempts at Host that may be in flight at the same time,
	// because all channels to it share something scarce, such as the connections to a mail server. The
	// caller begins no more attempts than that. A delivery that waits for its turn occupies no worker,
	// and its waiting says nothing about the health of its endpoint. If several organizations have
	// had attempts there in the last hour, each may have one less, but at least one.
	//
	// If MaxInFlight is set, the caller does not cut attempts short (dispatch.Config.MaxAttemptTimeout
	// does not apply): the operator, not a subscriber, configures how long they last, and a mail that
	// is cut off before the server has answered may be sent twice.
	//
	// Zero means that there is no bound. It has no effect without a Host.
	MaxInFlight int

	// AttemptsPerSecond is how many attempts at the same configuration may begin each second, and
	// AttemptBurst how many at once after a pause, because the service that the channel sends to
	// allows no more. The caller lets deliveries wait accordingly. A subscription may have a limit of
	// its own instead. Zero AttemptsPerSecond means no limit; zero AttemptBurst means the attempts of
	// one second, and at least one. Above 10,000, each counts as 10,000.
	AttemptsPerSecond float64
	AttemptBurst      int

	// Messages is the largest number of messages that one attempt sends, such as one to each
	// recipient of a mail. A caller that bounds how much it sends counts them. Zero means one.
	Messages int
}

// A Func is a function used as a Channel, for tests and for consumers in the same process. It is
// also a Driver that accepts every configuration, so it can be registered as it is.
type Func func(ctx context.Context, m *Message) (Result, error)

// Send calls f.
func (f Func) Send(ctx context.Context, m *Message) (Result, error) { return f(ctx, m) }

// Capabilities returns the zero value.
func (Func) Capabilities() Capabilities { return Capabilities{} }

// Schema returns the zero value.
func (Func) Schema() Schema { return Schema{} }

// Open returns f for every configuration.
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

// Result describes an attempt, whether it succeeded or failed. It is stored in the delivery's
// history and shown to people, so it contains nothing secret. The zero value is valid.
type Result struct {
	// StatusCode is the status of the target's answer, of HTTP or SMTP. Zero means that the target
	// did not answer, or that its protocol has no status.
	StatusCode int

	// Response is a printable excerpt of the answer's body, of at most 2048 bytes. A Dispatcher
	// stores the first 1024 of them.
	Response string

	// Progress replaces the progress that is stored for the delivery, which the next attempt gets as
	// Message.Progress: for example, which of several recipients were reached, so that they do not get
	// the message again. Nil keeps the progress that is stored. To clear it, return a value that the
	// driver reads as empty, such as {}.
	Progress json.RawMessage
}
