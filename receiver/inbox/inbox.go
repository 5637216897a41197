package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Inbox stores events and hands them to a handler afterwards, with retries. All
// methods are safe for concurrent use.
type Inbox struct {
	name        string
	handler     receiver.HandlerFunc
	invalidator receiver.Invalidator
	dispatcher  *dispatch.Dispatcher
	logger      *slog.Logger
	// subscribed says that the subscription is known to be in the store.
	subscribed atomic.Bool
}

// New makes an Inbox on a store. It starts nothing and does not use the store
// yet: [Inbox.HandleEvent] takes events in, [Inbox.Run] has them handled.
//
// A wrong configuration is refused with every reason, as an
// [event.ValidationError].
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
		return nil, err
	}
	if err := cfg.Dispatcher.Channels.Register(in.channel(), channel.Func(in.send)); err != nil {
		return nil, fmt.Errorf("inbox: New: two inboxes of one name in one registry: %w", err)
	}
	return in, nil
}

// HandleEvent stores the event and returns nil once it is durable. One that is
// stored already is passed over. It is made to be a [receiver.HandlerFunc]: an
// event that can be stored now is acknowledged, one that can be stored later is
// sent again.
//
// An event that can never be stored is a [receiver.Permanent] error, by which
// the receiver records it as dead and logs it: sending it again would not help.
// That is one whose JSON, with some 400 bytes around it, is longer than
// [dispatch.MaxPayload], or nested as deep as [event.MaxDepth], or one that has no
// JSON because a decoder put a Go value there that cannot be encoded. Everything
// else that a receiver lets pass can be stored, complete envelope or not. Set
// [receiver.Config.MaxBody] below the first limit, and senders of more get 413.
//
// The handler gets the event as it is on the wire, so without OrganizationID
// and with the types in Metadata that JSON decodes to.
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
	err = in.dispatcher.Emit(ctx, stored)
	var invalid *event.ValidationError
	if errors.As(err, &invalid) {
		return receiver.Permanent(fmt.Errorf("inbox: %w", err))
	}
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	return nil
}

// Run has the stored events handled until ctx is cancelled, and then lets the
// handlers under way end: see [dispatch.Dispatcher.Run]. It is not needed in a
// process that only takes events in.
func (in *Inbox) Run(ctx context.Context) error { return in.dispatcher.Run(ctx) }

// Dispatcher returns the Dispatcher that does the work: for the history, for
// replaying what is dead, for pausing.
func (in *Inbox) Dispatcher() *dispatch.Dispatcher { return in.dispatcher }

// OrganizationID returns the organization that the inbox's events, and its one
// subscription, belong to in the store. It keeps them apart from what others emit
// there. The subscription can be paused: then events are stored and wait. If it is
// deleted, events are stored and not handled, until a process is started again.
func (in *Inbox) OrganizationID() string { return "receiver/inbox/" + in.name }

// channel is the name of the inbox's channel.
func (in *Inbox) channel() string { return "inbox_" + in.name }

// subscriptionID is the same in all processes.
func (in *Inbox) subscriptionID() string {
	sum := sha256.Sum256([]byte(in.OrganizationID()))
	return "wh_" + hex.EncodeToString(sum[:8])
}

// subscribe sees to it that the inbox's subscription is in the store. One that is
// there stays as it is: it may be paused.
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
			Channels:       []webhook.ChannelConfig{webhook.Via(in.channel(), struct{}{})},
			OrganizationID: in.OrganizationID(),
		})
		if errors.Is(err, webhook.ErrExists) { // somebody else was faster
			_, err = in.dispatcher.Subscription(ctx, in.OrganizationID(), in.subscriptionID())
		}
	}
	if err == nil {
		in.subscribed.Store(true)
	}
	return err
}
