package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Inbox stores events and calls a handler for them afterwards, with retries. All methods
// are safe for concurrent use.
type Inbox struct {
	name        string
	handler     receiver.HandlerFunc
	invalidator receiver.Invalidator
	dispatcher  *dispatch.Dispatcher
	logger      *slog.Logger
	// subscribed is true when the subscription is known to exist.
	subscribed atomic.Bool
}

// New returns an Inbox on a store. If the configuration is invalid, the error wraps an
// [*event.ValidationError] with all its problems. A nil store, a nil handler, and a name that
// another inbox has in Config.Dispatcher.Channels are errors too. It starts nothing and does not
// use the store: [Inbox.HandleEvent] stores events, and [Inbox.Run] calls the handler for them.
func New(store webhook.Store, handler receiver.HandlerFunc, cfg Config) (*Inbox, error) {
	if store == nil {
		return nil, errors.New("inbox: New: the store is nil")
	}
	if handler == nil {
		return nil, errors.New("inbox: New: the handler is nil")
	}
	cfg = cfg.withDefaults()
	in := &Inbox{
		name:        cfg.Name,
		handler:     handler,
		invalidator: cfg.Invalidator,
		logger:      cfg.Dispatcher.Logger,
	}
	cfg.Dispatcher.Hooks.Attempted = in.attempted(cfg.Dispatcher.Hooks.Attempted)

	var problems event.Problems
	var err error
	cfg.check(&problems)
	in.dispatcher, err = dispatch.New(store, cfg.Dispatcher)
	problems.AddError("Dispatcher", err)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("inbox: New: %w", err)
	}
	if err := cfg.Dispatcher.Channels.Register(in.channel(), channel.Func(in.send)); err != nil {
		return nil, fmt.Errorf("inbox: New: another inbox has this name in the registry: %w", err)
	}
	return in, nil
}

// HandleEvent stores the event and returns nil when it is durable. An event that is stored
// already is not stored again. Mount it behind a Receiver as a [receiver.HandlerFunc]: the
// sender gets 200 for an event that was stored, and sends it again if the store failed.
//
// HandleEvent returns a [receiver.Permanent] error for an event that can never be stored, so that
// the receiver records it as dead and logs it:
//
//   - its JSON has more than [dispatch.MaxPayload] minus about 400 bytes,
//   - it is nested as deep as [event.MaxDepth],
//   - a decoder has put something into it that [event.Event.MarshalJSON] refuses, such as a Go value
//     that cannot be encoded, or a name in Metadata that is not UTF-8.
//
// All other events that a receiver accepts can be stored, even with an incomplete envelope. Set
// [receiver.Config.MaxBody], and MaxDecoded if bodies may be compressed, below the first bound, so
// that senders of larger events get 413. The stored JSON can be longer than the body: a \b of two
// bytes becomes \u0008. It is at most three times as long, so that all bodies of up to a third of
// the first bound can be stored.
//
// The handler gets the event as it is on the wire: without OrganizationID, and with the
// types in Metadata that JSON decodes to.
func (in *Inbox) HandleEvent(ctx context.Context, e *event.Event) error {
	if err := in.subscribe(ctx); err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	stored, err := wrap(ctx, e)
	if err != nil {
		return receiver.Permanent(fmt.Errorf("inbox: %w", err))
	}
	stored.Namespace = in.name
	stored.OrganizationID = in.OrganizationID()
	_, err = in.dispatcher.Emit(ctx, stored)
	var invalid *event.ValidationError
	if errors.As(err, &invalid) {
		return receiver.Permanent(fmt.Errorf("inbox: %w", err))
	}
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	return nil
}

// Run calls the handler for stored events until ctx is cancelled, and then waits for running
// handlers (see [dispatch.Dispatcher.Run]). A process that only stores events need not call
// it.
func (in *Inbox) Run(ctx context.Context) error { return in.dispatcher.Run(ctx) }

// Dispatcher returns the Dispatcher that calls the handler. Use it to read the history, to
// replay dead events, and to pause the inbox.
func (in *Inbox) Dispatcher() *dispatch.Dispatcher { return in.dispatcher }

// OrganizationID returns the organization of the inbox's events and of its one subscription in the
// store. It separates them from other events in the store. The subscription can be paused: events
// are then stored and wait. If it is deleted, events are stored but not handled, until a process
// makes a new Inbox, which creates the subscription again with its first event.
func (in *Inbox) OrganizationID() string { return "receiver/inbox/" + in.name }

// channel returns the name of the inbox's channel.
func (in *Inbox) channel() string { return "inbox_" + in.name }

