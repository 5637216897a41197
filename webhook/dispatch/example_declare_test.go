package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// declared are the subscriptions that a service has in its code. A fixed id makes each
// the same one at every start.
func declared() []*webhook.Subscription {
	return []*webhook.Subscription{{
		ID:         "wh_shopcaches",
		Name:       "caches of the shop",
		EventTypes: []event.Pattern{"object.*"},
		Channels:   []webhook.ChannelConfig{{Channel: "print", Configs: json.RawMessage(`{}`)}},
	}}
}

// Declare subscriptions in code, at each start of the service. One that an operator
// has paused stays paused.
func ExampleDispatcher_PutSubscription() {
	ctx := context.Background()
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, nil
	}, dispatch.Config{})

	start := func() {
		for _, sub := range declared() {
			if err := d.PutSubscription(ctx, sub); err != nil {
				fmt.Println(err)
			}
			fmt.Println(sub.ID, "paused:", sub.Paused)
		}
	}
	start()

	stored, err := d.Subscription(ctx, "", "wh_shopcaches")
	if err != nil {
		panic(err)
	}
	stored.Paused = true // by an operator, such as through the management API
	if err := d.UpdateSubscription(ctx, stored); err != nil {
		fmt.Println(err)
	}

	start()
	// Output:
	// wh_shopcaches paused: false
	// wh_shopcaches paused: true
}
