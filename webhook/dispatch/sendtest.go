package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
)

// TestResult is the result of a test of one channel.
type TestResult struct {
	// Channel is one of [webhook.Subscription.ChannelKeys].
	Channel   string `json:"channel"`
	Succeeded bool   `json:"succeeded"`
	// Attempt has a Duration that includes waits to render.
	Attempt webhook.Attempt `json:"attempt"`
}

// SendTest sends an event to the channels of a subscription that keys name (see
// [webhook.Subscription.ChannelKeys]), or to all of them, in parallel, with one attempt each. It
// returns one result for each channel, in the order of the keys. The subscription may be paused or
// not yet stored, and need not subscribe to the event. SendTest stores nothing, does not retry, and
// does not change the endpoint's health.
//
// [Config.Tests] bounds the tests of an organization in this process. If a test would exceed it,
// SendTest sends nothing and returns a [*webhook.LimitError]. Attempts of tests do not count for
// Config.MaxInFlight.
//
// SendTest completes and checks the event as [Dispatcher.Emit] does. It returns an
// [*event.ValidationError] for an invalid event or an unknown key, and the error of ctx if that is
// cancelled, or ends before it is the organization's turn to have channels opened. A channel that
// cannot be opened, or whose attempt fails, is a result and not an error; so is an attempt that the
// deadline of ctx ends.
func (d *Dispatcher) SendTest(
	ctx context.Context, sub *webhook.Subscription, e *event.Event, keys ...string,
) ([]TestResult, error) {
	if sub == nil {
		return nil, (*webhook.Subscription)(nil).Validate()
	}
	records, err := newEvents(ctx, []*event.Event{e})
	var p event.Problems
	p.AddError("", err)
	all := sub.ChannelKeys()
	if len(keys) == 0 {
		keys = all
	}
	for _, key := range keys {
		if !slices.Contains(all, key) {
			p.Add("channel", "must be one of %s", strings.Join(all, ", "))
			break
		}
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	m := &channel.Message{
		EventID: records[0].ID, EventType: records[0].Type, SubscriptionID: sub.ID, Attempt: 1,
		Payload: records[0].Payload,
	}
	if err := d.tests.enter(sub.OrganizationID, len(keys), time.Now()); err != nil {
		return nil, err
	}
	defer d.tests.leave(sub.OrganizationID, len(keys))
	opened, err := d.channels.open(ctx, sub, keys...)
	if opened == nil {
		return nil, err
	} // otherwise each channel has its own error
	messages := 0
	for _, key := range keys {
		messages++
		if ch := opened[key]; ch.Channel != nil {
			messages += max(ch.Capabilities().Messages-1, 0)
		}
	}
	if err := d.tests.weigh(sub.OrganizationID, len(keys), messages, time.Now()); err != nil {
		return nil, err
	}
	results := make([]TestResult, len(keys))
	rendering := d.cfg.Renders.ContextFor(ctx, template.Turn{OrganizationID: sub.OrganizationID})
	var attempts sync.WaitGroup
	for i, key := range keys {
		attempts.Go(func() {
			attempt, _, err := d.try(rendering, key, opened[key], m)
			results[i] = TestResult{Channel: key, Succeeded: err == nil, Attempt: *attempt}
		})
	}
	attempts.Wait()
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	return results, nil
}