// subscriptionID returns the id of the inbox's subscription, the same in all processes.
func (in *Inbox) subscriptionID() string {
	sum := sha256.Sum256([]byte(in.OrganizationID()))
	return "wh_" + hex.EncodeToString(sum[:8])
}

// subscribe creates the inbox's subscription unless it exists. It does not change one that
// exists, because that may be paused.
func (in *Inbox) subscribe(ctx context.Context) error {
	if in.subscribed.Load() {
		return nil
	}
	_, err := in.dispatcher.Subscription(ctx, in.OrganizationID(), in.subscriptionID())
	if errors.Is(err, webhook.ErrNotFound) {
		err = in.dispatcher.CreateSubscription(ctx, &webhook.Subscription{
			ID:             in.subscriptionID(),
			Name:           "Inbox " + in.name,
			EventTypes:     []event.Pattern{event.MatchAll},
			Channels:       []webhook.ChannelConfig{{Channel: in.channel(), Configs: json.RawMessage(`{}`)}},
			OrganizationID: in.OrganizationID(),
		})
		if errors.Is(err, webhook.ErrExists) { // another process has created it
			_, err = in.dispatcher.Subscription(ctx, in.OrganizationID(), in.subscriptionID())
		}
	}
	if err == nil {
		in.subscribed.Store(true)
	}
	return err
}

// send is the inbox's channel. It calls the handler.
func (in *Inbox) send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	e, body, err := unwrap(m.Payload)
	if err != nil {
		return channel.Result{}, &channel.Error{
			Action: channel.Permanent, Class: channel.ClassPayload, Err: err,
		}
	}
	var result channel.Result
	err = in.handler(receiver.ContextWithDelivery(ctx, in.delivery(ctx, m, e, body)), e)
	if errors.Is(err, receiver.ErrNoHandler) || errors.Is(err, receiver.ErrAlreadyHandled) {
		result.Response, err = err.Error(), nil
	}
	if err == nil || isPermanent(err) {
		if failed := in.invalidate(ctx, e); failed != nil {
			err = failed
		}
	}
	return result, failure(err)
}

// delivery returns what a handler finds in its context. The key of its claim differs from
// the keys of all receivers, because a key with a consumer has one slash. The token is zero,
// because the Dispatcher and not a Deduper has claimed the event.
func (in *Inbox) delivery(
	ctx context.Context, m *channel.Message, e *event.Event, body []byte,
) *receiver.Delivery {
	return &receiver.Delivery{
		Event: e,
		Body:  body,
		Claim: receiver.Claim{Key: "inbox/" + in.name + "/" + m.EventID},
		Keep:  receiver.DefaultKeep,
		Trace: tracecontext.From(ctx),
	}
}

func (in *Inbox) invalidate(ctx context.Context, e *event.Event) error {
	if in.invalidator == nil || e.CacheScope == nil {
		return nil
	}
	if err := in.invalidator.Invalidate(ctx, e); err != nil {
		return fmt.Errorf("invalidate: %w", err)
	}
	return nil
}

// failure returns what a handler's error means to the Dispatcher. It always makes a new
// error, because a handler that uses channels may return the error of one of them, about the
// endpoint of that channel.
//
// Its class is that of an endpoint which refuses this event. With another class, a few
// events that a handler cannot process would open the circuit breaker, and all other events
// would wait.
func failure(err error) error {
	if err == nil {
		return nil
	}
	failed := &channel.Error{Action: channel.Retry, Class: channel.ClassRejected, Err: err}
	if isPermanent(err) {
		failed.Action = channel.Permanent
	}
	return failed
}

func isPermanent(err error) bool {
	var permanent *receiver.PermanentError
	return errors.As(err, &permanent)
}

// attempted returns a hook that logs failed attempts, as a receiver logs failed handlers, and
// then calls next.
func (in *Inbox) attempted(next func(dispatch.Result)) func(dispatch.Result) {
	return func(o dispatch.Result) {
		if o.OrganizationID == in.OrganizationID() && o.Status != webhook.StatusSucceeded {
			in.log(o)
		}
		if next != nil {
			next(o)
		}
	}
}

func (in *Inbox) log(o dispatch.Result) {
	level, text := slog.LevelWarn, "inbox: handler failed"
	if o.Status == webhook.StatusDead {
		level, text = slog.LevelError, "inbox: event dead"
	}
	in.logger.LogAttrs(context.Background(), level, text,
		slog.String("inbox", in.name), slog.String("event_id", o.EventID),
		slog.String("event_type", o.EventType), slog.String("delivery_id", o.DeliveryID.String()),
		slog.Int("attempt", o.Attempt.Number), slog.String("class", o.Attempt.Class),
		slog.String("error", o.Attempt.Error))
}
