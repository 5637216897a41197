package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/webhook"
)

// send is the inbox's channel. Its target is the handler.
func (in *Inbox) send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	e, body, err := unwrap(m.Payload)
	if err != nil {
		return channel.Result{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassPayload, Err: err}
	}
	var result channel.Result
	err = in.handler(receiver.ContextWithDelivery(ctx, in.delivery(m, e, body)), e)
	if errors.Is(err, receiver.ErrNoHandler) || errors.Is(err, receiver.ErrAlreadyHandled) {
		result.Response, err = err.Error(), nil
	}
	if err == nil || isPermanent(err) {
		if failed := in.invalidate(ctx, e); failed != nil {
			err = failed
		}
	}
	return result, verdict(err)
}

// delivery is what a handler finds in its context. The key of its claim is that of no
// receiver: a consumer's name has no slash. The token is zero, since the Dispatcher
// has the event for this handler alone.
func (in *Inbox) delivery(m *channel.Message, e *event.Event, body []byte) *receiver.Delivery {
	return &receiver.Delivery{
		Event: e,
		Body:  body,
		Claim: receiver.Claim{Key: "inbox/" + in.name + "/" + m.EventID},
		Keep:  receiver.DefaultKeep,
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

// result says what a handler's error means for the event. It is always of this
// package's making: a handler that itself uses channels may return the error of
// one, which speaks of that channel's target.
//
// The class is one that says nothing about the endpoint as a whole. Otherwise a
// few events that one handler cannot cope with would trip the breaker, and all
// others would wait for them.
func verdict(err error) error {
	if err == nil {
		return nil
	}
	failure := &channel.Error{Action: channel.Retry, Class: channel.ClassRejected, Err: err}
	if isPermanent(err) {
		failure.Action = channel.Permanent
	}
	return failure
}

func isPermanent(err error) bool {
	var permanent *receiver.PermanentError
	return errors.As(err, &permanent)
}

// attempted returns a hook that logs what failed, as a receiver does for
// handlers without an inbox, and then calls next.
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
	level, text := slog.LevelWarn, "inbox: event failed, to be tried again"
	if o.Status == webhook.StatusDead {
		level, text = slog.LevelError, "inbox: event given up"
	}
	in.logger.LogAttrs(context.Background(), level, text,
		slog.String("inbox", in.name), slog.String("type", o.EventType), slog.String("event_id", o.EventID),
		slog.String("delivery_id", o.DeliveryID.String()), slog.Int("attempt", o.Attempt.Number),
		slog.String("class", o.Attempt.Class), slog.String("error", o.Attempt.Error))
}
